"""The files of an image, read from its layers with nothing running and nothing unpacked.

Layers are tar streams as the OCI image specification has them (github.com/opencontainers/image-spec, layer.md):
a whiteout ``.wh.NAME`` hides NAME of the layers below, ``.wh..wh..opq`` hides all that they have in its folder.
"""

from __future__ import annotations

import io
import posixpath
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import IO, BinaryIO, Literal

from hubtool.errors import HubtoolError

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
MAX_ENTRIES = 5_000_000
MAX_LINKS = 40

Kind = Literal["file", "folder", "link", "fifo", "char", "block"]
_KINDS: dict[bytes, Kind] = {
    tarfile.DIRTYPE: "folder",
    tarfile.SYMTYPE: "link",
    tarfile.FIFOTYPE: "fifo",
    tarfile.CHRTYPE: "char",
    tarfile.BLKTYPE: "block",
}
Opener = Callable[[], IO[bytes]]


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
    xattrs: tuple[tuple[str, bytes], ...] = ()
    device: tuple[int, int] = (0, 0)
    twin: str = ""

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


class ImageFiles:
    """All files of an image; LAYERS open its uncompressed layer tars as seekable streams, lowest first.

    Raises HubtoolError, at first use, for a layer that is not a whole tar archive.
    """

    def __init__(self, layers: Sequence[Opener]) -> None:
        self._openers = layers
        self._streams: dict[int, IO[bytes]] = {}

    def close(self) -> None:
        """Close the layers; they are opened again when they are needed."""
        while self._streams:
            self._streams.popitem()[1].close()

    @cached_property
    def layers(self) -> list[list[Entry]]:
        """Every entry of every layer, in order; whiteouts among them, entries that a later layer hides too."""
        return [list(self._index(number)) for number in range(len(self._openers))]

    @cached_property
    def visible(self) -> dict[str, Entry]:
        """What a container of the image sees, by path."""
        tree = _Tree()
        for entries in self.layers:
            tree.add_layer(entries)
        return _with_twins(tree.entries)

    def is_visible(self, entry: Entry) -> bool:
        """Whether ENTRY is what a container sees at its path."""
        seen = self.visible.get(entry.path)
        return seen is not None and (seen.layer, seen.offset) == (entry.layer, entry.offset)

    def read(self, entry: Entry, limit: int) -> bytes:
        """The first LIMIT bytes of a file's content; b"" for what is not a file."""
        if entry.kind != "file":
            return b""
        try:
            stream = self._stream(entry.layer)
            stream.seek(entry.offset)
            return stream.read(min(entry.size, limit))
        except (OSError, EOFError, zlib.error) as error:
            raise _unreadable(entry.layer, error) from error

    def open(self, entry: Entry) -> BinaryIO:
        """The content of a file, as a new reader; good until the files are closed. Several threads may read."""
        return io.BytesIO(self.read(entry, entry.size))

    def find(self, path: str) -> Entry | None:
        """What a container sees at PATH, symbolic links followed; None where there is nothing."""
        resolved = self._resolve(path)
        return self.visible.get(resolved) if resolved is not None else None

    def text(self, path: str, limit: int = 1_000_000) -> str | None:
        """The content of the file at PATH, links followed; None where there is none."""
        entry = self.find(path)
        if entry is None or entry.kind != "file":
            return None
        return self.read(entry, limit).decode("utf-8", "replace")

    def which(self, program: str, search: str) -> Entry | None:
        """The first executable PROGRAM in the folders of the PATH variable SEARCH."""
        for folder in search.split(":"):
            entry = self.find(posixpath.join("/", folder, program))
            if entry is not None and entry.kind == "file" and entry.mode & 0o111:
                return entry
        return None

    def _resolve(self, path: str) -> str | None:
        todo = [part for part in reversed(path.split("/")) if part not in ("", ".")]
        done: list[str] = []
        links = 0
        while todo:
            part = todo.pop()
            if part == "..":
                done = done[:-1]
                continue
            entry = self.visible.get("/".join([*done, part]))
            if entry is None or entry.kind != "link":
                done.append(part)
                continue
            links += 1
            if links > MAX_LINKS:
                return None
            if entry.target.startswith("/"):
                done = []
            todo += [step for step in reversed(entry.target.split("/")) if step not in ("", ".")]
        return "/".join(done)

    def _stream(self, number: int) -> IO[bytes]:
        if number not in self._streams:
            self._streams[number] = self._openers[number]()
        return self._streams[number]

    def _index(self, number: int) -> Iterator[Entry]:
        seen: dict[str, Entry] = {}
        try:
            for info in _members(self._stream(number)):
                entry = _entry(info, number, seen)
                seen[entry.path] = entry
                if len(seen) > MAX_ENTRIES:
                    raise HubtoolError(f"layer {number + 1} of the image has more than {MAX_ENTRIES} files")
                yield entry
        except (tarfile.TarError, OSError, EOFError, ValueError, zlib.error) as error:
            raise _unreadable(number, error) from error


