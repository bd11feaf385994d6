"""Compressed layers, read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO, Literal

from hubtool.errors import HubtoolError

Compression = Literal["none", "gzip", "zstd"]
PIECE = 1024 * 1024

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
        raise HubtoolError(
            f"the layer {name} can't be decompressed: {error}", hint="build or save the image again"
        ) from error


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
