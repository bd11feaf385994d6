"""Which files of an image travel together: a package's, what changes with every build, the rest folder by folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hubtool.image.files import Entry
from hubtool.image.layout import Group
from hubtool.image.packages import Ownership
from hubtool.image.times import source_of

VOLATILE = "volatile"
LARGE_FILE = 8_000_000  # bytes; from there on a file that nobody owns goes alone
LARGE_FOLDER = 64_000_000  # bytes of a folder that are nobody's; above, each of its subfolders goes alone
LEAST_DEPTH, MOST_DEPTH = 2, 6
HEADER = 512  # what an entry takes beside its content


@dataclass(frozen=True)
class Grouping:
    """Groups, by key, and the paths in each: every path that is no folder with something in it, once."""

    groups: tuple[Group, ...]
    paths: Mapping[str, Sequence[str]]


def group_files(visible: Mapping[str, Entry], ownership: Ownership) -> Grouping:
    """Put each of the VISIBLE files into one group. The keys are the same from build to build.

    All names of one file (hard links) are in one group, a package's if one of them is a package's.
    """
    keys = _keys(visible, ownership)
    paths: dict[str, list[str]] = {}
    for path, key in keys.items():
        paths.setdefault(key, []).append(path)
    depends = {package.key: package.depends for package in ownership.packages}
    groups = [
        Group(key, sum(map(_weight, map(visible.__getitem__, inside))), key == VOLATILE, depends.get(key, ()))
        for key, inside in sorted(paths.items())
    ]
    return Grouping(tuple(groups), paths)


def _weight(entry: Entry) -> int:
    return HEADER + (entry.size if entry.kind == "file" and not entry.twin else 0)


def _keys(visible: Mapping[str, Entry], ownership: Ownership) -> dict[str, str]:
    leaves = sorted(visible.keys() - _folders_with_content(visible))
    keys = {path: _owner(path, visible, ownership) for path in leaves}
    twins = {path: twin for path in leaves if (twin := visible[path].twin) in keys}
    for path, twin in twins.items():
        keys[twin] = min(keys[twin], keys[path], key=lambda key: (key == VOLATILE, key == "", key))
    for path, twin in twins.items():
        keys[path] = keys[twin]
    nobodys = [path for path, key in keys.items() if not key]
    small = {}
    for path in nobodys:
        place = _place(twins.get(path, path), visible)
        if visible[path].size >= LARGE_FILE:
            keys[path] = f"file:{place}"
        else:
            small[path] = place.split("/")
    keys.update(_by_folder(small, visible))
    return keys


def _folders_with_content(visible: Mapping[str, Entry]) -> set[str]:
    found: set[str] = set()
    for path in visible:
        while path and (path := path.rpartition("/")[0]) not in found:
            found.add(path)
    return found


def _owner(path: str, visible: Mapping[str, Entry], ownership: Ownership) -> str:
    """The key of the package that PATH is of, VOLATILE, or "" where it is nobody's."""
    if path in ownership.volatile:
        return VOLATILE
    return ownership.owner.get(_place(path, visible)) or ownership.owner.get(path, "")


def _place(path: str, visible: Mapping[str, Entry]) -> str:
    """PATH; for a compiled Python file, which is nothing by itself, its source's."""
    source = source_of(path)
    return source if source is not None and source in visible else path


def _by_folder(places: Mapping[str, Sequence[str]], visible: Mapping[str, Entry]) -> Iterator[tuple[str, str]]:
    """Path and key of each of PLACES' paths: its folder's, or the one above if that has little else in it."""
    waiting = [(list(places), 0)]
    while waiting:
        paths, depth = waiting.pop()
        folder = "/".join(places[paths[0]][:depth]) if paths else ""
        small = depth >= LEAST_DEPTH and sum(_weight(visible[path]) for path in paths) < LARGE_FOLDER
        deeper: dict[str, list[str]] = {}
        for path in paths:
            if small or depth == MOST_DEPTH or len(places[path]) == depth + 1:
                yield path, f"dir:{folder}"
            else:
                deeper.setdefault(places[path][depth], []).append(path)
        waiting += [(inside, depth + 1) for inside in deeper.values()]
