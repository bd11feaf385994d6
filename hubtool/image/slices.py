"""Parts of files, as files: several may be read at once, from several threads."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable
from typing import IO, Any, BinaryIO

from hubtool.errors import HubtoolError

BUFFER = 256 * 1024

Pread = Callable[[int, int], bytes]  # size, offset -> content, fewer bytes only at the end


class Slice(io.RawIOBase):
    """SIZE bytes from OFFSET on of what PREAD reads, seekable; raises HubtoolError where they are not there."""

    def __init__(self, pread: Pread, offset: int, size: int) -> None:
        self._pread = pread
        self._offset = offset
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("before the start")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        data = self.pread(len(buffer), self._at)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def readall(self) -> bytes:
        """The rest at once: by itself Python would take it in pieces of 8 KiB."""
        data = self.pread(max(0, self._size - self._at), self._at)
        self._at += len(data)
        return data

    def pread(self, size: int, offset: int) -> bytes:
        """SIZE bytes from OFFSET on, fewer at the end; the position is neither used nor moved."""
        wanted = min(size, max(0, self._size - offset))
        data = self._pread(wanted, self._offset + offset) if wanted else b""
        if len(data) < wanted:
            raise HubtoolError("an image was cut short while it was read", hint="build or save it again")
        return data


def open_slice(file: IO[bytes], offset: int, size: int) -> BinaryIO:
    """A buffered reader of SIZE bytes of FILE from OFFSET on; good until FILE is closed."""
    return open_part(pread_of(file), offset, size)


def open_part(pread: Pread, offset: int, size: int) -> BinaryIO:
    """The same of what PREAD reads; the buffer is no larger than the part."""
    return io.BufferedReader(Slice(pread, offset, size), max(1, min(size, BUFFER)))


def pread_of(stream: IO[bytes]) -> Pread:
    """Reads STREAM at any offset, from any thread: beside its position where it is a file or a slice of one, else
    one thread at a time."""
    raw = getattr(stream, "raw", stream)
    if isinstance(raw, Slice):
        return raw.pread
    if isinstance(raw, io.FileIO):
        return _of_file(stream)
    lock = threading.Lock()

    def pread(size: int, offset: int) -> bytes:
        with lock:
            stream.seek(offset)
            return stream.read(size)

    return pread


def _of_file(file: IO[bytes]) -> Pread:
    def pread(size: int, offset: int) -> bytes:
        data = os.pread(file.fileno(), size, offset)
        while len(data) < size and (more := os.pread(file.fileno(), size - len(data), offset + len(data))):
            data += more  # the kernel gives at most 2 GiB at once
        return data

    return pread
