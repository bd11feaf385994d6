"""A folder on disk: its files, and their pins, read fast."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from hubtool.errors import HubtoolError
from hubtool.pins import Skipped, Unreadable
from hubtool.pins.formats.text import MAX_BYTES
from hubtool.pins.scan import Scan, merged, scan

# Below this many files, processes of their own cost more than they save.
MANY = 2000
MAX_WORKERS = 4
BLOCK = 61


def list_folder(root: Path) -> list[str]:
    """The regular files below ROOT, relative with "/"; links are not followed, .git is left out."""
    if not root.is_dir():
        raise HubtoolError(f"no folder {root}")
    files, folders = [], [""]
    while folders:
        folder = folders.pop()
        with os.scandir(f"{root}/{folder}") as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    files.append(folder + entry.name)
                elif entry.name != ".git" and entry.is_dir(follow_symlinks=False):
                    folders.append(f"{folder}{entry.name}/")
    return sorted(files)


def read_file(root: Path, file: str) -> bytes:
    """The bytes of FILE below ROOT; raises Unreadable for what is too large or can't be read."""
    try:
        with open(f"{root}/{file}", "rb", buffering=0) as stream:
            if os.fstat(stream.fileno()).st_size > MAX_BYTES:
                raise Unreadable(f"is larger than {MAX_BYTES // 1_000_000} MB")
            return stream.readall()
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror}") from error


def scan_folder(root: Path, files: Sequence[str]) -> Scan:
    """Read FILES below ROOT for pins, side by side where they are many."""
    workers = min(MAX_WORKERS, len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else 1
    if len(files) < MANY or workers < 2:
        return _scan(root, files)
    shares = _shares(files, workers)
    answers = [(share, *_fork(root, share)) for share in shares[1:]]
    # A process that came to nothing tells no reason: its share is read here, where an error is seen.
    return merged(
        [_scan(root, shares[0]), *[_received(pid, pipe) or _scan(root, share) for share, pid, pipe in answers]]
    )


def _shares(files: Sequence[str], workers: int) -> list[list[str]]:
    # In blocks, of a size that no folder's pattern repeats in: else one worker gets every hub's largest file.
    return [[file for at, file in enumerate(files) if at // BLOCK % workers == number] for number in range(workers)]


def _scan(root: Path, files: Sequence[str]) -> Scan:
    unread: list[Skipped] = []
    found = scan(_read(root, files, unread))
    return merged([found, Scan((), tuple(unread), {})])


def _read(root: Path, files: Sequence[str], unread: list[Skipped]) -> Iterator[tuple[str, bytes]]:
    for file in files:
        try:
            yield file, read_file(root, file)
        except Unreadable as reason:
            unread.append(Skipped(file, str(reason)))


def _fork(root: Path, files: Sequence[str]) -> tuple[int, BinaryIO]:
    """A process that scans FILES, and the pipe that its answer comes through."""
    # Not multiprocessing: importing and starting that takes longer than reading ten thousand files does.
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return pid, os.fdopen(reader, "rb")
    with suppress(BaseException):
        os.close(reader)
        with os.fdopen(writer, "wb") as stream:
            pickle.dump(_scan(root, files), stream, pickle.HIGHEST_PROTOCOL)
        os._exit(0)
    os._exit(1)


def _received(pid: int, pipe: BinaryIO) -> Scan | None:
    with pipe:
        data = pipe.read()
    if os.waitpid(pid, 0)[1]:
        return None
    found = pickle.loads(data)
    assert isinstance(found, Scan)
    return found
