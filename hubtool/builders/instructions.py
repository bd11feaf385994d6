"""The instructions of a Dockerfile (docs.docker.com/reference/dockerfile): with their lines, continued ones joined."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_START = re.compile(r"\s*([A-Za-z]+)\b(.*)", re.DOTALL)
_HEREDOC = re.compile(r"<<-?([\"']?)([A-Za-z_]\w*)\1")
_ESCAPE = re.compile(r"#\s*escape\s*=\s*(\S)\s*$", re.IGNORECASE)
_WITH_HEREDOCS = ("RUN", "COPY", "ADD")


@dataclass(frozen=True)
class Instruction:
    """An instruction: the lines (from 1) that it begins and ends on, its keyword in upper case, all that follows it
    with continued lines joined by a space, and the here-documents below it."""

    line: int
    end: int
    keyword: str
    value: str
    documents: str = ""


def instructions(text: str) -> Iterator[Instruction]:
    """The instructions of TEXT in order; comments and empty lines are left out, also inside a continued one."""
    lines = _Lines(text)
    escape = _escape(text)
    for line in lines:
        start = _START.match(line)
        if start is None or line.lstrip().startswith("#"):
            continue
        begin, keyword = lines.number, start[1].upper()
        value = _joined(start[2], lines, escape)
        ends = [found[2] for found in _HEREDOC.finditer(value)] if keyword in _WITH_HEREDOCS else []
        documents = [body for end in ends for body in _until(end, lines)]
        yield Instruction(begin, lines.number, keyword, value, "\n".join(documents))


class _Lines:
    """The lines of a text, one after the other; ``number`` is that of the last one given."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        while self.number < len(self._lines):
            self.number += 1
            yield self._lines[self.number - 1]


def _joined(first: str, following: _Lines, escape: str) -> str:
    """FIRST with the lines that it goes on with; comments and empty lines among them are passed over."""
    parts = [first.strip()]
    while parts[-1].endswith(escape):
        parts[-1] = parts[-1].removesuffix(escape).rstrip()
        parts.append(next((line.strip() for line in following if not _is_nothing(line)), ""))
    return " ".join(filter(None, parts))


def _until(end: str, lines: _Lines) -> Iterator[str]:
    for line in lines:
        if line.strip() == end:
            return
        yield line


def _is_nothing(line: str) -> bool:
    """Whether LINE, inside a continued instruction, is passed over and the next continues it."""
    return not line.strip() or line.lstrip().startswith("#")


def _escape(text: str) -> str:
    """The character that continues a line: what a directive at the top says, else a backslash."""
    for line in text.splitlines():
        if not line.lstrip().startswith("#"):
            break
        found = _ESCAPE.match(line.strip())
        if found and found[1] in "\\`":
            return found[1]
    return "\\"
