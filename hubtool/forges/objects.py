"""The names that git gives to blobs and trees, worked out without git: the proof that bytes and folders came, and
were made, as they are meant to be."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

FOLDER = "40000"


def blob_id(data: bytes) -> str:
    return _id("blob", data)


def tree_id(leaves: Mapping[str, tuple[str, str]]) -> str:
    """The id of the tree that holds LEAVES: mode and id of each file, link and submodule, by its path. Raises
    ValueError for an id that is none."""
    folders: dict[str, list[tuple[bytes, bytes]]] = {"": []}
    for path, (mode, object_id) in leaves.items():
        folder, _, name = path.rpartition("/")
        while folder not in folders:
            folders[folder] = []
            folder = folder.rpartition("/")[0]
        encoded = name.encode("utf-8", "surrogateescape")
        folders[path.rpartition("/")[0]].append((encoded, _entry(mode, encoded, object_id)))
    # The deepest first; the root, which is in no folder, last.
    for folder in sorted(folders, key=_depth, reverse=True):
        tree = _id("tree", b"".join(entry for _, entry in sorted(folders[folder])))
        if folder:
            above, _, name = folder.rpartition("/")
            encoded = name.encode("utf-8", "surrogateescape")
            # git sorts a folder as if its name ended in "/".
            folders[above].append((encoded + b"/", _entry(FOLDER, encoded, tree)))
    return tree


def _depth(folder: str) -> int:
    return folder.count("/") + 1 if folder else 0


def _entry(mode: str, name: bytes, object_id: str) -> bytes:
    return mode.encode() + b" " + name + b"\0" + bytes.fromhex(object_id)


def _id(kind: str, data: bytes) -> str:
    return hashlib.sha1(b"%s %d\0" % (kind.encode(), len(data)) + data, usedforsecurity=False).hexdigest()
