"""Reading what stands at a tag: manifest, platforms, labels, size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hubtool.reference import ImageReference
from hubtool.registries.client import RegistryClient
from hubtool.registries.manifests import INDEXES, MANIFESTS, read_descriptor
from hubtool.registries.model import Manifest, RegistryError, Release, is_digest

PREFERRED = "linux/amd64"
MOST_ATTACHED = 8  # of one type; somebody may attach without end


def read_release(client: RegistryClient, reference: ImageReference) -> Release | None:
    """What CLIENT's repository holds at the reference's digest or tag ("latest" where it has neither)."""
    manifest = client.get_manifest(reference.digest or reference.tag or "latest")
    if manifest is None:
        return None
    document = _document(client, manifest)
    chosen, platforms = manifest, _platforms(document)
    if manifest.media_type in INDEXES:
        first = PREFERRED if PREFERRED in platforms else next(iter(platforms), "")
        if not first:
            raise RegistryError(f"{reference} is an index without an image")
        found = client.get_manifest(platforms[first])
        if found is None:
            raise RegistryError(f"{reference} names an image ({platforms[first]}) that its registry does not have")
        chosen, document = found, _document(client, found)
    if chosen.media_type not in MANIFESTS:
        raise RegistryError(f"{reference} is not an image: its media type is '{chosen.media_type[:80]}'")
    config = _config(client, document)
    own = f"{config.get('os', 'linux')}/{config.get('architecture', 'unknown')}"
    layers = map(read_descriptor, _list(document, "layers"))
    inner = config["config"] if isinstance(config.get("config"), dict) else {}
    return Release(
        reference=ImageReference(reference.registry, reference.repository, reference.tag, manifest.digest),
        platforms=tuple(platforms) or (own,),
        labels=_labels(inner),
        size=sum(_size(layer) for layer in _list(document, "layers")),
        layers=tuple(layer for layer in layers if layer),
        image=chosen.digest,
        user=str(inner.get("User") or ""),
    )


def read_attached(client: RegistryClient, release: Release, artifact_type: str, limit: int) -> list[bytes]:
    """What is attached to a release, to its image or to its index, of one type and up to LIMIT bytes each. What can't
    be read is left out; raises RegistryError where that is all."""
    found: list[bytes] = []
    problem: RegistryError | None = None
    for digest in _attached(client, release, artifact_type)[:MOST_ATTACHED]:
        try:
            found += _content(client, digest, limit)
        except RegistryError as error:
            problem = error
    if problem and not found:
        raise problem
    return found


def _attached(client: RegistryClient, release: Release, artifact_type: str) -> list[str]:
    subjects = dict.fromkeys(filter(None, (release.image, release.reference.digest)))
    return list(dict.fromkeys(one.digest for subject in subjects for one in client.referrers(subject, artifact_type)))


def _content(client: RegistryClient, digest: str, limit: int) -> list[bytes]:
    """The first layer of the manifest DIGEST, if it has one."""
    manifest = client.get_manifest(digest)
    layers = _list(_document(client, manifest), "layers") if manifest else []
    layer = read_descriptor(layers[0]) if layers else None
    if layer is None:
        return []
    with client.open_blob(layer.digest, limit) as stream:
        return [stream.read()]


def config_digest(client: RegistryClient, manifest: Manifest) -> str | None:
    """The digest of an image manifest's config; None for what is no image."""
    if manifest.media_type not in MANIFESTS:
        return None
    config = _document(client, manifest).get("config")
    digest = config.get("digest") if isinstance(config, dict) else None
    return digest if is_digest(digest) else None


def _document(client: RegistryClient, manifest: Manifest) -> dict[str, Any]:
    return client.read_json(manifest.content, f"the manifest {manifest.digest}")


def _platforms(document: Mapping[str, Any]) -> dict[str, str]:
    """Platform to digest of the images of an index; attestations are no images."""
    found: dict[str, str] = {}
    for entry in _list(document, "manifests"):
        platform = entry.get("platform")
        if not isinstance(platform, dict) or not is_digest(entry.get("digest")):
            continue
        words = [platform.get("os"), platform.get("architecture"), platform.get("variant")]
        name = "/".join(str(word) for word in words if word)
        if "unknown" not in name:
            found.setdefault(name, entry["digest"])
    return found


def _config(client: RegistryClient, document: Mapping[str, Any]) -> dict[str, Any]:
    config = document.get("config")
    digest = config.get("digest") if isinstance(config, dict) else None
    if not is_digest(digest):
        raise RegistryError(f"{client.session.reference.name}: a manifest without a config")
    return client.read_json(client.get_blob(str(digest)), f"the config {digest}")


def _labels(config: Mapping[str, Any]) -> dict[str, str]:
    labels = config.get("Labels")
    pairs = labels.items() if isinstance(labels, dict) else ()
    return {key: value for key, value in pairs if isinstance(key, str) and isinstance(value, str)}


def _list(document: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    found = document.get(key)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _size(layer: Mapping[str, Any]) -> int:
    size = layer.get("size")
    return size if isinstance(size, int) and size > 0 else 0
