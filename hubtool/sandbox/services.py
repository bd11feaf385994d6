"""A program that runs beside us: started, waited for, and ended with all that it started."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from hubtool import process
from hubtool.errors import HubtoolError


def free_port() -> int:
    """A TCP port of the loopback interface that nothing listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether nothing listens on PORT of the loopback interface."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@contextmanager
def service(
    argv: Sequence[str | Path],
    *,
    log: Path,
    ready: Callable[[], bool],
    seconds: float = 60,
    env: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run ARGV until the block ends; enter it when READY says so.

    Raises HubtoolError with the last lines of LOG if it ends or is not ready within SECONDS.
    """
    words = [str(word) for word in argv]
    with log.open("ab") as output:
        running = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
    try:
        _wait(running, words[0], log, ready, seconds)
        yield running
    finally:
        process.end_group(running, grace=20)


def _wait(running: subprocess.Popen[bytes], name: str, log: Path, ready: Callable[[], bool], seconds: float) -> None:
    until = time.monotonic() + seconds
    while not ready():
        ended = running.poll()
        if ended is not None or time.monotonic() > until:
            state = f"ended with code {ended}" if ended is not None else f"was not ready after {seconds:.0f} s"
            last = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
            raise HubtoolError(f"{Path(name).name} {state}:\n{last}", hint=f"whole log: {log}")
        time.sleep(0.1)


def end_leftover(pidfile: Path, program: str) -> None:
    """End the PROGRAM that an earlier run, killed, left behind with its number in PIDFILE."""
    try:
        pid = int(pidfile.read_text())
    except (OSError, ValueError):
        pidfile.unlink(missing_ok=True)
        return
    until = time.monotonic() + 20
    while _program_of(pid) == program and time.monotonic() < until:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        time.sleep(0.1)
    pidfile.unlink(missing_ok=True)


def _program_of(pid: int) -> str:
    """The name of the program that process PID runs; "" where it has ended."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return Path(command.split(b"\0")[0].decode(errors="replace")).name
