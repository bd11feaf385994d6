"""Compressed layers, read."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable, Iterator
from typing import IO, Any, BinaryIO, Literal

from hubtool.errors import HubtoolError
from hubtool.image.slices import open_slice
from hubtool.image.spool import check_room, disk_problem, spool_file

Compression = Literal["none", "gzip", "zstd"]
PIECE = 1024 * 1024
LARGE = 1_000_000_000  # bytes; what holds less harms nobody
MAX_RATIO = 250  # of what is larger; images have about 3, and a bomb of gzip 1000
CHECK_EVERY = 64  # pieces

_MAGIC: dict[bytes, Compression] = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}


def compression_of(start: bytes) -> Compression:
    """The compression of data that begins with START (4 bytes are enough); "none" where none is known by it."""
    return next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), "none")


def inflate(stored: BinaryIO, compression: Compression, name: str) -> Iterator[bytes]:
    """What STORED holds, uncompressed, piece by piece; raises HubtoolError, naming NAME, for damaged data."""
    reader = _READERS[compression]
    try:
        yield from reader(stored)
    except HubtoolError:
        raise
    except Exception as error:  # the libraries raise their own kinds, OSError and EOFError
        raise HubtoolError(f"{name} can't be decompressed: {error}", hint="build or save the image again") from error


class Inflated:
    """What compressed data holds, in a file without a name that is made at first use, once, and goes away on close.

    ``diff_id`` and ``digest`` are what the data shall have, uncompressed and as stored; None is not checked.
    """

    def __init__(
        self,
        stored: Callable[[], BinaryIO],
        compression: Compression,
        name: str,
        size: int,
        diff_id: str | None = None,
        digest: str | None = None,
    ) -> None:
        self._stored = stored
        self._compression = compression
        self._name = name
        self._most = max(LARGE, size * MAX_RATIO)
        self._diff_id = diff_id
        self._digest = digest
        self._lock = threading.Lock()
        self._file: IO[bytes] | None = None
        self._size = 0

    def open(self) -> BinaryIO:
        """The uncompressed data, as a new seekable reader, good until the close. Raises HubtoolError where the
        data is damaged, expands without measure, or fills the disk."""
        with self._lock:
            if self._file is None:
                self._file = self._inflate()
            return open_slice(self._file, 0, self._size)

    def close(self) -> None:
        """Give the disk space back."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _inflate(self) -> IO[bytes]:
        file = spool_file()
        try:
            self._fill(file)
            file.flush()
        except OSError as error:
            file.close()
            raise disk_problem(error) from error
        except BaseException:
            file.close()
            raise
        return file

    def _fill(self, file: IO[bytes]) -> None:
        plain = hashlib.sha256()
        size = 0
        with self._stored() as stored:
            hashed = _Hashed(stored)
            reader = io.BufferedReader(hashed, PIECE)
            for number, piece in enumerate(inflate(reader, self._compression, self._name)):
                if self._diff_id:
                    plain.update(piece)
                size += file.write(piece)
                self._check_size(size)
                if number % CHECK_EVERY == CHECK_EVERY - 1:
                    check_room(file)
            found = hashed.digest()
        self._size = size
        self._same(self._digest, found)
        self._same(self._diff_id, f"sha256:{plain.hexdigest()}")

    def _check_size(self, size: int) -> None:
        if size > self._most:
            raise HubtoolError(
                f"{self._name} expands to more than {self._most / 1e9:.0f} GB, which no real image does",
                hint="do not use this image",
            )

    def _same(self, expected: str | None, found: str) -> None:
        if expected not in (None, found):
            raise HubtoolError(
                f"{self._name} is damaged: it shall be {expected}, but is {found}", hint="build or save the image again"
            )


class _Hashed(io.RawIOBase):
    """A reader that hashes what it reads."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        self._hash.update(data)
        return len(data)

    def digest(self) -> str:
        """The digest of all, what nobody read too."""
        while self.read(PIECE):
            pass
        return f"sha256:{self._hash.hexdigest()}"


def _plain(stored: BinaryIO) -> Iterator[bytes]:
    while piece := stored.read(PIECE):
        yield piece


def _gzip(stored: BinaryIO) -> Iterator[bytes]:
    from isal import igzip

    with igzip.open(stored, "rb") as reader:  # type: ignore[no-untyped-call]
        while piece := reader.read(PIECE):
            yield piece


def _zstd(stored: BinaryIO) -> Iterator[bytes]:
    import zstandard

    with zstandard.ZstdDecompressor().stream_reader(stored, read_across_frames=True, closefd=False) as reader:
        while piece := reader.read(PIECE):
            yield piece


_READERS: dict[Compression, Callable[[BinaryIO], Iterator[bytes]]] = {"none": _plain, "gzip": _gzip, "zstd": _zstd}
