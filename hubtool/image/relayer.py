"""A finished image in other layers: the same files, but what is installed together and changes together is together.

Nothing that a container sees is another than before but times (``hubtool.image.times``); layers are equal wherever
the files in them are, in whichever image and build, so a registry and a node have them once.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from hubtool.image.canonical import Member, members_of, write_tar
from hubtool.image.files import Entry, ImageFiles
from hubtool.image.groups import Grouping, group_files
from hubtool.image.layout import Layout, lay_out
from hubtool.image.pack import Writer
from hubtool.image.packages import Ownership
from hubtool.image.times import CREATED, Times

MOST_LAYERS = 64
INLINE_CACHE = "moby.buildkit.cache.v0"  # BuildKit's, which names layers as they were built
NAMED = 12  # packages that a layer's line of history names


@dataclass(frozen=True)
class NewLayer:
    """A layer: the groups in it, the digest and size (bytes) of its tar, and how to write that, any number of times."""

    keys: tuple[str, ...]
    diff_id: str
    size: int
    write_tar: Callable[[Writer], None] = field(repr=False)


@dataclass(frozen=True)
class NewImage:
    """An image's new config and layers, from the bottom up."""

    config: bytes
    layers: tuple[NewLayer, ...]


def relayer(
    files: ImageFiles,
    config: Mapping[str, Any],
    ownership: Ownership,
    previous: Layout | None = None,
    *,
    most: int = MOST_LAYERS,
    created: int = CREATED,
) -> NewImage:
    """FILES, whose packages OWNERSHIP names, in at most MOST layers, laid out as PREVIOUS as far as that goes.

    All files get the time CREATED. Equal arguments give equal bytes. The layers read FILES when they are written.
    """
    grouping = group_files(files.visible, ownership)
    layout = lay_out(grouping.groups, previous, most=most)
    placed = sorted(key for keys in layout.layers for key in keys if key in grouping.paths)
    if placed != sorted(grouping.paths):
        raise ValueError("the layout has not every group once: files would be lost")
    times = Times(files, created)
    tars = [_Tar(keys, files, _members(files.visible, grouping, keys), times) for keys in layout.layers]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:  # hashing takes no lock of Python's
        largest_first = sorted((tar for tar in tars if tar.members), key=_Tar.weight, reverse=True)
        made = {tar: pool.submit(tar.layer) for tar in largest_first}
    layers = tuple(made[tar].result() for tar in tars if tar in made)
    return NewImage(_config(config, layers, ownership), layers)


def _members(visible: Mapping[str, Entry], grouping: Grouping, keys: Iterable[str]) -> list[Member]:
    """What is in the groups KEYS, and the folders above; unpacking would make those too, but not with their owners."""
    paths = {path for key in keys for path in grouping.paths.get(key, ())}
    folders: set[str] = set()
    for path in paths:
        while path and (path := path.rpartition("/")[0]) not in folders:
            folders.add(path)
    return members_of(visible[path] for path in paths | (folders & visible.keys()))


@dataclass(frozen=True, eq=False)
class _Tar:
    """The tar of a layer, not written anywhere."""

    keys: tuple[str, ...]
    files: ImageFiles
    members: Sequence[Member]
    times: Times

    def weight(self) -> int:
        return sum(member.entry.size for member in self.members)

    def write(self, out: Writer) -> None:
        write_tar(self.files, self.members, self.times, out)

    def layer(self) -> NewLayer:
        digest = _Digest()
        self.write(digest)
        return NewLayer(self.keys, f"sha256:{digest.hash.hexdigest()}", digest.size, self.write)


class _Digest:
    """Takes bytes and keeps their hash and number."""

    def __init__(self) -> None:
        self.hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes, /) -> None:
        self.hash.update(data)
        self.size += len(data)


def _config(config: Mapping[str, Any], layers: Sequence[NewLayer], ownership: Ownership) -> bytes:
    """CONFIG with the new layers. What built the image stays in its history, though with no layers of its own."""
    before = config.get("history")
    steps = [step for step in before if isinstance(step, dict)] if isinstance(before, list) else []
    created = {"created": config["created"]} if isinstance(config.get("created"), str) else {}
    names = {package.key: f"{package.name} {package.version}" for package in ownership.packages}
    history = [{**step, "empty_layer": True} for step in steps]
    history += [{**created, "created_by": "hubtool", "comment": _named(layer.keys, names)} for layer in layers]
    rootfs = {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]}
    config = {key: value for key, value in config.items() if key != INLINE_CACHE}
    return json.dumps({**config, "rootfs": rootfs, "history": history}, separators=(",", ":")).encode()


def _named(keys: Sequence[str], names: Mapping[str, str]) -> str:
    shown = [names.get(key, key)[:80] for key in keys[:NAMED]]
    more = [f"and {len(keys) - NAMED} more"] if len(keys) > NAMED else []
    return ", ".join(shown + more)
