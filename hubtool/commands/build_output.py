"""Build output as it comes: the step and the time on a terminal, plain lines elsewhere, everything in a log."""

from __future__ import annotations

import re
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TextIO

from hubtool import console

if TYPE_CHECKING:
    from rich.console import RenderableType

SHOWN_LINES = 6
# BuildKit: "#5 [ 2/26] RUN …", with a stage's name before the number; buildah: "[1/2] STEP 3/9: RUN …".
_STEP = re.compile(r"(?:#\d+ \[(?:.* )? *(\d+)/(\d+)\] |(?:\[\d+/\d+\] )?STEP (\d+)/(\d+): )(.*)")
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")
_NOISE = re.compile(r"#\d+ sha256:[0-9a-f]{64}(?: |$)|\s*$")


class Output(Protocol):
    def line(self, text: str) -> None:
        """Take a line of the build's output."""
        ...


def step_of(line: str) -> str | None:
    """``3/26 RUN …`` where LINE starts a step of the build, else None."""
    found = _STEP.match(line)
    if found is None:
        return None
    return f"{found[1] or found[3]}/{found[2] or found[4]} {' '.join(found[5].split())}"


def plain(line: str) -> str:
    """LINE as it would stand in the end: what a carriage return wrote over, colours and the like are gone."""
    return _CONTROL.sub("", line.rstrip("\r").rpartition("\r")[2])


def elapsed(seconds: float) -> str:
    """Minutes and seconds, as 1:05."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


@contextmanager
def show(image: str, log: Path) -> Iterator[Output]:
    """Where to send the build output of IMAGE: to the file LOG and to whoever watches.

    LOG is started anew. A build that runs at the same time keeps its own file, which has then lost its name.
    """
    log.unlink(missing_ok=True)
    with log.open("w", encoding="utf-8", buffering=1) as file:
        # Of several builds at once, in threads of their own, none has the terminal for itself.
        if sys.stderr.isatty() and threading.current_thread() is threading.main_thread():
            with _on_terminal(image) as watched:
                yield _Tee(file, watched)
        else:
            yield _Tee(file, _Plain(image))


class _Tee:
    def __init__(self, file: TextIO, output: Output) -> None:
        self._file = file
        self._output = output

    def line(self, text: str) -> None:
        text = plain(text)
        self._file.write(f"{text}\n")
        self._output.line(text)


class _Plain:
    """For logs: every line but noise, a step with the time since the start."""

    def __init__(self, image: str) -> None:
        self._image = image
        self._started = time.monotonic()

    def line(self, text: str) -> None:
        if _NOISE.match(text):
            return
        step = step_of(text)
        if step is None:
            console.say(text)
        else:
            console.say(f"[{self._image} {elapsed(time.monotonic() - self._started)}] {step}")


@contextmanager
def _on_terminal(image: str) -> Iterator[Output]:
    from rich.console import Console
    from rich.live import Live

    output = _Screen(image)
    live = Live(get_renderable=output.render, console=Console(stderr=True), refresh_per_second=4, transient=True)
    with live:
        yield output


class _Screen:
    """For a terminal: one line with step and time, and the last lines below it."""

    def __init__(self, image: str) -> None:
        self._image = image
        self._started = time.monotonic()
        self._step = "starting"
        self._lines: deque[str] = deque(maxlen=SHOWN_LINES)

    def line(self, text: str) -> None:
        if _NOISE.match(text):
            return
        step = step_of(text)
        if step is None:
            self._lines.append(text)
        else:
            self._step = step

    def render(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        head = Text(f"building {self._image}  {elapsed(time.monotonic() - self._started)}  ", style="bold")
        head.append(self._step, style="not bold cyan")
        texts = [head, *(Text(f"  {line}", style="dim") for line in self._lines)]
        for text in texts:
            text.no_wrap, text.overflow = True, "ellipsis"
        return Group(*texts)
