"""Changed files written into a folder: all of them or none."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from hubtool.errors import HubtoolError, Where
from hubtool.pins.scan import Change


def write_changes(root: Path, changes: Sequence[Change]) -> None:
    """Bring the files of CHANGES below ROOT to their new bytes; mode and owner stay.

    All is checked and written beside before the first file is replaced. Raises HubtoolError, with nothing changed,
    for a file that is no plain file any more, changed since it was read, or may not be written.
    """
    inner = root.resolve()
    for change in changes:
        _check(inner, change)
    beside: dict[Path, str] = {}
    try:
        for change in changes:
            beside[inner / change.file] = _write_beside(inner / change.file, change.after)
        _replace(inner, changes, beside)
    finally:
        for name in beside.values():
            Path(name).unlink(missing_ok=True)


def _check(root: Path, change: Change) -> os.stat_result:
    """Raise unless the file is what was read, and may be replaced."""
    file = root / change.file
    where = Where(file)
    try:
        status = file.lstat()
        if not stat.S_ISREG(status.st_mode) or file.parent.resolve() != file.parent:
            raise HubtoolError("is a link now, and hubtool follows none", where=where)
        if not (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK | os.X_OK)):
            raise HubtoolError(
                "may not be written, so nothing was", where=where, hint="give yourself the right: chmod u+w"
            )
        if file.read_bytes() != change.before:
            raise HubtoolError("changed while hubtool worked on it", where=where, hint="run the same command again")
    except OSError as error:
        raise HubtoolError(f"cannot be read any more: {error.strerror}", where=where) from error
    return status


def _write_beside(file: Path, data: bytes) -> str:
    """A file beside FILE with its mode and owner, that holds DATA."""
    status = file.lstat()
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name[:100]}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            made = os.fstat(stream.fileno())
            if (made.st_uid, made.st_gid) != (status.st_uid, status.st_gid):
                os.fchown(stream.fileno(), status.st_uid, status.st_gid)
            os.fchmod(stream.fileno(), stat.S_IMODE(status.st_mode))
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, PermissionError):
            raise HubtoolError("belongs to somebody else, so nothing was written", where=Where(file)) from error
        raise
    return name


def _replace(root: Path, changes: Sequence[Change], beside: dict[Path, str]) -> None:
    done: list[Change] = []
    try:
        for change in changes:
            _check(root, change)
            os.replace(beside[root / change.file], root / change.file)
            done.append(change)
    except BaseException:
        for change in done:
            with suppress(OSError):
                os.replace(_write_beside(root / change.file, change.before), root / change.file)
        raise
