"""What a container is doing, asked from within: its processes, its listening ports, what it tried to reach.

All of it comes from /proc, read by the image's own ``sh`` and ``cat``: a container without a network has no port that
could be reached from outside, and an image need not have ps, ss or curl.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hubtool.engines import Container
from hubtool.process import Completed

SECONDS = 30
# Marks the processes of this module, so that it does not report them.
PROBE = "HUBTOOL_PROBE"
READ_PROCESSES = r"""
for p in /proc/[0-9]*; do
    printf '\036%s\037' "${p#/proc/}"; cat "$p/status"
    printf '\037'; cat "$p/cmdline"; printf '\037'; cat "$p/environ"
done 2>/dev/null
"""
LISTENING = "0A"
LOOPBACK = re.compile(r"(?:[0-9A-F]{6}7F|0{24}01000000|0{16}FFFF0000[0-9A-F]{6}7F)$")


def ask(
    container: Container,
    *words: str,
    user: str | None = None,
    environment: Mapping[str, str] | None = None,
    timeout: float = SECONDS,
) -> Completed:
    """Run a program of the image in CONTAINER, marked as ours."""
    return container.exec(words, user=user, environment={PROBE: "1", **(environment or {})}, timeout=timeout)


@dataclass(frozen=True)
class Process:
    """A process: ``uids`` are the real, effective, saved and filesystem one. ``environment`` is what it was started
    with; None where it can't be read."""

    pid: int
    name: str
    uids: Sequence[int]
    argv: Sequence[str]
    environment: Mapping[str, str] | None

    def is_program(self, name: str) -> bool:
        """Whether it runs the program or script NAME."""
        told = [posixpath.basename(word).rstrip(":") for word in " ".join(self.argv[:2]).split()[:2]]
        return self.name == name[:15] or name in told

    @property
    def line(self) -> str:
        """Its command line, for people."""
        return " ".join(self.argv)[:120] or f"[{self.name}]"


def processes(container: Container) -> list[Process]:
    """Every process in CONTAINER but those that this asks with."""
    found = [_process(text) for text in ask(container, "sh", "-c", READ_PROCESSES).stdout.split("\x1e")[1:]]
    return [one for one in found if one is not None and PROBE not in (one.environment or ())]


def _process(text: str) -> Process | None:
    pid, status, argv, environ = (text.split("\x1f") + [""] * 3)[:4]
    told = dict(line.partition(":")[::2] for line in status.splitlines())
    uids = [int(word) for word in told.get("Uid", "").split() if word.isdigit()]
    if not uids or told.get("State", "").strip().startswith("Z"):  # gone by now, or only its parent's to bury
        return None
    variables = dict(item.partition("=")[::2] for item in environ.split("\0") if item)
    return Process(int(pid), told.get("Name", "").strip(), uids, argv.strip("\0").split("\0"), variables or None)


def listening(container: Container) -> dict[int, bool]:
    """The TCP ports that something listens on, each with whether it does so on more than loopback."""
    return listening_in(ask(container, "cat", "/proc/net/tcp", "/proc/net/tcp6").stdout)


def listening_in(sockets: str) -> dict[int, bool]:
    """The same, from the text of /proc/net/tcp and tcp6."""
    found: dict[int, bool] = {}
    for words in map(str.split, sockets.splitlines()):
        if len(words) > 3 and words[3] == LISTENING:
            address, _, port = words[1].partition(":")
            found[int(port, 16)] = found.get(int(port, 16), False) or not LOOPBACK.search(address)
    return found


def attempts(counters: str) -> int | None:
    """How often something tried to reach beyond loopback, from /proc/net/snmp of a container without a network.

    The kernel counts what it has no route for, connections and DNS queries alike. None where there is no such counter.
    """
    rows = [line.split() for line in counters.splitlines() if line.startswith("Ip:")]
    if len(rows) < 2 or "OutNoRoutes" not in rows[0]:
        return None
    return int(rows[1][rows[0].index("OutNoRoutes")])


COUNTERS = ("cat", "/proc/net/snmp")
