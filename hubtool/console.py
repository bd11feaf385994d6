"""What hubtool prints: progress, results, and what GitHub Actions reads.

Results go to standard output, everything else to standard error, so that ``--json`` can be piped.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LOG_DOTS = "…"


def say(text: str = "") -> None:
    """Tell the person at the terminal; never part of a result. Lines of several threads stay whole."""
    print(f"{text}\n", end="", file=sys.stderr, flush=True)


def warn(text: str) -> None:
    """A warning: plain on a terminal, an annotation in GitHub Actions."""
    prefix = "::warning::" if in_github_actions() else "warning: "
    print(prefix + (_one_line(text) if in_github_actions() else text), file=sys.stderr, flush=True)


def result(text: str) -> None:
    """Print a result on standard output."""
    print(text, flush=True)


def result_json(data: Any) -> None:
    """Print a result as JSON on standard output."""
    print(json.dumps(data, indent=2, default=str), flush=True)


def table(rows: Iterable[Sequence[str]], header: Sequence[str]) -> str:
    """A plain aligned table, readable on a terminal and in a log."""
    cells = [list(header), *[list(row) for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def printable(text: str) -> str:
    """TEXT without what would move a terminal's cursor or can't be encoded: names may hold anything."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def counted(number: int, noun: str) -> str:
    """1 tag, 2 tags."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def bytes_text(size: int) -> str:
    """A number of bytes for people: 1.5 GB, 38 MB, 11 kB."""
    value, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if abs(value) < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if unit == "B" or abs(value) >= 9.95 else f"{value:.1f} {unit}"


def in_github_actions() -> bool:
    return os.environ.get("GITHUB_ACTIONS") == "true"


def github_output(values: Mapping[str, str]) -> None:
    """Write step outputs where GitHub Actions reads them; elsewhere does nothing."""
    path = os.environ.get("GITHUB_OUTPUT")
    if not path:
        return
    with Path(path).open("a", encoding="utf-8") as stream:
        for key, value in values.items():
            mark = f"end-{os.urandom(8).hex()}"
            stream.write(f"{key}<<{mark}\n{value}\n{mark}\n")


def github_summary(markdown: str) -> None:
    """Add to the step summary of GitHub Actions; elsewhere does nothing."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if path:
        with Path(path).open("a", encoding="utf-8") as stream:
            stream.write(markdown.rstrip() + "\n\n")


def github_error(text: str, file: str | None = None, line: int | None = None) -> None:
    """An error annotation in GitHub Actions; elsewhere does nothing."""
    if in_github_actions():
        place = ",".join(part for part in (f"file={file}" if file else "", f"line={line}" if line else "") if part)
        print(f"::error {place}::{_one_line(text)}", flush=True)


def _one_line(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


@contextmanager
def step(title: str) -> Iterator[None]:
    """Show what is being done, and when it is done, how long it took in seconds."""
    started = time.monotonic()
    say(f"{title} {LOG_DOTS}")
    yield
    say(f"{title}: done in {time.monotonic() - started:.1f} s")
