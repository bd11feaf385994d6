"""What the docstring of a check says."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

MEND = "To mend:"


@dataclass(frozen=True)
class Doc:
    """The parts of a check's docstring: its first line, what breaks for whom, and what to do."""

    promise: str = ""
    breaks: str = ""
    mend: str = ""


def read_docstring(check: object) -> Doc:
    """The docstring of CHECK in its parts; a part that is not there is ""."""
    text = inspect.getdoc(check) if callable(check) else None
    promise, *rest = [" ".join(part.split()) for part in (text or "").split("\n\n")]
    mend = [part.removeprefix(MEND).strip() for part in rest if part.startswith(MEND)]
    breaks = [part for part in rest if not part.startswith(MEND)]
    return Doc(promise.rstrip("."), " ".join(breaks), " ".join(mend))
