"""The process that listens on a port inside a container: read from /proc with cat and ls, nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hubtool.contracts.ports import LISTENS, TABLES
from hubtool.engines import Container

SECONDS = 20


@dataclass(frozen=True)
class Process:
    """A process inside a container, with the variables that it was started with."""

    pid: int
    uid: int
    gid: int
    groups: frozenset[int]
    environment: Mapping[str, str]


def listener(container: Container, port: int) -> Process | None:
    """The process that listens on PORT inside CONTAINER; None where it can't be told."""
    for uid, inode in _sockets(container, port):
        pid = _holder(container, uid, inode)
        if pid is not None:
            return process(container, pid, uid)
    return None


def _sockets(container: Container, port: int) -> Iterator[tuple[int, str]]:
    """Owner and number of every socket that listens on PORT (proc(5), /proc/net/tcp)."""
    for line in container.exec(["cat", *TABLES], timeout=SECONDS).stdout.splitlines():
        words = line.split()
        if len(words) > 9 and words[3] == LISTENS and int(words[1].rpartition(":")[2], 16) == port:
            yield int(words[7]), words[9]


def _holder(container: Container, uid: int, inode: str) -> int | None:
    # As the socket's owner: without CAP_SYS_PTRACE root may not look into another user's process.
    done = container.exec(["sh", "-c", "ls -l /proc/[0-9]*/fd 2>/dev/null"], user=str(uid), timeout=SECONDS)
    pid = None
    for line in done.stdout.splitlines():
        if named := re.match(r"/proc/(\d+)/fd:", line):
            pid = int(named[1])
        elif line.endswith(f"socket:[{inode}]"):
            return pid
    return None


def process(container: Container, pid: int, uid: int) -> Process | None:
    """The process PID of user UID inside CONTAINER; None where it is not there any more."""
    told = container.exec(["cat", f"/proc/{pid}/status"], user=str(uid), timeout=SECONDS)
    variables = container.exec(["cat", f"/proc/{pid}/environ"], user=str(uid), timeout=SECONDS)
    if told.returncode or variables.returncode:
        return None
    status = dict(line.partition(":")[::2] for line in told.stdout.splitlines())
    return Process(
        pid,
        int(status["Uid"].split()[1]),
        int(status["Gid"].split()[1]),
        frozenset(map(int, status["Groups"].split())),
        dict(_variables(variables.stdout)),
    )


def _variables(environ: str) -> Iterator[tuple[str, str]]:
    for item in environ.split("\0"):
        name, equals, value = item.partition("=")
        if equals:
            yield name, value
