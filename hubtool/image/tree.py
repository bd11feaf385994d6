"""Layers laid one over another: which of their files a container sees.

The rules are the OCI image specification's (github.com/opencontainers/image-spec, layer.md), and where it is
silent what engines do that unpack onto overlayfs: a folder over a folder keeps what is in it, anything else takes the
place of what was there. Names lead through symbolic links of the same layer, but a folder that is needed takes the
place of a lower layer's link, as each layer is unpacked by itself.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass, replace

from hubtool.image.headers import Header, Kind, TarError, Xattrs

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
ASIDE = ".wh..wh."  # aufs kept files here that others are hard links to
MAX_LINKS = 40  # as in the kernel
MAX_DEPTH = 256  # folders in folders
MAX_FOLDERS = 500_000_000  # bytes of memory; folders without an entry of their own cost an archive next to nothing
FOLDER = 500  # bytes that one needs beside its name


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of one layer. ``path`` has no leading slash; bytes in it that are not UTF-8 are surrogates.

    ``layer`` counts from 0 at the bottom; ``offset`` is where the content starts in that layer's tar. A hard
    link has both, and all else but the path, of the file that it is one with; ``twin`` is the first, by name, of
    the visible names of that file, "" for that first one itself. ``target`` is where a symbolic link leads,
    ``xattrs`` are sorted by name, ``device`` is (major, minor).
    """

    path: str
    kind: Kind
    layer: int
    size: int
    offset: int
    mode: int
    uid: int
    gid: int
    target: str = ""
    mtime: int = 0
    xattrs: Xattrs = ()
    device: tuple[int, int] = (0, 0)
    twin: str = ""

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


