"""A folder, and files, for what is large and passing. They go away after use; what a killed run left is removed by
the next one."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from hubtool.errors import HubtoolError

PREFIX = "hubtool-spool-"
LOCK = "lock"
RESERVE = 256 * 1024 * 1024  # bytes that stay free; what else runs here needs room too
LARGE = Path("/var/tmp")  # by the file hierarchy standard on disk, whereas /tmp is often in memory


@contextmanager
def spool_folder(needed: int = 0) -> Iterator[Path]:
    """A new folder below $TMPDIR, else /var/tmp. Raises HubtoolError where NEEDED bytes are not free there."""
    parent = _parent()
    _sweep(parent)
    _check_space(parent, needed)
    try:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    except OSError as error:
        raise HubtoolError(
            f"{parent}: no temporary folder can be made there: {error.strerror}", hint="name another one in $TMPDIR"
        ) from error
    with (folder / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def spool_file() -> IO[bytes]:
    """A new file without a name below $TMPDIR, else /var/tmp: it goes away when it is closed."""
    parent = _parent()
    try:
        return tempfile.TemporaryFile(dir=parent)
    except OSError as error:
        raise HubtoolError(
            f"{parent}: no temporary file can be made there: {error.strerror}", hint="name another folder in $TMPDIR"
        ) from error


def check_room(file: IO[bytes]) -> None:
    """Raise HubtoolError where the disk that FILE is on is nearly full."""
    disk = os.fstatvfs(file.fileno())
    if disk.f_bavail * disk.f_frsize < RESERVE:
        raise disk_problem(OSError(errno.ENOSPC, ""))


def disk_problem(error: OSError) -> HubtoolError:
    """What to say where a passing file could not be written."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return HubtoolError(
        f"{_parent()}: {'no space left' if full else os.strerror(error.errno or 0)}",
        hint="free some space there, or name another folder in $TMPDIR",
    )


def _parent() -> Path:
    if os.environ.get("TMPDIR"):
        return Path(tempfile.gettempdir())
    return LARGE if os.access(LARGE, os.W_OK) else Path(tempfile.gettempdir())


def _sweep(parent: Path) -> None:
    """Remove our folders below PARENT whose lock nobody holds: their process is gone."""
    for lock in parent.glob(f"{PREFIX}*/{LOCK}"):
        with suppress(OSError), lock.open("r+") as stream:
            if lock.stat().st_uid != os.getuid():
                continue
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent, ignore_errors=True)


def _check_space(parent: Path, needed: int) -> None:
    free = shutil.disk_usage(parent).free
    if free < needed:
        raise HubtoolError(
            f"{parent} has {free / 1e9:.1f} GB free, but {needed / 1e9:.1f} GB are needed for a while",
            hint="free some space there, or name another folder in $TMPDIR",
        )
