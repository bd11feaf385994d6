"""Manifests as documents: an index over platforms, what is attached to an image. Equal input, equal bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from hubtool.errors import HubtoolError
from hubtool.registries.model import Descriptor, is_digest

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEXES = (OCI_INDEX, DOCKER_LIST)
MANIFESTS = (OCI_MANIFEST, DOCKER_MANIFEST)

NOTHING = b"{}"  # OCI image specification v1.1, manifest.md, "Guidance for an Empty Descriptor"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def platform_index(images: Mapping[str, Descriptor], annotations: Mapping[str, str] = {}) -> bytes:
    """An index over images by platform, like linux/amd64 or linux/arm/v7."""
    entries = [{**written(images[platform]), "platform": _platform(platform)} for platform in sorted(images)]
    return index_of(entries, annotations)


def _platform(name: str) -> dict[str, str]:
    parts = name.split("/")
    if len(parts) not in (2, 3) or not all(parts):
        raise HubtoolError(f"'{name}' is no platform", hint="platforms are written like linux/amd64 or linux/arm/v7")
    return dict(zip(("os", "architecture", "variant"), parts, strict=False))


def index_of(entries: Iterable[Mapping[str, Any]], annotations: Mapping[str, str] = {}) -> bytes:
    """An index over descriptors as they are written."""
    document: dict[str, Any] = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(entries)}
    if annotations:
        document["annotations"] = dict(sorted(annotations.items()))
    return _dump(document)


def attachment(
    subject: Descriptor, artifact_type: str, content: Descriptor, annotations: Mapping[str, str] = {}
) -> bytes:
    """The manifest of one blob that belongs to SUBJECT."""
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": {**written(Descriptor(digest_of(NOTHING), EMPTY_TYPE, len(NOTHING))), "data": "e30="},
        "layers": [written(content)],
        "subject": written(Descriptor(subject.digest, subject.media_type, subject.size)),
    }
    if annotations:
        document["annotations"] = dict(sorted(annotations.items()))
    return _dump(document)


def written(descriptor: Descriptor) -> dict[str, Any]:
    """A descriptor as a manifest has it."""
    found: dict[str, Any] = {
        "mediaType": descriptor.media_type,
        "digest": descriptor.digest,
        "size": descriptor.size,
    }
    if descriptor.artifact_type:
        found["artifactType"] = descriptor.artifact_type
    if descriptor.annotations:
        found["annotations"] = dict(sorted(descriptor.annotations.items()))
    return found


def read_descriptor(entry: object) -> Descriptor | None:
    """The descriptor that an index has written; None for what is none."""
    if not isinstance(entry, dict) or not is_digest(entry.get("digest")):
        return None
    size, notes = entry.get("size"), entry.get("annotations")
    pairs = notes.items() if isinstance(notes, dict) else ()
    return Descriptor(
        entry["digest"],
        _text(entry.get("mediaType")),
        size if isinstance(size, int) and size >= 0 else 0,
        _text(entry.get("artifactType")),
        {key: value for key, value in pairs if isinstance(value, str)},
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _dump(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
