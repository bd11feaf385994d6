"""Bytes that somebody writes, read while they are written, and written again where they are needed again."""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Callable, Iterator
from types import TracebackType

from hubtool.registries.model import Writer

PIECE = 1024 * 1024  # bytes that go from the writer to the reader at once
AHEAD = 4  # pieces that the writer may be before the reader

Write = Callable[[Writer], object]


class _Abandoned(Exception):
    """Nobody reads any more."""


class Production:
    """What WRITE writes, read by another thread than it is written by. Call ``close`` when done with it."""

    def __init__(self, write: Write) -> None:
        self.position = 0  # what was read
        self.ended = False
        self.size = 0  # this and the digest are final when ``ended``
        self._hash = hashlib.sha256()
        self._queue: queue.Queue[bytes | BaseException | None] = queue.Queue(AHEAD)
        self._error: BaseException | None = None
        self._rest = bytearray()
        self._gathered = bytearray()
        self._abandoned = False
        self._thread = threading.Thread(target=self._run, args=(write,), daemon=True)
        self._thread.start()

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"

    def read(self, size: int) -> bytes:
        """SIZE bytes, fewer only at the end. Raises what the writer raised."""
        while len(self._rest) < size and not self.ended:
            piece = self._error or self._queue.get()
            if isinstance(piece, BaseException):
                self._error = piece
                raise piece
            if piece is None:
                self.ended = True
            else:
                self._rest += piece
        data = bytes(self._rest[:size])
        del self._rest[:size]
        self.position += len(data)
        return data

    def close(self) -> None:
        """Return when the writer has stopped."""
        self._abandoned = True
        while self._thread.is_alive():
            while not self._queue.empty():
                self._queue.get_nowait()
            self._thread.join(0.02)

    def write(self, data: bytes, /) -> int:
        self._gathered += data
        if len(self._gathered) >= PIECE:
            self._hand_over()
        return len(data)

    def _run(self, write: Write) -> None:
        try:
            write(self)
            self._hand_over()
            self._queue.put(None)
        except _Abandoned:
            pass
        except BaseException as error:
            self._queue.put(error)

    def _hand_over(self) -> None:
        if self._abandoned:
            raise _Abandoned
        piece, self._gathered = bytes(self._gathered), bytearray()
        self._hash.update(piece)
        self.size += len(piece)
        if piece:
            self._queue.put(piece)


class Produced:
    """The bytes that WRITE writes, from any offset; WRITE has to write the same every time."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._production = Production(write)
        self._kept = b""  # the last that was read of the production

    def __enter__(self) -> Produced:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._production.close()

    @property
    def size(self) -> int | None:
        """None until the end was seen."""
        return self._production.size if self._production.ended else None

    @property
    def digest(self) -> str:
        return self._production.digest

    def holds_all(self, most: int) -> bool:
        """Whether it is not more than MOST bytes."""
        self.take(0, most + 1)
        return self.size is not None and self.size <= most

    def finish(self) -> str:
        """Make all of it for its digest only."""
        for _ in self.everything():
            pass
        return self.digest

    def take(self, start: int, length: int) -> bytes:
        """LENGTH bytes from START on, fewer only at the end; they are kept, to be taken again for nothing."""
        self._go_to(start)
        self._kept += self._production.read(max(0, length - len(self._kept)))
        return self._kept[:length]

    def everything(self) -> Iterator[bytes]:
        """All of it, in pieces, of which none is kept."""
        self._go_to(0)
        kept, self._kept = memoryview(self._kept), b""
        for start in range(0, len(kept), PIECE):
            yield bytes(kept[start : start + PIECE])
        del kept
        while piece := self._production.read(PIECE):
            yield piece

    def _go_to(self, start: int) -> None:
        """Have ``_kept`` begin at START."""
        back = self._production.position - start
        if 0 <= back <= len(self._kept):
            self._kept = self._kept[len(self._kept) - back :]
            return
        if back > 0:
            self._production.close()
            self._production = Production(self._write)
        self._kept = b""
        while self._production.position < start:
            if not self._production.read(min(PIECE, start - self._production.position)):
                return
