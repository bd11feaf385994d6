"""Sending a blob: POST begins an upload, PATCH sends, GET asks how far it came, PUT ends it.

The whole blob goes in one PATCH, as docker push does, because Artifact Registry does not take chunked
uploads (cloud.google.com/artifact-registry/docs/docker/pushing-and-pulling). Chunks are used only to go on
after a break, and where a proxy answers 413 to the whole.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator

import httpx

from hubtool.registries.model import Blob, RegistryError
from hubtool.registries.session import PUSH, Session
from hubtool.registries.wire import ATTEMPTS, RETRIED, Answer, Dropped

PIECE = 1024 * 1024  # bytes between two reports of progress
CHUNK = 32 * 1024 * 1024  # bytes of a PATCH after a 413

Progress = Callable[[int], None]


class _Again(Exception):
    """This upload can't go on; a new one can. ``answer`` is what the registry said, if it did."""

    def __init__(self, answer: Answer | None = None, chunk: int | None = None) -> None:
        super().__init__()
        self.answer = answer
        self.chunk = chunk


def begin(session: Session) -> httpx.URL:
    """Begin an upload; returns where to send to."""
    headers = {"Content-Length": "0"}
    answer = session.request("POST", session.url("blobs/uploads/"), actions=PUSH, headers=headers)
    if answer.status != 202:
        session.fail(answer, PUSH)
    return session.location(answer)


def upload_blob(session: Session, blob: Blob, progress: Progress) -> None:
    """Send BLOB; raises RegistryError when a bounded number of tries did not do it."""
    chunk: int | None = None
    refused: Answer | None = None
    for attempt in range(1, ATTEMPTS + 1):
        try:
            location = _send(session, blob, begin(session), chunk, progress)
            _commit(session, blob, location)
        except _Again as again:
            chunk, refused = again.chunk or chunk, again.answer
            if attempt < ATTEMPTS:
                session.wire.wait(attempt)
            continue
        progress(blob.size)
        return
    if refused is not None and refused.status not in RETRIED:
        session.fail(refused, PUSH)
    raise RegistryError(
        f"{session.wire.host} did not take {blob.digest} in {ATTEMPTS} tries",
        status=refused.status if refused else None,
        hint="run the same command again; it sends what is missing",
    )


def _send(session: Session, blob: Blob, location: httpx.URL, chunk: int | None, progress: Progress) -> httpx.URL:
    """All of BLOB to LOCATION; returns where to commit it."""
    offset = stalled = 0
    while offset < blob.size:
        end = blob.size if chunk is None else min(blob.size, offset + chunk)
        answer = _patch(session, blob, location, offset, end, chunk is not None or offset > 0, progress)
        if answer is not None and answer.status in (201, 202, 204):
            # What was sent counts, not the answer's Range: ECR's stands still after the first chunk.
            location, offset, stalled = session.location(answer), end, 0
            continue
        _fatal(session, answer, chunk)
        stalled += 1
        if stalled >= ATTEMPTS:
            raise _Again(answer)
        session.wire.wait(stalled, answer)
        location, reached = _status(session, location)
        stalled = 0 if reached > offset else stalled
        offset = min(reached, blob.size)
    return location


def _fatal(session: Session, answer: Answer | None, chunk: int | None) -> None:
    """Return where asking and going on may help; raise where only a new upload does, or nothing."""
    if answer is None or answer.status in RETRIED:
        return
    if answer.status == 413 and chunk is None:
        raise _Again(answer, chunk=CHUNK)
    if answer.status in (400, 404, 416):
        raise _Again(answer)
    session.fail(answer, PUSH)


def _patch(
    session: Session, blob: Blob, location: httpx.URL, start: int, end: int, ranged: bool, progress: Progress
) -> Answer | None:
    """Bytes START to END (excluded); None when the connection broke."""
    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(end - start)}
    if ranged:
        headers["Content-Range"] = f"{start}-{end - 1}"
    try:
        return session.request(
            "PATCH",
            location,
            actions=PUSH,
            headers=headers,
            content=lambda: _pieces(blob, start, end, progress),
            retry=False,
        )
    except Dropped:
        return None


def _pieces(blob: Blob, start: int, end: int, progress: Progress) -> Iterator[bytes]:
    with blob.open() as stream:
        stream.seek(start)
        while start < end:
            piece = stream.read(min(PIECE, end - start))
            if not piece:
                raise RegistryError(f"{blob.digest} became shorter while it was sent")
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


def _commit(session: Session, blob: Blob, location: httpx.URL) -> None:
    url = location.copy_merge_params({"digest": blob.digest})
    headers = {"Content-Type": "application/octet-stream", "Content-Length": "0"}
    answer: Answer | None = None
    with contextlib.suppress(Dropped):
        answer = session.request("PUT", url, actions=PUSH, headers=headers)
    if answer is not None and answer.status in (200, 201, 202, 204):
        return
    if answer is not None and answer.status not in (400, 404, 416, *RETRIED):
        session.fail(answer, PUSH)
    # The answer to an earlier try may have been lost after the registry had taken the blob.
    if session.request("HEAD", session.url(f"blobs/{blob.digest}"), actions=PUSH).status != 200:
        raise _Again(answer)
