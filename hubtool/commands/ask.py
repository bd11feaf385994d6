"""What hubtool asks a person at a terminal. It asks nobody in CI, and nothing that an option or a name answers."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from hubtool import console
from hubtool.config import FILE_NAME, Config
from hubtool.errors import HubtoolError
from hubtool.plan import Variant, read_graph
from hubtool.plan.graph import select
from hubtool.plan.source import Source

_RANGE = re.compile(r"([0-9]{1,6})(?:-([0-9]{1,6}))?")


def which(config: Config, root: Path, source: Source, *, answered: bool) -> list[str] | None:
    """The variants that a person chooses, none for all of them; None where nobody was asked: it is ANSWERED already,
    there is one alone, or nobody is there to ask."""
    if answered or not _somebody_is_there():
        return None
    nodes = select(read_graph(config, root, source), (), root / FILE_NAME)
    if len(nodes) < 2:
        return None
    rows = [(f"{number}", node.id, str(node.reference)) for number, node in enumerate(nodes, 1)]
    console.say(console.table(rows, ("", "variant", "reference")))
    while (chosen := read_numbers(_ask("which of them? as 1 3-5, or Enter for all: "), len(nodes))) is None:
        console.say(f"numbers from 1 to {len(nodes)}, with spaces or commas between them, or all")
    return [nodes[number - 1].id for number in chosen]


def may_push(variants: Sequence[Variant]) -> bool:
    """Whether a person lets hubtool push VARIANTS."""
    if not variants:
        return True
    for one in variants:
        console.say(" ".join([str(one.reference), *(f"and {tag}" for tag, _ in one.further)]))
    tags = console.counted(sum(1 + len(one.further) for one in variants), "tag")
    return _ask(f"push {tags}? [y/N] ").lower() in ("y", "yes")


def read_numbers(answer: str, last: int) -> list[int] | None:
    """The numbers that ANSWER means, from 1 to LAST, in their order; none for all. None for what is no answer."""
    if answer.lower() in ("", "all"):
        return []
    found: set[int] = set()
    for word in answer.replace(",", " ").split():
        match = _RANGE.fullmatch(word)
        first, end = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 1 <= first <= end <= last:
            return None
        found |= set(range(first, end + 1))
    return sorted(found) or None


def _somebody_is_there() -> bool:
    in_ci = os.environ.get("CI", "").lower() not in ("", "false", "0")
    return not in_ci and all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def _ask(question: str) -> str:
    """The line that is typed; raises HubtoolError where there will be none."""
    print(question, end="", file=sys.stderr, flush=True)
    line = sys.stdin.readline()
    if not line:
        console.say()
        raise HubtoolError("no answer", hint="name images, or --yes to be asked nothing")
    return line.strip()
