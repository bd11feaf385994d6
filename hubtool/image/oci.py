"""Which parts of an OCI layout are its image (github.com/opencontainers/image-spec: image-layout.md, manifest.md)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hubtool.image.members import Bad, Members, json_object, read_small, shown

INDEX = "index.json"
MAX_DEPTH = 4  # of indexes in indexes
MAX_MANIFESTS = 1000

_DOCKER = "application/vnd.docker"
_OCI = "application/vnd.oci.image"
INDEX_TYPES = (f"{_OCI}.index.v1+json", f"{_DOCKER}.distribution.manifest.list.v2+json")
MANIFEST_TYPES = (f"{_OCI}.manifest.v1+json", f"{_DOCKER}.distribution.manifest.v2+json")
CONFIG_TYPES = (f"{_OCI}.config.v1+json", f"{_DOCKER}.container.image.v1+json")
LAYER_TYPES = re.compile(
    r"application/vnd\.(?:oci\.image\.layer\.(?:nondistributable\.)?v1\.tar(?:\+gzip|\+zstd)?"
    r"|docker\.image\.rootfs\.(?:foreign\.)?diff\.tar(?:\.gzip|\.zstd)?)\Z"
)
_ATTESTS = "vnd.docker.reference.type"  # BuildKit's: what it says of the image, not an image
_TAGS = ("io.containerd.image.name", "org.opencontainers.image.ref.name")

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})\Z")

Descriptor = Mapping[str, Any]


@dataclass(frozen=True)
class Described:
    """What an archive says that its image is: names of parts, layers from the bottom up."""

    config: str
    layers: tuple[str, ...]
    tags: tuple[str, ...]


def describe_layout(members: Members) -> Described:
    """The one image of an OCI layout; raises Bad where there is not exactly one, or it is not whole."""
    index = json_object(read_small(members, INDEX), INDEX)
    found: dict[str, list[Descriptor]] = {}
    for number, descriptor in enumerate(_manifests(members, index, INDEX)):
        if number >= MAX_MANIFESTS:
            raise Bad(f"{INDEX} names more than {MAX_MANIFESTS} manifests")
        found.setdefault(_blob(members, descriptor), []).append(descriptor)
    if not found:
        raise Bad(f"{INDEX} names no image")
    if len(found) > 1:
        platforms = sorted({_platform(each[0]) for each in found.values()} - {""})
        raise Bad(f"{INDEX} names {len(found)} images{_of(platforms)}; expected one")
    (name, descriptors), *_ = found.items()
    tags = [str(_annotations(descriptor)[key]) for descriptor in descriptors for key in _tag_key(descriptor)]
    return _described(members, name, tuple(dict.fromkeys(tags)))


def _manifests(members: Members, index: Mapping[str, Any], what: str, depth: int = 1) -> Iterator[Descriptor]:
    """The descriptors of all image manifests that INDEX and the indexes in it name."""
    for descriptor in _descriptors(index, "manifests", what):
        kind = descriptor.get("mediaType")
        if _is_attestation(descriptor):
            continue
        if kind in MANIFEST_TYPES:
            yield descriptor
        elif kind in INDEX_TYPES and depth < MAX_DEPTH:
            name = _blob(members, descriptor)
            yield from _manifests(members, json_object(read_small(members, name), "an index"), "an index", depth + 1)
        else:
            raise Bad(f"{what} names a manifest of the unknown media type '{shown(str(kind))}'")


def _described(members: Members, name: str, tags: tuple[str, ...]) -> Described:
    manifest = json_object(read_small(members, name), "its manifest")
    if manifest.get("mediaType", MANIFEST_TYPES[0]) not in MANIFEST_TYPES:
        raise Bad(f"its manifest is of the unknown media type '{shown(str(manifest['mediaType']))}'")
    config = manifest.get("config")
    if not isinstance(config, dict) or config.get("mediaType") not in CONFIG_TYPES:
        kind = config.get("mediaType") if isinstance(config, dict) else None
        raise Bad(f"it is not a container image: its config's media type is '{shown(str(kind))}'")
    layers = _descriptors(manifest, "layers", "its manifest")
    for layer in layers:
        if not LAYER_TYPES.match(str(layer.get("mediaType"))):
            raise Bad(f"a layer is of the unknown media type '{shown(str(layer.get('mediaType')))}'")
    return Described(_blob(members, config), tuple(_blob(members, layer) for layer in layers), tags)


def _descriptors(document: Mapping[str, Any], key: str, what: str) -> list[Descriptor]:
    found = document.get(key) or []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise Bad(f"{what} has no list of {key}")
    return found


def _blob(members: Members, descriptor: Descriptor) -> str:
    """The name of the part that DESCRIPTOR means; raises Bad where it is not there, or of another size."""
    digest = descriptor.get("digest")
    hexadecimal = _DIGEST.match(digest) if isinstance(digest, str) else None
    if hexadecimal is None:
        raise Bad(f"'{shown(str(digest))}' is no digest that is known here")
    name = f"blobs/sha256/{hexadecimal[1]}"
    size = members.part(name).size
    if size != descriptor.get("size"):
        raise Bad(f"'{name}' has {size} bytes, but shall have {shown(str(descriptor.get('size')))}")
    return name


def _is_attestation(descriptor: Descriptor) -> bool:
    return _ATTESTS in _annotations(descriptor)


def _annotations(descriptor: Descriptor) -> Mapping[str, Any]:
    found = descriptor.get("annotations")
    return found if isinstance(found, dict) else {}


def _tag_key(descriptor: Descriptor) -> list[str]:
    return [key for key in _TAGS if key in _annotations(descriptor)][:1]


def _platform(descriptor: Descriptor) -> str:
    platform = descriptor.get("platform")
    return shown(f"{platform.get('os')}/{platform.get('architecture')}") if isinstance(platform, dict) else ""


def _of(platforms: list[str]) -> str:
    return f" ({', '.join(platforms[:8])})" if platforms else ""