class Tree:
    """What is visible of the layers so far."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self._children: dict[str, set[str]] = {}  # paths, of every folder that holds something
        self._number = 0
        self._folders: dict[str, str] = {}  # where names of folders lead in this layer
        self._hidden: dict[str, Entry] = {}
        self._linked: set[tuple[int, int]] = set()  # layer and offset of what has, or had, more than one name
        self._weight = 0

    def add_layer(self, headers: Iterable[Header], number: int) -> list[Entry]:
        """Lay layer NUMBER over those before; returns its entries, whiteouts too, each at the path that it leads to.

        Its whiteouts hide what was below, never what it brings itself. Raises TarError for what no engine unpacks.
        """
        self._hidden = {}
        self._folders = {"": ""}
        self._number = number
        found = list(headers)
        for header in found:
            if WHITEOUT in header.name:
                self._hide(self._place(header.name))
        found.reverse()
        entries = []
        while found:  # popped, so that headers and entries are not all in memory at once
            entries.append(self._add(found.pop(), number))
        return entries

    def tell_twins(self) -> None:
        """Set ``twin`` of every entry that has one."""
        names: dict[tuple[int, int], list[str]] = {}
        for path, entry in self.entries.items() if self._linked else ():
            if (entry.layer, entry.offset) in self._linked:
                names.setdefault((entry.layer, entry.offset), []).append(path)
        for paths in names.values():
            first, *others = sorted(paths)
            for path in others:
                self.entries[path] = replace(self.entries[path], twin=first)

    def resolve(self, path: str, layer: int | None = None) -> str | None:
        """Where PATH leads when symbolic links are followed, the last one too; only LAYER's where that is given.
        None for a loop."""
        todo = [part for part in reversed(path.split("/")) if part not in ("", ".")]
        done = ""
        depth = links = 0
        while todo:
            part = todo.pop()
            if part == "..":
                done, depth = done.rpartition("/")[0], max(0, depth - 1)
                continue
            here = f"{done}/{part}" if done else part
            entry = self.entries.get(here)
            if entry is None or entry.kind != "link" or layer not in (None, entry.layer):
                done, depth = here, depth + 1
                if depth > MAX_DEPTH:
                    return None
                continue
            links += 1
            if links > MAX_LINKS:
                return None
            if entry.target.startswith("/"):
                done, depth = "", 0
            todo += [step for step in reversed(entry.target.split("/")) if step not in ("", ".")]
        return done

    def _place(self, name: str) -> str:
        """The path that a tar member called NAME is unpacked to: its folder's links are followed."""
        path = normal(name)
        folder, _, last = path.rpartition("/")
        real = self._folders.get(folder)
        if real is None:
            real = self.resolve(folder, self._number)
            if real is None:
                raise TarError(f"{shown(name)} is below too many folders or links")
            self._folders[folder] = real
        return path if real == folder else f"{real}/{last}".lstrip("/")

    def _add(self, header: Header, number: int) -> Entry:
        path = self._place(header.name)
        entry = self._twin(header, path) if header.kind == "hard" else _entry(header, path, number)
        if not path and entry.kind != "folder":
            raise TarError("its root is not a folder")
        if WHITEOUT not in path:
            self._put(entry)
        elif f"/{ASIDE}" in f"/{path}":
            self._hidden[path] = entry
        elif not entry.name.startswith(WHITEOUT):
            self._put(entry)
        return entry

    def _twin(self, header: Header, path: str) -> Entry:
        target = self._place(header.target)
        same = self.entries.get(target) or self._hidden.get(target)
        if same is None or same.kind == "folder":
            raise TarError(f"{shown(header.name)} is a hard link to {shown(header.target)}, which is no file here")
        self._linked.add((same.layer, same.offset))
        return replace(same, path=path)

    def _put(self, entry: Entry) -> None:
        path = entry.path
        before = self.entries.get(path)
        if entry.kind != "folder":
            self._remove_below(path)
        if entry.kind == "link" or (before is not None and before.kind == "link"):
            self._folders = {"": ""}
        self.entries[path] = entry
        while path:
            folder = path.rpartition("/")[0]
            children = self._children.get(folder)
            if children is None:
                children = self._children[folder] = self._new_folder(folder)
            elif path in children:
                return
            children.add(path)
            path = folder

    def _new_folder(self, path: str) -> set[str]:
        """The names in a folder that has none yet; one without an entry is made as engines make it."""
        before = self.entries.get(path)
        if path and (before is None or before.kind != "folder"):
            self.entries[path] = Entry(path, "folder", self._number, 0, 0, 0o755, 0, 0)
        self._weight += FOLDER + len(path)
        if self._weight > MAX_FOLDERS:
            raise TarError("its folders are too many and too deep")
        return set()

    def _hide(self, path: str) -> None:
        folder, _, name = path.rpartition("/")
        if name == OPAQUE:
            self._remove_below(folder)
        elif name.startswith(WHITEOUT):
            if name[len(WHITEOUT) :] in ("", ".", ".."):
                raise TarError(f"{shown(path)} hides no file")
            self._remove(posixpath.join(folder, name[len(WHITEOUT) :]))

    def _remove(self, path: str) -> None:
        self._remove_below(path)
        self._drop(path)
        self._children.get(path.rpartition("/")[0], set()).discard(path)

    def _remove_below(self, path: str) -> None:
        folders = [path]
        while folders:
            for child in self._children.pop(folders.pop(), ()):
                self._drop(child)
                folders.append(child)

    def _drop(self, path: str) -> None:
        entry = self.entries.pop(path, None)
        if entry is None:
            return
        self._hidden[path] = entry
        if entry.kind == "link":
            self._folders = {"": ""}


def _entry(header: Header, path: str, number: int) -> Entry:
    return Entry(
        path,
        header.kind,  # type: ignore[arg-type]  # not "hard"
        number,
        header.size,
        header.offset,
        header.mode,
        header.uid,
        header.gid,
        header.target if header.kind == "link" else "",
        header.mtime,
        header.xattrs,
        header.device,
    )


def normal(name: str) -> str:
    """A tar member's name as a path below the image's root: no leading slash, no '.' and no '..'.

    Raises TarError for one that leads out of it.
    """
    path = name.removeprefix("./").strip("/")
    if path.startswith(".") or "/." in path or "//" in path:
        path = posixpath.normpath(path)
        if path == ".." or path.startswith("../"):
            raise TarError(f"{shown(name)} leads outside")
    return "" if path == "." else path


def shown(name: str) -> str:
    return ascii(name[:80])
