"""Text from outside (labels of images, file names, tags) made harmless in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

MAX_CELL = 300
_URL = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]+)?/[A-Za-z0-9._~/%@+=&?#-]*\Z")


def code(text: str) -> str:
    """TEXT as code: nothing in it is markup, mentions anybody or ends a table's cell."""
    clean = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", " ", text).strip()[:MAX_CELL]
    if not clean:
        return ""
    fence = "`" * (max((len(run) for run in re.findall("`+", clean)), default=0) + 1)
    pad = " " if clean[0] == "`" or clean[-1] == "`" else ""
    return f"{fence}{pad}{clean}{pad}{fence}".replace("|", "\\|")


def link(text: str, url: str) -> str:
    """TEXT as code, linked to URL where that is plain http or https."""
    return f"[{code(text)}]({url})" if _URL.match(url) else code(text)


def table(header: Sequence[str], rows: Iterable[Sequence[str]], most: int) -> str:
    """A table of at most MOST rows, which says how many it leaves out. Cells are Markdown already."""
    all_rows = list(rows)
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    lines += ["| " + " | ".join(row) + " |" for row in all_rows[:most]]
    if len(all_rows) > most:
        lines += ["", f"… and {len(all_rows) - most} more."]
    return "\n".join(lines)


def bounded(text: str, most: int = 60_000) -> str:
    """TEXT cut to MOST characters at a line's end (GitHub takes 65,536)."""
    if len(text) <= most:
        return text
    return text[: text.rfind("\n", 0, most)] + "\n\n… (cut)\n"
