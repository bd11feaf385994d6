"""The files of an image, read from its layers with nothing running and nothing unpacked."""

from __future__ import annotations

import posixpath
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import IO, BinaryIO

from hubtool.errors import HubtoolError
from hubtool.image.headers import Header, Kind, read_headers
from hubtool.image.slices import Pread, open_part, pread_of
from hubtool.image.tree import Entry, Tree

__all__ = ["Entry", "ImageFiles", "Kind"]

MAX_ENTRIES = 5_000_000
AT_ONCE = 4  # layers that are opened side by side, as compressed ones are inflated then

Opener = Callable[[], IO[bytes]]


class ImageFiles:
    """All files of an image; LAYERS open its uncompressed layer tars as seekable streams, lowest first.

    Raises HubtoolError, at first use, for a layer that is not a whole tar archive, or not one that engines unpack.
    Once ``layers`` or ``visible`` are there, several threads may read contents.
    """

    def __init__(self, layers: Sequence[Opener]) -> None:
        self._openers = layers
        self._streams: dict[int, IO[bytes]] = {}
        self._preads: dict[int, Pread] = {}

    def close(self) -> None:
        """Close the layers; they are opened again when they are needed."""
        self._preads.clear()
        while self._streams:
            self._streams.popitem()[1].close()

    @property
    def layers(self) -> list[list[Entry]]:
        """Every entry of every layer, in order; whiteouts among them, entries that a later layer hides too."""
        return self._all[0]

    @property
    def visible(self) -> dict[str, Entry]:
        """What a container of the image sees, by path; folders that have no entry of their own among it."""
        return self._all[1].entries

    def is_visible(self, entry: Entry) -> bool:
        """Whether ENTRY is what a container sees at its path."""
        seen = self.visible.get(entry.path)
        return seen is not None and (seen.layer, seen.offset) == (entry.layer, entry.offset)

    def read(self, entry: Entry, limit: int) -> bytes:
        """The first LIMIT bytes of a file's content; b"" for what is not a file."""
        if entry.kind != "file":
            return b""
        wanted = min(entry.size, limit)
        try:
            content = self._pread(entry.layer)(wanted, entry.offset)
        except (OSError, EOFError, zlib.error) as error:
            raise _unreadable(entry.layer, error) from error
        if len(content) < wanted:
            raise _unreadable(entry.layer, EOFError("cut short"))
        return content

    def open(self, entry: Entry) -> BinaryIO:
        """The content of a file as a new reader, good until the files are closed; empty for what is not a file.
        It raises HubtoolError where the content is not there any more."""
        size = entry.size if entry.kind == "file" else 0
        return open_part(self._pread(entry.layer), entry.offset, size)

    def find(self, path: str) -> Entry | None:
        """What a container sees at PATH, symbolic links followed; None where there is nothing."""
        resolved = self._all[1].resolve(path)
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

    @cached_property
    def _all(self) -> tuple[list[list[Entry]], Tree]:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(self._pread, range(len(self._openers))))
        tree = Tree()
        layers: list[list[Entry]] = []
        count = 0
        for number in range(len(self._openers)):
            layers.append(self._index(tree, number, MAX_ENTRIES - count))
            count += len(layers[-1])
        tree.tell_twins()
        return layers, tree

    def _pread(self, number: int) -> Pread:
        if number not in self._preads:
            try:
                stream = self._openers[number]()
            except OSError as error:
                raise _unreadable(number, error) from error
            self._streams[number] = stream
            self._preads[number] = pread_of(stream)
        return self._preads[number]

    def _index(self, tree: Tree, number: int, most: int) -> list[Entry]:
        try:
            return tree.add_layer(_limited(read_headers(self._streams[number]), most), number)
        except (OSError, EOFError, ValueError, OverflowError, zlib.error) as error:
            raise _unreadable(number, error) from error


def _limited(headers: Iterator[Header], most: int) -> Iterator[Header]:
    for count, header in enumerate(headers):
        if count >= most:
            raise HubtoolError(f"the image has more than {MAX_ENTRIES} files")
        yield header


def _unreadable(number: int, error: Exception) -> HubtoolError:
    return HubtoolError(
        f"layer {number + 1} of the image can't be read: {error or type(error).__name__}",
        hint="the archive may have been cut short; is there room on the disk?",
    )
