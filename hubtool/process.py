"""The one place that runs other programs: argument lists only, never a shell string."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hubtool.errors import HubtoolError

LAST_LINES = 20
_streaming: set[subprocess.Popen[bytes]] = set()


@dataclass(frozen=True)
class Completed:
    """What a program left behind: its arguments, exit code and decoded output; ``raw`` is stdout's bytes."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str
    raw: bytes = b""


class ProcessError(HubtoolError):
    """A program ended with a code other than 0, could not be started, or ran out of time."""

    def __init__(self, argv: tuple[str, ...], returncode: int | None, output: str) -> None:
        self.argv = argv
        self.returncode = returncode
        self.output = output
        ended = "ran out of time" if returncode is None else f"ended with code {returncode}"
        last = "\n".join(output.rstrip().splitlines()[-LAST_LINES:])
        super().__init__(f"{' '.join(argv[:3])} {ended}" + (f":\n{last}" if last else ""))


def which(program: str) -> Path | None:
    """The path of PROGRAM on PATH, or None."""
    found = shutil.which(program)
    return Path(found) if found else None


def need_git() -> Path:
    """The path of git; HubtoolError where there is none."""
    found = which("git")
    if found is None:
        raise HubtoolError("git is not installed", hint="Debian, Ubuntu: apt-get install git")
    return found


def _environment(env: Mapping[str, str | None] | None) -> dict[str, str] | None:
    """The process environment with ENV laid over it; a value of None removes the variable."""
    if env is None:
        return None
    merged: dict[str, str | None] = {**os.environ, **env}
    return {key: value for key, value in merged.items() if value is not None}


def run(
    *argv: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str | None] | None = None,
    input: str | bytes | None = None,
    timeout: float | None = None,
    check: bool = True,
    output: IO[bytes] | None = None,
) -> Completed:
    """Run a program to its end and return what it printed.

    ENV is laid over the process environment (None removes a variable). With CHECK, a code other than 0
    raises ProcessError with the last lines of its output. TIMEOUT is in seconds; past it the program is
    killed and ProcessError raised. A program that is not there raises HubtoolError. What it prints on stdout goes to
    OUTPUT, where that is given.
    """
    words = tuple(str(word) for word in argv)
    data = input.encode() if isinstance(input, str) else input
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            env=_environment(env),
            input=data,
            stdin=subprocess.DEVNULL if data is None else None,
            stdout=subprocess.PIPE if output is None else output,
            stderr=subprocess.PIPE,
            timeout=timeout,
        )
    except FileNotFoundError as error:
        raise HubtoolError(f"{words[0]}: no such program, or no such folder: {error.filename}") from error
    except subprocess.TimeoutExpired as error:
        raise ProcessError(words, None, (error.stderr or b"").decode(errors="replace")) from error
    result = Completed(
        words,
        done.returncode,
        (done.stdout or b"").decode(errors="replace"),
        done.stderr.decode(errors="replace"),
        done.stdout or b"",
    )
    if check and result.returncode != 0:
        raise ProcessError(words, result.returncode, result.stdout + result.stderr)
    return result


def stream(
    *argv: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str | None] | None = None,
    stdin: IO[bytes] | None = None,
    grace: float = 5,
    stop: threading.Event | None = None,
) -> Iterator[str]:
    """Run a program and yield its output (both streams) line by line, as it comes, without line ends.

    STDIN is copied to the program as it reads. A code other than 0 raises ProcessError after the last
    line. Closing the iterator early, or setting STOP, ends the program and all that it started, which have GRACE
    seconds for it.
    """
    words = tuple(str(word) for word in argv)
    try:
        process = subprocess.Popen(
            words,
            cwd=cwd,
            env=_environment(env),
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise HubtoolError(f"{words[0]}: no such program, or no such folder: {error.filename}") from error
    _streaming.add(process)
    feeder = _feed(process, stdin) if stdin is not None else None
    if stop is not None:
        threading.Thread(target=_end_at, args=(stop, process, grace), daemon=True).start()
    last: list[str] = []
    assert process.stdout is not None
    try:
        for raw in process.stdout:
            line = raw.decode(errors="replace").rstrip("\r\n")
            last = [*last[-LAST_LINES:], line]
            yield line
        returncode = process.wait()
    finally:
        end_group(process, grace)
        _streaming.discard(process)
        process.stdout.close()
        if feeder is not None:
            feeder.join(timeout=5)
    if returncode != 0:
        raise ProcessError(words, returncode, "\n".join(last))


def _feed(process: subprocess.Popen[bytes], source: IO[bytes]) -> threading.Thread:
    def copy() -> None:
        assert process.stdin is not None
        try:
            shutil.copyfileobj(source, process.stdin)
            process.stdin.close()
        except (BrokenPipeError, OSError):
            pass  # the program ended first: its exit code tells why

    thread = threading.Thread(target=copy, daemon=True)
    thread.start()
    return thread


def _end_at(stop: threading.Event, process: subprocess.Popen[bytes], grace: float) -> None:
    while process.poll() is None:
        if stop.wait(0.2):
            end_group(process, grace)


def end_all() -> None:
    """End the programs whose output is being streamed, in whatever thread."""
    for process in list(_streaming):
        end_group(process, grace=1)


def end_group(process: subprocess.Popen[bytes], grace: float = 5) -> None:
    """End a program started in its own session, and its children: SIGTERM, then after GRACE seconds SIGKILL."""
    if process.poll() is not None:
        return
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
        except ProcessLookupError:
            return
        try:
            process.wait(timeout=grace)
            return
        except subprocess.TimeoutExpired:
            continue
