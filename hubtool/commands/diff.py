"""hubtool diff: what differs between two releases, and what a node has to fetch for the newer one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from hubtool import console
from hubtool.commands.contents import Contents, find_reference, read_contents
from hubtool.console import bytes_text, counted, printable
from hubtool.errors import HubtoolError
from hubtool.image.changes import KINDS, Change, Difference, Kind, Pull, compare, pull_of

REBUILT: Kind = "rebuilt"


def diff(old: str, new: str, *, root: Path, as_json: bool) -> None:
    """Print the packages that were added, removed or changed between two releases, sizes, and what travels."""
    before, after = _released(old, root), _released(new, root)
    difference = _compare(before, after)
    pull = pull_of(before.travelling, after.travelling)
    if as_json:
        console.result_json(_data(before, after, difference, pull))
        return
    parts = [*_packages(difference), _sizes(difference, pull)] if difference else [_travels(pull)]
    console.result("\n\n".join(parts))


def _released(text: str, root: Path) -> Contents:
    reference = find_reference(text, root)
    found = read_contents(reference)
    if found is None:
        raise HubtoolError(f"its registry has no {reference}", hint="releases are compared: push it first")
    return found


def _compare(old: Contents, new: Contents) -> Difference | None:
    for contents in (old, new):
        if contents.inventory is None:
            console.warn(
                f"nothing attached to {contents.name} tells what is inside, so packages are not compared; "
                "images that hubtool pushes carry an SBOM"
            )
    return compare(old.inventory, new.inventory) if old.inventory and new.inventory else None


# ---- what is printed


def _packages(difference: Difference) -> list[str]:
    changes = [change for change in difference.changes if change.kind != REBUILT]
    rows = [tuple(map(printable, _row(change))) for change in changes]
    return [console.table(rows, ("", "ecosystem", "package", "old", "new", "size"))] if rows else ["no package differs"]


def _row(change: Change) -> tuple[str, ...]:
    kind = "changed, major" if change.major else change.kind
    return kind, change.ecosystem, change.name, change.old or "", change.new or "", signed(change.growth)


def signed(size: int) -> str:
    """A number of bytes more or less: +3.0 MB."""
    return f"{'-' if size < 0 else '+'}{bytes_text(abs(size))}" if size else ""


def _sizes(difference: Difference, pull: Pull) -> str:
    counts = Counter(change.kind for change in difference.changes)
    majors = sum(change.major for change in difference.changes)
    told = ", ".join(f"{counts[kind]} {kind}" for kind in KINDS if kind != REBUILT)
    lines = [f"packages: {told}; {majors} to another major version"]
    if counts[REBUILT]:
        growth = sum(change.growth for change in difference.changes if change.kind == REBUILT)
        lines.append(f"same version, another size: {counts[REBUILT]} packages, {signed(growth) or '+0 B'}")
    lines += [
        f"/{printable(folder.strip('/'))}, no package's: {signed(new - old)}"
        for folder, (old, new) in difference.rest.items()
    ]
    growth = difference.new_size - difference.old_size
    lines.append(f"installed: {bytes_text(difference.new_size)} ({signed(growth) or 'as before'})")
    return "\n".join([*lines, _travels(pull)])


def _travels(pull: Pull) -> str:
    return (
        f"a node that has the old one pulls {bytes_text(pull.bytes)} ({counted(pull.layers, 'layer')}) "
        f"and has {bytes_text(pull.shared_bytes)} ({counted(pull.shared_layers, 'layer')}) already"
    )


def _data(old: Contents, new: Contents, difference: Difference | None, pull: Pull) -> dict[str, Any]:
    sizes = (difference.old_size, difference.new_size) if difference else (None, None)
    return {
        "old": _side(old, sizes[0]),
        "new": _side(new, sizes[1]),
        "packages": [_change(change) for change in difference.changes] if difference else None,
        "rest": {key: {"old": a, "new": b} for key, (a, b) in difference.rest.items()} if difference else None,
        "pull_bytes": pull.bytes,
        "pull_layers": pull.layers,
        "shared_bytes": pull.shared_bytes,
        "shared_layers": pull.shared_layers,
    }


def _side(contents: Contents, size: int | None) -> dict[str, Any]:
    travelling = contents.travelling
    return {
        "reference": contents.name,
        "size": size,
        "compressed_size": sum(travelling.values()),
        "layers": len(travelling),
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "change": change.kind,
        "ecosystem": change.ecosystem,
        "name": change.name,
        "place": change.place,
        "old": change.old,
        "new": change.new,
        "major": change.major,
        "old_size": change.old_size,
        "new_size": change.new_size,
    }
