"""Compressors for layers, with ``compress`` and ``flush`` as zlib's have them. Equal input gives equal output, however
it is cut into pieces and whatever the number of cores; memory is bounded.

gzip is libdeflate's (PyPI: deflate), each block of 1 MiB a gzip member of its own (RFC 1952, 2.2), so that one layer
too is compressed on all cores. Every runtime and registry reads several members: the layers of eStargz have one for
each file. On the layers of a scientific Python stack (2.1 GB; benchmarks/push), against Go's, which `docker push` has:

    igzip 1 (ISA-L)    13 % larger    400 MB/s on a core
    igzip 3             9 % larger    270 MB/s
    zlib-ng 5         0.4 % larger     80 MB/s
    zlib 6            1.7 % smaller    30 MB/s
    libdeflate 6      2.4 % smaller    80 MB/s, the same bytes on every kind of machine

The engine takes longer to hand an image out than four cores to compress it, and the bytes are stored and fetched many
times: smaller is worth more than faster than that.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Literal, Protocol

Packing = Literal["gzip", "zstd"]

LEVELS: dict[Packing, int] = {"gzip": 6, "zstd": 3}
BLOCK = 1024 * 1024  # bytes; larger ones save next to nothing (4 MiB: 0.2 %)
CORES = min(16, os.cpu_count() or 1)  # more would take memory, and no network takes as much
WAITING = 2 * CORES  # blocks of a layer that wait to be compressed or taken
# zstd with workers gives other bytes than without, but the same for any number of them.
ZSTD_WORKERS = 4


class Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes:
        """What is ready by now; perhaps nothing."""
        ...

    def flush(self) -> bytes:
        """The rest."""
        ...


def compressor(packing: Packing) -> Compressor:
    """A new one."""
    return _COMPRESSORS[packing](LEVELS[packing])


class _GzipBlocks:
    def __init__(self, level: int) -> None:
        from deflate import gzip_compress

        self._pack: Callable[[memoryview, int], bytes | bytearray] = gzip_compress
        self._level = level
        self._rest = b""
        self._running: deque[Future[bytes | bytearray]] = deque()
        self._empty = True

    def compress(self, data: bytes, /) -> bytes:
        view = memoryview(self._rest + data if self._rest else data)
        whole = len(view) - len(view) % BLOCK
        ready = [piece for start in range(0, whole, BLOCK) for piece in self._add(view[start : start + BLOCK])]
        self._rest = bytes(view[whole:])
        return b"".join(ready)

    def flush(self) -> bytes:
        ready = list(self._add(memoryview(self._rest))) if self._rest or self._empty else []
        return b"".join([*ready, *(running.result() for running in self._running)])

    def _add(self, block: memoryview) -> Iterator[bytes | bytearray]:
        """Have BLOCK compressed; gives what there is no longer room to keep."""
        self._empty = False
        self._running.append(_pool().submit(self._pack, block, self._level))
        while len(self._running) > WAITING:
            yield self._running.popleft().result()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(CORES, "compress")  # libdeflate takes no lock of Python's


def _zstd(level: int) -> Compressor:
    import zstandard

    found: Compressor = zstandard.ZstdCompressor(level=level, threads=ZSTD_WORKERS).compressobj()
    return found


_COMPRESSORS: dict[Packing, Callable[[int], Compressor]] = {"gzip": _GzipBlocks, "zstd": _zstd}
