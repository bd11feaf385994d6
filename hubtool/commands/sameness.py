"""Whether two images of a repository hold the same, though they were built at another time or of another commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hubtool.builders import ARCHIVE, BASE_DIGEST, CREATED, REVISION
from hubtool.commands.earlier import LAYER, document_of
from hubtool.commands.promotion import FINGERPRINT
from hubtool.image.groups import VOLATILE
from hubtool.image.layout import Layout
from hubtool.registries.client import RegistryClient
from hubtool.registries.manifests import read_descriptor
from hubtool.registries.model import Manifest
from hubtool.registries.release import config_digest

# Of a config: what only tells when and how it was built.
TELLING = frozenset(
    {
        "created",
        "history",
        "rootfs",
        "parent",
        "container",
        "container_config",
        "docker_version",
        "moby.buildkit.cache.v0",
    }
)
TELLING_SETTINGS = frozenset({"Hostname", "Image", "Labels"})
TELLING_LABELS = frozenset({REVISION, CREATED, FINGERPRINT, BASE_DIGEST, ARCHIVE, "io.buildah.version"})


@dataclass(frozen=True)
class Content:
    """What counts of an image: the hashes of its layers, from the bottom up, and its settings.

    Not counted: times, the labels that say which commit and base it is of, and the layer of files that every build
    writes anew. An image whose layers are as built has its times in them, and hardly ever the content of another.
    """

    layers: tuple[str, ...]
    settings: Mapping[str, Any]


def content_of(manifest: bytes, config: bytes) -> Content | None:
    """The content of an image by its manifest and config; None where they are none."""
    document = document_of(config)
    rootfs = document.get("rootfs")
    diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    layout = _layout(manifest)
    if not isinstance(diff_ids, list) or (layout and len(layout.layers) != len(diff_ids)):
        return None
    volatile = [keys == (VOLATILE,) for keys in layout.layers] if layout else [False] * len(diff_ids)
    kept = tuple(str(diff_id) for diff_id, left in zip(diff_ids, volatile, strict=True) if not left)
    return Content(kept, _settings(document))


def read_content(client: RegistryClient, manifest: Manifest) -> Content | None:
    """The content of an image in a registry; None for what is no image."""
    digest = config_digest(client, manifest)
    return content_of(manifest.content, client.get_blob(digest)) if digest else None


def _layout(manifest: bytes) -> Layout | None:
    layers = document_of(manifest).get("layers")
    found = [read_descriptor(layer) for layer in layers] if isinstance(layers, list) else []
    return Layout.from_annotations(layer.annotations.get(LAYER) if layer else None for layer in found)


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    inner = config.get("config")
    inner = inner if isinstance(inner, dict) else {}
    labels = inner.get("Labels")
    labels = labels if isinstance(labels, dict) else {}
    return {
        **{key: value for key, value in config.items() if key not in TELLING and key != "config"},
        "config": {key: value for key, value in inner.items() if key not in TELLING_SETTINGS},
        "labels": {key: value for key, value in labels.items() if key not in TELLING_LABELS},
    }
