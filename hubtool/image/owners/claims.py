"""Who owns a file when several packages could.

1. A package whose own metadata lies among another package's files is a part of that other one, no package of its
   own: what conda and dpkg ship has dist-info folders, DESCRIPTION files and package.json files too, and a wheel
   may hold vendored wheels and extensions of JupyterLab.
2. A package that lists a file has it before one that only has the folder.
3. Of several that list it, the one of the later ecosystem has it (dpkg, conda, pypi, r, npm, jupyter): it was
   installed over the other. Within an ecosystem it is the first by key, so that two builds agree.
4. What nobody lists belongs to the package with the innermost folder around it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hubtool.image.owners.tree import Tree, upwards
from hubtool.image.packages import Package, key_of


@dataclass(frozen=True, slots=True)
class Claim:
    """A package, as the metadata at ``marker`` tells it.

    ``listed`` are paths of the image, ``folders`` those of which it has all that nobody lists; ``needs`` are names
    of packages of its ecosystem, each with its alternatives; ``names`` are more names than its own that others may
    need it by.
    """

    ecosystem: str
    name: str
    version: str
    place: str
    marker: str
    listed: Sequence[str] = ()
    folders: tuple[str, ...] = ()
    needs: tuple[tuple[str, ...], ...] = ()
    names: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return key_of(self.ecosystem, self.place, self.name)


class Claims:
    """Claims of all ecosystems, earlier ones first, and what becomes of them."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._own: dict[str, Claim] = {}
        self._folders: dict[str, str] = {}
        self._known: dict[tuple[str, str], dict[str, str]] = {}
        self.owner: dict[str, str] = {}

    def add(self, claims: Iterable[Claim]) -> None:
        """Settle the claims of one ecosystem."""
        ordered = sorted(claims, key=lambda claim: (len(claim.place), claim.key, claim.version, claim.marker))
        hosts = self._hosts(ordered)
        listed: dict[str, str] = {}
        for claim in ordered:
            if claim.marker not in hosts:
                self._own.setdefault(claim.key, claim)
                listed.update((path, claim.key) for path in claim.listed if path not in listed)
        self.owner.update(listed)
        for claim in ordered:
            key = hosts.get(claim.marker, claim.key)
            for path in (claim.marker, *claim.listed):
                if path in self._tree:
                    self.owner.setdefault(path, key)
            for folder in claim.folders:
                self._folders.setdefault(folder, key)
            for name in (claim.name, *claim.names):
                self._known.setdefault((claim.ecosystem, name), {}).setdefault(claim.place, key)

    def _hosts(self, ordered: Sequence[Claim]) -> dict[str, str]:
        """For each claim, by marker, that is a part of another package: the key of that package."""
        markers = {claim.marker: claim for claim in ordered}
        hosts = {marker: self.owner[marker] for marker in markers if marker in self.owner}
        for claim in ordered:
            key = hosts.get(claim.marker, claim.key)
            for path in claim.listed:
                inner = markers.get(path)
                # Deeper only: two that list each other are two packages.
                if inner is not None and len(inner.place) > len(claim.place):
                    hosts.setdefault(path, key)
        return hosts

    def settle_folders(self) -> None:
        """Give what nobody lists to the package with the innermost folder around it."""
        near: dict[str, str | None] = {}
        for path in self._tree.paths:
            if path in self.owner:
                continue
            folder = path.rpartition("/")[0]
            if folder not in near:
                near[folder] = next((self._folders[up] for up in upwards(path) if up in self._folders), None)
            key = near[folder]
            if key is not None:
                self.owner[path] = key

    def packages(self) -> tuple[Package, ...]:
        """The packages, sorted, with what they need of each other."""
        return tuple(sorted(self._package(claim) for claim in self._own.values()))

    def _package(self, claim: Claim) -> Package:
        needed = {self._needed(claim, names) for names in claim.needs} - {None, claim.key}
        depends = tuple(sorted(key for key in needed if key is not None))
        return Package(claim.ecosystem, claim.name, claim.version, claim.place, depends)

    def _needed(self, claim: Claim, names: Sequence[str]) -> str | None:
        for name in names:
            places = self._known.get((claim.ecosystem, name), {})
            if claim.place in places:
                return places[claim.place]
            world = _world(claim)
            for place, key in sorted(places.items()):
                if _world_of(claim.ecosystem, place) == world:
                    return key
        return None


def _world(claim: Claim) -> str:
    return _world_of(claim.ecosystem, claim.place)


def _world_of(ecosystem: str, place: str) -> str:
    """Packages of one world see each other: all libraries of R, all site-packages of one prefix."""
    if ecosystem == "r":
        return ""
    if ecosystem == "pypi":
        prefix = f"/{place}".partition("/lib")[0]
        return "/usr" if prefix == "/usr/local" else prefix
    return place
