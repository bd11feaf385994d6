"""Reading a blob of any size, from where it stopped after a dropped connection, its digest checked at the end."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import closing
from typing import BinaryIO

import httpx

from hubtool.registries.model import RegistryError
from hubtool.registries.session import Session
from hubtool.registries.wire import ATTEMPTS, Answer, Dropped, Silent

BUFFER = 1024 * 1024


def open_blob(session: Session, digest: str, limit: int) -> BinaryIO:
    """See RegistryClient.open_blob."""
    return io.BufferedReader(_BlobReader(session, digest, limit), BUFFER)


class _BlobReader(io.RawIOBase):
    def __init__(self, session: Session, digest: str, limit: int) -> None:
        self.session = session
        self.digest = digest
        self.limit = limit
        self.hash = hashlib.sha256()
        self.offset = 0
        self.piece = memoryview(b"")
        self.answer = self._ask()
        self.pieces = self._pieces()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        if not self.piece:
            self.piece = memoryview(next(self.pieces, b""))
        count = min(len(buffer), len(self.piece))
        buffer[:count] = self.piece[:count]
        self.piece = self.piece[count:]
        return count

    def close(self) -> None:
        if not self.closed and self.answer.open is not None:
            self.answer.open.close()
        super().close()

    def _pieces(self) -> Iterator[bytes]:
        """All that is not read yet. The last piece comes only when the whole has been found right."""
        last = b""
        for piece in self._received():
            self.hash.update(piece)
            self.offset += len(piece)
            if self.offset > self.limit:
                raise self._lie(f"has more than {self.limit} bytes")
            if last:
                yield last
            last = piece
        if f"sha256:{self.hash.hexdigest()}" != self.digest:
            raise self._lie("has another content")
        if last:
            yield last

    def _received(self) -> Iterator[bytes]:
        """What the registry sends; asked for again from ``offset`` on where the connection breaks."""
        tries, reached = 0, 0
        while True:
            try:
                yield from self._rest()
                return
            except (httpx.TransportError, httpx.StreamError) as error:
                problem = self.session.wire.explain(error, self.answer.url)
                tries, reached = (tries + 1, reached) if self.offset == reached else (1, self.offset)
                if not isinstance(problem, Dropped) or isinstance(problem, Silent) or tries >= ATTEMPTS:
                    raise problem from error
                self.session.wire.wait(tries)
            self.answer = self._ask()

    def _rest(self) -> Iterator[bytes]:
        opened = self.answer.open
        if opened is None:
            return
        skipped = 0 if self._goes_on() else self.offset
        with closing(opened):
            for piece in opened.iter_raw():
                yield piece[skipped:]
                skipped -= min(skipped, len(piece))

    def _goes_on(self) -> bool:
        """Whether the answer begins where we stopped, and not at the blob's begin."""
        if self.answer.status != 206:
            return False
        if not self.answer.headers.get("Content-Range", "").startswith(f"bytes {self.offset}-"):
            raise self._lie("goes on at another byte than was asked for")
        return True

    def _ask(self) -> Answer:
        headers = {"Range": f"bytes={self.offset}-"} if self.offset else {}
        url = self.session.url(f"blobs/{self.digest}")
        answer = self.session.request("GET", url, headers=headers, stream=True)
        if answer.status == 404:
            raise RegistryError(f"{self.session.wire.host} does not have the blob {self.digest}", status=404)
        if answer.open is None:
            self.session.fail(answer)
        return answer

    def _lie(self, message: str) -> RegistryError:
        return RegistryError(f"{self.session.wire.host} can't be right: the blob {self.digest} {message}")
