"""Sending a blob: POST begins an upload, PATCH sends, GET asks how far it came, PUT ends it.

The whole blob goes in one PATCH, as docker push does, because Artifact Registry does not take chunked
uploads (cloud.google.com/artifact-registry/docs/docker/pushing-and-pulling). Chunks are used only to go on
after a break, and where a proxy answers 413 to the whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import httpx

from hubtool.registries.model import Blob, RegistryError, is_digest
from hubtool.registries.produce import PIECE
from hubtool.registries.session import PUSH, Session
from hubtool.registries.wire import ATTEMPTS, RETRIED, SILENT_ATTEMPTS, Answer, Dropped, Silent

CHUNK = 32 * 1024 * 1024  # bytes of a PATCH after a 413, and of what is made again after a break
TAKEN = (201, 202, 204)
LENGTH_WANTED = (400, 411, 501)

Progress = Callable[[int], None]


class Again(Exception):
    """This upload can't go on; a new one can. ``answer`` is what the registry said, if it did."""

    def __init__(self, answer: Answer | None = None, chunk: int | None = None) -> None:
        super().__init__()
        self.answer = answer
        self.chunk = chunk


class LengthWanted(Exception):
    """The registry takes no body without a Content-Length."""


@dataclass(frozen=True)
class Part:
    """Some bytes of a blob, and how many; None where that is not known, but they are all."""

    length: int | None
    pieces: Callable[[], Iterator[bytes]]


class Source(Protocol):
    """Where a blob comes from."""

    @property
    def size(self) -> int | None: ...
    @property
    def digest(self) -> str: ...
    def part(self, start: int, most: int | None) -> Part:
        """The bytes from START on, not more than MOST where that is given, or perhaps fewer."""
        ...


class _Whole:
    """A blob that is there."""

    def __init__(self, blob: Blob) -> None:
        self.blob = blob
        self.size, self.digest = blob.size, blob.digest

    def part(self, start: int, most: int | None) -> Part:
        end = self.size if most is None else min(self.size, start + most)
        return Part(end - start, lambda: self._pieces(start, end))

    def _pieces(self, start: int, end: int) -> Iterator[bytes]:
        with self.blob.open() as stream:
            stream.seek(start)
            while start < end:
                piece = stream.read(min(PIECE, end - start))
                if not piece:
                    raise RegistryError(f"{self.digest} became shorter while it was sent")
                yield piece
                start += len(piece)


def cut(data: bytes) -> Iterator[bytes]:
    return (data[start : start + PIECE] for start in range(0, len(data), PIECE))


def begin(session: Session) -> httpx.URL:
    """Begin an upload, or take one that was begun for nothing; returns where to send to."""
    with suppress(IndexError):
        return session.begun.pop()
    headers = {"Content-Length": "0"}
    answer = session.request("POST", session.url("blobs/uploads/"), actions=PUSH, headers=headers)
    if answer.status != 202:
        session.fail(answer, PUSH)
    return session.location(answer)


def has_blob(session: Session, digest: str) -> bool:
    answer = session.request("HEAD", session.url(f"blobs/{digest}"), actions=PUSH)
    if answer.status not in (200, 404):
        session.fail(answer, PUSH)
    return answer.status == 200


def upload_blob(session: Session, blob: Blob, progress: Progress) -> None:
    """Send BLOB; raises as ``upload`` does."""
    upload(session, _Whole(blob), progress)
    progress(blob.size)


def upload(session: Session, source: Source, progress: Progress) -> None:
    """Send SOURCE; raises RegistryError when a bounded number of tries did not do it."""
    chunk: int | None = None
    refused: Answer | None = None
    for attempt in range(1, ATTEMPTS + 1):
        try:
            location = _Sending(session, source, begin(session), chunk, progress).run()
            _commit(session, source.digest, location)
        except Again as again:
            chunk, refused = again.chunk or chunk, again.answer
            if attempt < ATTEMPTS:
                session.wire.wait(attempt)
            continue
        return
    if refused is not None and refused.status not in RETRIED:
        session.fail(refused, PUSH)
    raise RegistryError(
        f"{session.wire.host} did not take {source.digest} in {ATTEMPTS} tries",
        status=refused.status if refused else None,
        hint="run the same command again; it sends what is missing",
    )


