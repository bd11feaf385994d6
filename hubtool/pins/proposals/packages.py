"""What a pull request says of the packages that come with an image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from hubtool.console import bytes_text
from hubtool.forges.markdown import code, table
from hubtool.image.changes import Change, Difference, Pull

MAX_PACKAGES = 60


@dataclass(frozen=True)
class Comparison:
    """What differs between the old image and the new one; None of each where nothing tells."""

    packages: Difference | None = None
    pull: Pull | None = None


NOTHING_KNOWN = Comparison()


def packages_section(comparison: Comparison) -> str:
    """The packages by ecosystem, majors first and marked, and what nodes fetch; "" where nothing tells."""
    return "\n\n".join(part for part in (_packages(comparison.packages), _size(comparison)) if part)


def _packages(difference: Difference | None) -> str:
    if difference is None:
        return ""
    changes = [change for change in difference.changes if change.kind != "rebuilt"]
    if not changes:
        return "Packages: none differs."
    majors = sum(change.major for change in changes)
    first = f"Packages: {len(changes)} differ" + (f", **{majors} by a major version**" if majors else "") + "."
    return f"{first}\n\n" + table(("", "package", "old", "new"), list(_rows(changes)), MAX_PACKAGES)


def _rows(changes: list[Change]) -> Iterator[tuple[str, ...]]:
    def order(change: Change) -> tuple[str, bool, str]:
        return change.ecosystem, not change.major, change.name

    for ecosystem, group in groupby(sorted(changes, key=order), key=lambda change: change.ecosystem):
        for change in group:
            kind = "**major**" if change.major else change.kind
            yield f"{ecosystem} {kind}", code(change.name), code(change.old or ""), code(change.new or "")


def _size(comparison: Comparison) -> str:
    difference, pull = comparison.packages, comparison.pull
    told = []
    if difference:
        growth = difference.new_size - difference.old_size
        told.append(
            f"installed {bytes_text(difference.new_size)} ({'-' if growth < 0 else '+'}{bytes_text(abs(growth))})"
        )
    if pull:
        told.append(f"a node that has the old image pulls {bytes_text(pull.bytes)}")
    return f"Size: {', '.join(told)}." if told else ""
