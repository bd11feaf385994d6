"""Sending a blob: POST begins an upload, PATCH sends, GET asks how far it came, PUT ends it.

The whole blob goes in one PATCH, as docker push does, because Artifact Registry does not take chunked
uploads (cloud.google.com/artifact-registry/docs/docker/pushing-and-pulling). Chunks are used only to go on
after a break, and where a proxy answers 413 to the whole.

A blob may be sent while it is made: then its length is not known, and the one PATCH has the transfer encoding
"chunked" (of HTTP; no chunked upload), again as docker push has it. To go on after a break it is made again,
up to where the registry has it. Where a length is asked for, it goes by way of a file.
"""

from __future__ import annotations

import errno
import io
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, Protocol

import httpx

from hubtool.errors import HubtoolError
from hubtool.registries.model import Blob, RegistryError, Uploaded, is_digest
from hubtool.registries.produce import PIECE, Produced, Write
from hubtool.registries.session import PUSH, Session
from hubtool.registries.wire import ATTEMPTS, RETRIED, SILENT_ATTEMPTS, Answer, Dropped, Silent

CHUNK = 32 * 1024 * 1024  # bytes of a PATCH after a 413, and of what is made again after a break
HELD = 16 * 1024 * 1024  # bytes; what is made and not larger is asked for by its digest before it is sent
LENGTH_WANTED = (400, 411, 501)

Progress = Callable[[int], None]


class _Again(Exception):
    """This upload can't go on; a new one can. ``answer`` is what the registry said, if it did."""

    def __init__(self, answer: Answer | None = None, chunk: int | None = None) -> None:
        super().__init__()
        self.answer = answer
        self.chunk = chunk


class _LengthWanted(Exception):
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


class _Made:
    """A blob that is made while it is sent."""

    def __init__(self, produced: Produced) -> None:
        self.produced = produced

    @property
    def size(self) -> int | None:
        return self.produced.size

    @property
    def digest(self) -> str:
        return self.produced.digest

    def part(self, start: int, most: int | None) -> Part:
        if start == 0 and most is None:
            return Part(None, self.produced.everything)
        taken = self.produced.take(start, most or CHUNK)
        return Part(len(taken), lambda: _cut(taken))


def _cut(data: bytes) -> Iterator[bytes]:
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
    """Send BLOB; raises RegistryError when a bounded number of tries did not do it."""
    _upload(session, _Whole(blob), progress)
    progress(blob.size)


def upload_stream(session: Session, write: Write, progress: Progress, folder: Path | None) -> Uploaded:
    """Send what WRITE writes while it does; see RegistryClient.upload_stream."""
    with Produced(write) as produced:
        if produced.holds_all(HELD):
            content = produced.take(0, HELD)
            return _upload_known(session, Blob(produced.digest, len(content), lambda: io.BytesIO(content)), progress)
        made = _Made(produced)
        try:
            if session.wants_length:
                raise _LengthWanted
            _upload(session, made, progress)
        except _LengthWanted:
            session.wants_length = True
            return _upload_by_file(session, produced, progress, folder)
        return Uploaded(made.digest, made.size or 0, travelled=True)


def _upload_known(session: Session, blob: Blob, progress: Progress) -> Uploaded:
    travels = not has_blob(session, blob.digest)
    if travels:
        upload_blob(session, blob, progress)
    return Uploaded(blob.digest, blob.size, travels)


def _upload_by_file(session: Session, produced: Produced, progress: Progress, folder: Path | None) -> Uploaded:
    with tempfile.TemporaryFile(dir=folder) as file:
        for piece in produced.everything():
            _write(file, piece, folder)
        return _upload_known(session, Blob(produced.digest, file.tell(), lambda: _view(file)), progress)


def _write(file: IO[bytes], piece: bytes, folder: Path | None) -> None:
    try:
        file.write(piece)
        file.flush()
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise HubtoolError(
            f"{folder or tempfile.gettempdir()}: {'no space left' if full else os.strerror(error.errno or 0)} "
            "for a layer on its way",
            hint="free some space there, or name another folder in $TMPDIR",
        ) from error


def _view(file: IO[bytes]) -> BinaryIO:
    """A reader of its own of FILE, to be closed without FILE."""
    return open(f"/proc/self/fd/{file.fileno()}", "rb")


def _upload(session: Session, source: Source, progress: Progress) -> None:
    chunk: int | None = None
    refused: Answer | None = None
    for attempt in range(1, ATTEMPTS + 1):
        try:
            location = _send(session, source, begin(session), chunk, progress)
            _commit(session, source.digest, location)
        except _Again as again:
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


def _send(session: Session, source: Source, location: httpx.URL, chunk: int | None, progress: Progress) -> httpx.URL:
    """All of SOURCE to LOCATION; returns where to commit it."""
    offset = stalled = silences = 0
    while source.size is None or offset < source.size:
        part = source.part(offset, chunk)
        if part.length == 0:
            break
        answer: Answer | None = None
        try:
            answer = _patch(session, part, location, offset, chunk is not None or offset > 0, progress)
        except Dropped as dropped:
            silences += isinstance(dropped, Silent)
            if silences >= SILENT_ATTEMPTS:
                raise
        end = source.size if part.length is None else offset + part.length
        if answer is not None and answer.status in (201, 202, 204) and end is not None:
            # What was sent counts, not the answer's Range: ECR's stands still after the first chunk.
            location, offset, stalled = session.location(answer), end, 0
            continue
        if answer is not None and answer.status in LENGTH_WANTED and part.length is None:
            raise _LengthWanted
        _fatal(session, answer, chunk)
        stalled += 1
        if stalled >= ATTEMPTS:
            raise _Again(answer)
        session.wire.wait(stalled, answer)
        location, reached = _status(session, location)
        stalled = 0 if reached > offset else stalled
        offset = reached if source.size is None else min(reached, source.size)
    return location


def _fatal(session: Session, answer: Answer | None, chunk: int | None) -> None:
    """Return where asking and going on may help; raise where only a new upload does, or nothing."""
    if answer is None or answer.status in (201, 202, 204, *RETRIED):
        return
    if answer.status == 413 and chunk is None:
        raise _Again(answer, chunk=CHUNK)
    if answer.status in (400, 404, 416):
        raise _Again(answer)
    session.fail(answer, PUSH)


def _patch(session: Session, part: Part, location: httpx.URL, start: int, ranged: bool, progress: Progress) -> Answer:
    """Send PART, which begins at START; raises Dropped when the connection broke."""
    headers = {"Content-Type": "application/octet-stream"}
    if part.length is not None:
        headers["Content-Length"] = str(part.length)
        if ranged:
            headers["Content-Range"] = f"{start}-{start + part.length - 1}"
    return session.request(
        "PATCH", location, actions=PUSH, headers=headers, content=lambda: _told(part, start, progress), retry=False
    )


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
        raise _Again(answer)
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
        raise silent or _Again(answer)