class _Sending:
    """SOURCE on its way to LOCATION; with CHUNK not more bytes than that at once."""

    def __init__(
        self, session: Session, source: Source, location: httpx.URL, chunk: int | None, progress: Progress
    ) -> None:
        self.session, self.source, self.chunk, self.progress = session, source, chunk, progress
        self.location = location
        self.offset = 0
        self.stalled = self.silences = 0

    def run(self) -> httpx.URL:
        """Send all; returns where to commit it."""
        while self.source.size is None or self.offset < self.source.size:
            part = self.source.part(self.offset, self.chunk)
            if part.length == 0:
                break
            answer = self._patch(part)
            end = self.source.size if part.length is None else self.offset + part.length
            if answer is not None and answer.status in TAKEN and end is not None:
                # What was sent counts, not the answer's Range: ECR's stands still after the first chunk.
                self.location, self.offset, self.stalled = self.session.location(answer), end, 0
            else:
                self._go_on(part, answer)
        return self.location

    def _patch(self, part: Part) -> Answer | None:
        """The answer to PART; None when the connection broke."""
        headers = {"Content-Type": "application/octet-stream"}
        if part.length is not None:
            headers["Content-Length"] = str(part.length)
            if self.chunk is not None or self.offset > 0:
                headers["Content-Range"] = f"{self.offset}-{self.offset + part.length - 1}"
        told = partial(_told, part, self.offset, self.progress)
        try:
            return self.session.request(
                "PATCH", self.location, actions=PUSH, headers=headers, content=told, retry=False
            )
        except Dropped as dropped:
            self.silences += isinstance(dropped, Silent)
            if self.silences >= SILENT_ATTEMPTS:
                raise
            return None

    def _go_on(self, part: Part, answer: Answer | None) -> None:
        """Find out from where, after PART did not arrive; raises where only a new upload helps, or nothing."""
        if answer is not None:
            self._check(part, answer)
        self.stalled += 1
        if self.stalled >= ATTEMPTS:
            raise Again(answer)
        self.session.wire.wait(self.stalled, answer)
        self.location, reached = _status(self.session, self.location)
        self.stalled = 0 if reached > self.offset else self.stalled
        self.offset = reached if self.source.size is None else min(reached, self.source.size)

    def _check(self, part: Part, answer: Answer) -> None:
        if answer.status in LENGTH_WANTED and part.length is None:
            raise LengthWanted
        if answer.status == 413 and self.chunk is None:
            raise Again(answer, chunk=CHUNK)
        if answer.status in (400, 404, 416):
            raise Again(answer)
        if answer.status not in (*TAKEN, *RETRIED):
            self.session.fail(answer, PUSH)


def _told(part: Part, start: int, progress: Progress) -> Iterator[bytes]:
    for piece in part.pieces():
        yield piece
        start += len(piece)
        progress(start)


def _status(session: Session, location: httpx.URL) -> tuple[httpx.URL, int]:
    """Where to go on, and from which byte."""
    answer = session.request("GET", location, actions=PUSH)
    written = re.fullmatch(r"(?:bytes=)?0-([0-9]{1,18})", answer.headers.get("Range", "").strip())
    if answer.status not in (200, 202, 204) or not written:
        raise Again(answer)
    last = int(written[1])
    # "0-0" is said of an upload that holds nothing, too
    return (session.location(answer) if "Location" in answer.headers else location), last + 1 if last else 0


def _commit(session: Session, digest: str, location: httpx.URL) -> None:
    url = location.copy_merge_params({"digest": digest})
    headers = {"Content-Type": "application/octet-stream", "Content-Length": "0"}
    answer: Answer | None = None
    silent: Silent | None = None
    try:
        answer = session.request("PUT", url, actions=PUSH, headers=headers)
    except Dropped as dropped:
        silent = dropped if isinstance(dropped, Silent) else None
    if answer is not None and answer.status in (200, 201, 202, 204):
        said = answer.headers.get("Docker-Content-Digest")
        if is_digest(said) and said != digest:
            raise RegistryError(f"{session.wire.host} can't be right: it took the blob {digest} for {said}")
        return
    if answer is not None and answer.status not in (400, 404, 416, *RETRIED):
        session.fail(answer, PUSH)
    # The answer to an earlier try may have been lost after the registry had taken the blob.
    if not has_blob(session, digest):
        raise silent or Again(answer)
