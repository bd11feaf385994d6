"""Debian's and Ubuntu's packages: /var/lib/dpkg, and status.d of images that have no dpkg.

Formats: deb-control(5), and the files of dpkg's database as dpkg 1.22 writes them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hubtool.image.owners.claims import Claim
from hubtool.image.owners.tree import Tree, clean, fields, first

BASE = "var/lib/dpkg"
STATUS = f"{BASE}/status"
GONE = ("not-installed", "config-files")

_NAME = re.compile(r"[^\s(:,|]+")
_SUM = re.compile(r"[0-9a-f]{32}  (.+)")

Diversions = Mapping[str, tuple[str, str]]  # what is diverted -> (where to, the package that diverts)


@dataclass(frozen=True)
class _Stanza:
    found: dict[str, list[str]]
    marker: str

    @property
    def name(self) -> str:
        return first(self.found, "package")

    @property
    def architecture(self) -> str:
        return first(self.found, "architecture")


def claims(tree: Tree) -> Iterator[Claim]:
    """The packages that dpkg has, one of a foreign architecture as NAME:ARCHITECTURE."""
    stanzas = [stanza for stanza in _stanzas(tree) if stanza.name]
    counted = Counter(stanza.architecture for stanza in stanzas if stanza.architecture != "all")
    native = counted.most_common(1)[0][0] if counted else ""
    diversions = _diversions(tree)
    info = _info(tree)
    for stanza in stanzas:
        yield _claim(tree, stanza, native, info, diversions)


def _stanzas(tree: Tree) -> Iterator[_Stanza]:
    for text in re.split(r"\n\s*\n", tree.text(STATUS)):
        found = fields(text)
        if not first(found, "status").endswith(GONE):
            yield _Stanza(found, "")
    for path in tree.below(f"{BASE}/status.d"):
        if not path.endswith(".md5sums"):
            yield _Stanza(fields(tree.text(path)), path)


def _claim(tree: Tree, stanza: _Stanza, native: str, info: Mapping[str, list[str]], diversions: Diversions) -> Claim:
    name, foreign = stanza.name, f"{stanza.name}:{stanza.architecture}"
    own = info.get(foreign) or info.get(name, [])
    listed = [*own, *_listed(tree, name, own, diversions)]
    if stanza.marker:
        sums = f"{stanza.marker}.md5sums"
        listed += [stanza.marker, *([sums] if sums in tree else []), *_summed(tree, sums)]
    return Claim(
        ecosystem="dpkg",
        name=name if stanza.architecture in (native, "all", "") else foreign,
        version=first(stanza.found, "version"),
        place="",
        # Not status: that is the file of all.
        marker=stanza.marker or next((path for path in own if path.endswith(".list")), f"{BASE}/info/{name}.list"),
        listed=listed,
        needs=tuple(_needs(stanza.found)),
        names=(name, *(provided for names in _names(stanza.found, "provides") for provided in names)),
    )


def _info(tree: Tree) -> dict[str, list[str]]:
    """The files of the database that are one package's, by the name that they start with."""
    found: dict[str, list[str]] = {}
    for path in tree.below(f"{BASE}/info"):
        stem, dot, _ = path.rpartition("/")[2].rpartition(".")
        if dot:
            found.setdefault(stem, []).append(path)
    return found


def _listed(tree: Tree, package: str, own: list[str], diversions: Diversions) -> Iterator[str]:
    for path in own:
        if not path.endswith(".list"):
            continue
        for line in tree.text(path).split("\n"):
            there, diverter = diversions.get(line, (line, package))
            found = tree.real(line if diverter == package else there)
            if found is not None:
                yield found


def _summed(tree: Tree, sums: str) -> Iterator[str]:
    for line in tree.text(sums).split("\n"):
        match = _SUM.fullmatch(line)
        found = tree.real(match[1]) if match else None
        if found is not None:
            yield found


def _diversions(tree: Tree) -> dict[str, tuple[str, str]]:
    """dpkg-divert's table, three lines an entry; a diversion of the administrator's is of no package's (":")."""
    lines = tree.text(f"{BASE}/diversions").split("\n")
    return {lines[at]: (lines[at + 1], lines[at + 2]) for at in range(0, len(lines) - 2, 3)}


def _needs(found: dict[str, list[str]]) -> Iterator[tuple[str, ...]]:
    yield from _names(found, "pre-depends")
    yield from _names(found, "depends")


def _names(found: dict[str, list[str]], key: str) -> Iterator[tuple[str, ...]]:
    for group in found.get(key, [""])[0].split(","):
        matches = [_NAME.match(choice.strip()) for choice in group.split("|")]
        names = tuple(clean(match[0]) for match in matches if match)
        if names:
            yield names
