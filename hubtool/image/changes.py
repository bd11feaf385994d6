"""What differs between two images: their packages, their sizes, and what a node has to fetch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

from hubtool.image.inventory import Inventory
from hubtool.image.packages import ECOSYSTEMS, Package

Kind = Literal["changed", "added", "removed", "rebuilt"]
KINDS: tuple[Kind, ...] = ("changed", "added", "removed", "rebuilt")

_EPOCH = re.compile(r"\s*[0-9]+[!:]")  # PEP 440's and Debian's
_NUMBER = re.compile(r"[0-9]+")
_CALENDAR = re.compile(r"(?:19|20)[0-9]{2}(?:[0-9]{2}){0,2}")


@dataclass(frozen=True)
class Change:
    """A package that is not the same in both images. ``old`` and ``new`` are its versions, None where it is absent;
    sizes are bytes installed. ``place`` is the newer one."""

    ecosystem: str
    name: str
    place: str
    old: str | None
    new: str | None
    old_size: int
    new_size: int

    @property
    def kind(self) -> Kind:
        """What became of it; "rebuilt" is the same version with another size."""
        if self.old is None:
            return "added"
        if self.new is None:
            return "removed"
        return "rebuilt" if self.old == self.new else "changed"

    @property
    def major(self) -> bool:
        """Whether it is another major version."""
        return self.old is not None and self.new is not None and is_major(self.old, self.new)

    @property
    def growth(self) -> int:
        return self.new_size - self.old_size


@dataclass(frozen=True)
class Difference:
    """What NEW has and OLD has not, and the other way round: ``changes`` by ecosystem, kind and name; bytes installed
    in both, and by top folder those of the files that are nobody's, (old, new), where they differ."""

    changes: tuple[Change, ...]
    rest: Mapping[str, tuple[int, int]]
    old_size: int
    new_size: int


@dataclass(frozen=True)
class Pull:
    """What a node that has one image fetches for another: layers and bytes as they travel, and what it has already."""

    layers: int
    bytes: int
    shared_layers: int
    shared_bytes: int


def compare(old: Inventory, new: Inventory) -> Difference:
    """What differs between two inventories."""
    changes = [_change(a, b, old, new) for a, b in _pairs(old.packages, new.packages)]
    folders = sorted({*old.rest, *new.rest})
    rest = {folder: (old.rest.get(folder, 0), new.rest.get(folder, 0)) for folder in folders}
    return Difference(
        tuple(sorted((change for change in changes if change.old != change.new or change.growth), key=_order)),
        {folder: sizes for folder, sizes in rest.items() if sizes[0] != sizes[1]},
        total_size(old),
        total_size(new),
    )


def total_size(inventory: Inventory) -> int:
    """The bytes of all files of an image."""
    return sum(inventory.sizes.values()) + sum(inventory.rest.values())


def pull_of(old: Mapping[str, int], new: Mapping[str, int]) -> Pull:
    """What a node that has the layers OLD fetches for the layers NEW: sizes by digest."""
    missing = {digest: size for digest, size in new.items() if digest not in old}
    shared = len(new) - len(missing)
    return Pull(len(missing), sum(missing.values()), shared, sum(new.values()) - sum(missing.values()))


def is_major(old: str, new: str) -> bool:
    """Whether the first numbers of two versions differ. Years and dates are none to speak of."""
    numbers = [_first_number(version) for version in (old, new)]
    if not all(numbers) or all(_CALENDAR.fullmatch(number) for number in numbers):
        return False
    return numbers[0].lstrip("0") != numbers[1].lstrip("0")


def _first_number(version: str) -> str:
    found = _NUMBER.search(_EPOCH.sub("", version, count=1))
    return found[0] if found else ""


def _pairs(old: Iterable[Package], new: Iterable[Package]) -> Iterator[tuple[Package | None, Package | None]]:
    """The same package of both. With another minor version of Python all of pip's have moved to another folder:
    what has no partner of the same place has one of the same name."""
    before, after = ({package.key: package for package in packages} for packages in (old, new))
    for key in before.keys() & after.keys():
        yield before.pop(key), after.pop(key)
    moved: dict[tuple[str, str], tuple[list[Package], list[Package]]] = {}
    for side, packages in enumerate((before, after)):
        for package in sorted(packages.values()):
            moved.setdefault((package.ecosystem, package.name), ([], []))[side].append(package)
    for lost, found in moved.values():
        yield from zip_longest(lost, found)


def _change(a: Package | None, b: Package | None, old: Inventory, new: Inventory) -> Change:
    one = b or a
    assert one is not None
    return Change(
        one.ecosystem,
        one.name,
        one.place,
        a.version if a else None,
        b.version if b else None,
        old.sizes.get(a.key, 0) if a else 0,
        new.sizes.get(b.key, 0) if b else 0,
    )


def _order(change: Change) -> tuple[int, int, str, str]:
    return ECOSYSTEMS.index(change.ecosystem), KINDS.index(change.kind), change.name, change.place
