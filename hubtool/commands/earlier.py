"""What a registry has of earlier images: how they were laid out, and which of their layers need not be made again.

All of it is in their manifests' annotations; nothing else is kept anywhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hubtool.builders import BASE_NAME
from hubtool.errors import HubtoolError
from hubtool.image.layout import Layout
from hubtool.image.pack import MANIFEST_TYPE, Packed
from hubtool.reference import ImageReference
from hubtool.registries import RegistryError, open_client
from hubtool.registries.client import RegistryClient
from hubtool.registries.manifests import read_descriptor

# On a layer: its groups as hubtool.image.layout writes them; the digest of its tar.
LAYER, DIFF_ID = "hubtool.layer", "hubtool.diff-id"
# On a manifest: the config digest of the image as it was built.
IMAGE_ID = "hubtool.image-id"


@dataclass(frozen=True)
class Earlier:
    """The layout to keep, and the layers that there are, by diff id: as they are packed, and the repository."""

    layout: Layout | None = None
    layers: Mapping[str, tuple[Packed, str]] = field(default_factory=dict)


def read_earlier(client: RegistryClient, refs: Iterable[str], siblings: Sequence[ImageReference]) -> Earlier:
    """What CLIENT's repository has at the tags or digests REFS, and the images SIBLINGS (with tag or digest), the first
    first."""
    own = client.session.reference.repository
    found = [Earlier(*_read(read_manifest(client, ref), own)) for ref in dict.fromkeys(filter(None, refs))]
    found += map(_of_sibling, siblings)
    layers = {diff_id: layer for one in reversed(found) for diff_id, layer in one.layers.items()}
    return Earlier(next((one.layout for one in found if one.layout), None), layers)


def base_of(config: Mapping[str, Any], image: ImageReference) -> tuple[ImageReference, ...]:
    """What the image with CONFIG was built on, as its label says, where that names a digest at IMAGE's registry; else
    none. The label of the digest alone may have an engine's image id, which some registries answer with an error."""
    labels = (config.get("config") or {}).get("Labels") or {}
    try:
        base = ImageReference.parse(str(labels.get(BASE_NAME)))
    except HubtoolError:
        return ()
    return (base,) if base.digest and base.registry == image.registry else ()


def read_manifest(client: RegistryClient, ref: str) -> dict[str, Any]:
    """The image manifest at a tag or digest; an empty one where there is none, or something else."""
    manifest = client.get_manifest(ref)
    return document_of(manifest.content) if manifest and manifest.media_type == MANIFEST_TYPE else {}


def document_of(content: bytes) -> dict[str, Any]:
    """A manifest as it is written; an empty one for what is none."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def annotation(document: Mapping[str, Any], key: str) -> str:
    """The annotation KEY of a manifest; "" where it has none."""
    notes = document.get("annotations")
    value = notes.get(key) if isinstance(notes, dict) else None
    return value if isinstance(value, str) else ""


def _of_sibling(reference: ImageReference) -> Earlier:
    """Nothing where it can't be read: then layers are sent that need not have been."""
    try:
        with open_client(reference) as client:
            manifest = read_manifest(client, reference.digest or reference.tag)
            return Earlier(*_read(manifest, client.session.reference.repository))
    except RegistryError:
        return Earlier()


def _read(document: Mapping[str, Any], repository: str) -> tuple[Layout | None, dict[str, tuple[Packed, str]]]:
    written = document.get("layers")
    descriptors = [read_descriptor(entry) for entry in written] if isinstance(written, list) else []
    layers = [entry for entry in descriptors if entry]
    packed = [
        Packed(entry.annotations[DIFF_ID], entry.digest, entry.size, entry.media_type)
        for entry in layers
        if DIFF_ID in entry.annotations
    ]
    layout = Layout.from_annotations(entry.annotations.get(LAYER) for entry in layers) if layers else None
    return layout, {layer.diff_id: (layer, repository) for layer in packed}
