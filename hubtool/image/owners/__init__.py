"""Whose the files of an image are, by the databases of the package managers that are in it."""

from __future__ import annotations

from collections.abc import Mapping

from hubtool.image.files import Entry, ImageFiles
from hubtool.image.owners import conda, dpkg, jupyter, npm, pypi, r
from hubtool.image.owners.claims import Claims
from hubtool.image.owners.tree import Tree
from hubtool.image.owners.volatile import REGENERATED, STAMPED, is_volatile
from hubtool.image.packages import Ownership


def find_owners(files: ImageFiles) -> Ownership:
    """The packages in an image and whose its files are; claims.py has the rules. Folders are nobody's.

    All names of one file have one owner, or none, and are all volatile or none of them. Metadata that is broken
    is passed over: what it would have told is then nobody's.
    """
    tree = Tree(files)
    caches = conda.caches(tree)
    tree.ignore(caches)
    claims = Claims(tree)
    for ecosystem in (dpkg, conda, pypi, r, npm, jupyter):
        claims.add(ecosystem.claims(tree))
    claims.settle_folders()
    owner = claims.owner
    volatile = pypi.settle_compiled(tree, owner)
    volatile.update(path for folder in caches for path in tree.below(folder) if path not in owner)
    volatile.update(path for path in tree.paths if is_volatile(path) or _is_rewritten(path, owner))
    for names in _linked(files.visible):
        _settle_names(names, owner, volatile)
    return Ownership(claims.packages(), owner, frozenset(volatile))


def _is_rewritten(path: str, owner: Mapping[str, str]) -> bool:
    if path in owner:
        return path.endswith(STAMPED) and owner[path].startswith("r:")
    return path.endswith(REGENERATED)


def _linked(entries: Mapping[str, Entry]) -> list[list[str]]:
    """The names of each file that has several, sorted."""
    found: dict[str, list[str]] = {}
    for path, entry in entries.items():
        if entry.twin:
            found.setdefault(entry.twin, [entry.twin]).append(path)
    return [sorted(names) for names in found.values()]


def _settle_names(names: list[str], owner: dict[str, str], volatile: set[str]) -> None:
    """Give all NAMES of a file to one owner; a name in a cache, uv's say, does not make the file a volatile one."""
    lasting = [name for name in names if name not in volatile]
    key = next((owner[name] for name in (*lasting, *names) if name in owner), None)
    if key is not None:
        owner.update(dict.fromkeys(names, key))
    if lasting:
        volatile.difference_update(names)
