"""Many files at once: their pins, and the edits that move an image. Their bytes come from a folder or from git."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from hubtool.console import printable
from hubtool.pins import Pin, Skipped, Unreadable
from hubtool.pins.edit import Move, move_each
from hubtool.pins.finders.candidates import Name
from hubtool.pins.finders.find import find


@dataclass(frozen=True)
class Scan:
    """The pins of some files, the files that were skipped, and the bytes of all of these; and the images that
    files name without a tag, which another file of the hub may hold."""

    pins: tuple[Pin, ...]
    skipped: tuple[Skipped, ...]
    files: Mapping[str, bytes]
    names: tuple[Name, ...] = ()

    def unread(self, repository: str) -> list[Skipped]:
        """The skipped files that speak of REPOSITORY all the same, or whose bytes are not known."""
        return [one for one in self.skipped if repository.encode() in self.files.get(one.file, repository.encode())]


@dataclass(frozen=True)
class Change:
    """One edited file. ``note`` says what else than pins moved in it: "version 1.2.3 → 1.2.4" of a chart."""

    file: str
    before: bytes
    after: bytes
    pins: tuple[Pin, ...]
    note: str = ""

    def diff(self) -> str:
        """As a unified diff, line ends shown as they are."""
        old, new = (_lines(data.decode("utf-8")) for data in (self.before, self.after))
        file = printable(self.file)
        lines = difflib.unified_diff(old, new, f"a/{file}", f"b/{file}")
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _lines(text: str) -> list[str]:
    # Not str.splitlines, which also splits at form feeds and the like.
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def scan(files: Iterable[tuple[str, bytes]]) -> Scan:
    """Read every (name, bytes) for pins."""
    pins: list[Pin] = []
    skipped: list[Skipped] = []
    kept: dict[str, bytes] = {}
    names: list[Name] = []
    for file, data in files:
        try:
            found = find(data, file)
        except Unreadable as reason:
            skipped.append(Skipped(file, str(reason)))
            kept[file] = data
            continue
        names += found.names
        if found.pins:
            pins += found.pins
            kept[file] = data
    return Scan(tuple(pins), tuple(skipped), kept, tuple(names))


def merged(scans: Iterable[Scan]) -> Scan:
    """SCANS of different files as one, in the files' order."""
    every = list(scans)
    pins = sorted((pin for one in every for pin in one.pins), key=lambda pin: pin.file)
    skipped = sorted((skip for one in every for skip in one.skipped), key=lambda skip: skip.file)
    files = {file: data for one in every for file, data in one.files.items()}
    return Scan(tuple(pins), tuple(skipped), files, tuple(name for one in every for name in one.names))


def move(
    files: Mapping[str, bytes], pins: Sequence[Pin], tag: str, digest: str | None = None, *, pin_digest: bool = False
) -> list[Change]:
    """The changes that bring PINS to TAG: moved with one move."""
    return moved(files, [Move(pins, tag, digest)], pin_digest=pin_digest)


def moved(files: Mapping[str, bytes], moves: Sequence[Move], *, pin_digest: bool = False) -> list[Change]:
    """The changes that MOVES make, in the files' order; raises HubtoolError where one can't be proven."""
    changes = []
    for file in sorted({pin.file for move in moves for pin in move.pins}):
        here = [replace(move, pins=tuple(pin for pin in move.pins if pin.file == file)) for move in moves]
        after = move_each(files[file], here, pin_digest=pin_digest)
        if after != files[file]:
            changes.append(Change(file, files[file], after, tuple(pin for move in here for pin in move.pins)))
    return changes