def _unreadable(number: int, error: Exception) -> HubtoolError:
    return HubtoolError(
        f"layer {number + 1} of the image can't be read: {error or type(error).__name__}",
        hint="the archive may have been cut short; is there room on the disk?",
    )


def _members(stream: IO[bytes]) -> Iterator[tarfile.TarInfo]:
    """The members of a tar, none of them kept; raises tarfile.ReadError where it does not end as a tar does."""
    stream.seek(0)
    if not stream.read(1):
        return  # the empty layer that some builders write as no bytes at all
    stream.seek(0)
    with tarfile.open(fileobj=stream, mode="r:", errors="surrogateescape", encoding="utf-8") as tar:
        for info in tar:
            yield info
            tar.members.clear()  # type: ignore[attr-defined]  # else it keeps them all
        # tarfile takes a broken header for the end of the archive.
        stream.seek(tar.offset)
        if stream.read(tarfile.BLOCKSIZE).strip(b"\0"):
            raise tarfile.ReadError(f"broken header at byte {tar.offset}")


def _entry(info: tarfile.TarInfo, number: int, seen: dict[str, Entry]) -> Entry:
    path = normal(info.name)
    if info.islnk():
        same = seen.get(normal(info.linkname))
        if same is None:
            raise ValueError(f"'{path}' is a link to a file that is not there")
        return replace(same, path=path)
    return Entry(
        path=path,
        kind=_KINDS.get(info.type, "file"),
        layer=number,
        size=info.size,
        offset=info.offset_data,
        mode=info.mode,
        uid=info.uid,
        gid=info.gid,
        target=info.linkname if info.issym() else "",
        mtime=int(info.mtime),
        xattrs=_xattrs(info),
        device=(info.devmajor, info.devminor) if info.isdev() and not info.isfifo() else (0, 0),
    )


def _xattrs(info: tarfile.TarInfo) -> tuple[tuple[str, bytes], ...]:
    prefix = "SCHILY.xattr."
    found = [(key, value) for key, value in info.pax_headers.items() if key.startswith(prefix)]
    return tuple(sorted((key[len(prefix) :], value.encode("utf-8", "surrogateescape")) for key, value in found))


def _with_twins(entries: dict[str, Entry]) -> dict[str, Entry]:
    first: dict[tuple[int, int], str] = {}
    for path in sorted(entries):
        entry = entries[path]
        twin = first.setdefault((entry.layer, entry.offset), path)
        if twin != path:
            entries[path] = replace(entry, twin=twin)
    return entries


def normal(name: str) -> str:
    """A tar member's name as a path below the image's root: no leading slash, no '.' and no '..'."""
    return posixpath.normpath("/" + name).lstrip("/")


class _Tree:
    """The entries that are visible so far, with the names in each folder, so that whiteouts are quick."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self._names: dict[str, set[str]] = {}

    def add_layer(self, entries: Iterable[Entry]) -> None:
        """Lay a layer over those before. Its whiteouts hide what was below, never what it brings itself."""
        added = []
        for entry in entries:
            folder, _, name = entry.path.rpartition("/")
            if name == OPAQUE:
                self._remove_below(folder)
            elif name.startswith(WHITEOUT):
                self._remove(posixpath.join(folder, name[len(WHITEOUT) :]))
            else:
                added.append(entry)
        for entry in added:
            self._add(entry)

    def _add(self, entry: Entry) -> None:
        if entry.kind != "folder":
            self._remove_below(entry.path)
        self.entries[entry.path] = entry
        path = entry.path
        while path:
            folder, _, name = path.rpartition("/")
            names = self._names.setdefault(folder, set())
            if name in names:
                return
            names.add(name)
            path = folder

    def _remove(self, path: str) -> None:
        self._remove_below(path)
        self.entries.pop(path, None)
        folder, _, name = path.rpartition("/")
        self._names.get(folder, set()).discard(name)

    def _remove_below(self, path: str) -> None:
        folders = [path]
        while folders:
            folder = folders.pop()
            for name in self._names.pop(folder, ()):
                child = posixpath.join(folder, name)
                self.entries.pop(child, None)
                folders.append(child)
