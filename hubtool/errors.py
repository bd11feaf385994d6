"""The one error type for what a user can cause or mend."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Where:
    """The place an error is about: a file, and where known the line (from 1) and the key in it."""

    file: Path | str
    line: int | None = None
    key: str | None = None

    def __str__(self) -> str:
        line = f":{self.line}" if self.line else ""
        key = f": {self.key}" if self.key else ""
        return f"{self.file}{line}{key}"


class HubtoolError(Exception):
    """An expected failure: ends the program with exit code 1 and no traceback.

    ``message`` says what is wrong, ``where`` names file, line and key, ``hint`` what to do about it.
    """

    def __init__(self, message: str, *, where: Where | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text}\n  {self.hint}" if self.hint else text
