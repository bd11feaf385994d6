"""What a server's log says of errors and warnings, in the forms that Jupyter and Python have."""

from __future__ import annotations

import re

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_JUPYTER = re.compile(r"\[([DIWEC]) ")
# The level is one of the first words: "ERROR:root:...", "2026-01-31 12:00:00,000 [ERROR] ...", "level=error ...".
_ERROR = re.compile(
    r"(?:\S+ ){0,5}[\[(]?(?:ERROR|CRITICAL|FATAL)\b|.*\blevel=(?:error|critical|fatal)\b|Traceback \(most"
)
_WARNING = re.compile(r"(?:\S+ ){0,5}[\[(]?WARN(?:ING)?\b|.*\blevel=warn|.*\b[A-Z]\w*Warning: ")


def errors_in(text: str) -> list[str]:
    """The lines of TEXT at level ERROR or above, and the first of each traceback."""
    return [line for line in _lines(text) if _is(line, "EC", _ERROR)]


def warnings_in(text: str) -> int:
    """How many lines of TEXT are warnings."""
    return sum(_is(line, "W", _WARNING) for line in _lines(text))


def _lines(text: str) -> list[str]:
    return [_COLOURS.sub("", line).rstrip() for line in text.splitlines()]


def _is(line: str, levels: str, otherwise: re.Pattern[str]) -> bool:
    jupyter = _JUPYTER.match(line)
    return jupyter[1] in levels if jupyter else otherwise.match(line) is not None
