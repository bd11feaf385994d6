"""Sending a blob while it is made: its length is not known before, so the one PATCH has the transfer encoding
"chunked" (of HTTP; no chunked upload), as docker push has it.

To go on after a break it is made again, up to where the registry has it. Where a length is asked for, it goes by
way of a file.
"""

from __future__ import annotations

import errno
import io
import os
import tempfile
from pathlib import Path
from typing import IO, BinaryIO

from hubtool.errors import HubtoolError
from hubtool.registries.model import Blob, Uploaded
from hubtool.registries.produce import Produced, Write
from hubtool.registries.session import Session
from hubtool.registries.upload import CHUNK, LengthWanted, Part, Progress, cut, has_blob, upload, upload_blob

HELD = 16 * 1024 * 1024  # bytes; what is not larger is asked for by its digest before it is sent


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
        return Part(len(taken), lambda: cut(taken))


def upload_stream(
    session: Session, write: Write, progress: Progress, folder: Path | None, *, look_first: bool
) -> Uploaded:
    """Send what WRITE writes while it does; see RegistryClient.upload_stream."""
    with Produced(write) as produced:
        if produced.holds_all(HELD):
            content = produced.take(0, HELD)
            return _upload_known(session, Blob(produced.digest, len(content), lambda: io.BytesIO(content)), progress)
        if look_first and has_blob(session, produced.finish()):
            return Uploaded(produced.digest, produced.size or 0, travelled=False)
        made = _Made(produced)
        try:
            if session.wants_length:
                raise LengthWanted
            upload(session, made, progress)
        except LengthWanted:
            sent = _upload_by_file(session, produced, progress, folder)
            session.wants_length = True
            return sent
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
    """A reader of FILE, to be closed without it; only one at a time, as they share a position."""
    return open(os.dup(file.fileno()), "rb")
