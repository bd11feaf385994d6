"""Python packages that pip or uv installed: dist-info folders anywhere, eggs in site-packages, editable ones.

Formats: packaging.python.org, "Recording installed projects", "Core metadata" and "Direct URL origin".
"""

from __future__ import annotations

import csv
import io
import posixpath
import re
from collections.abc import Callable, Iterator
from urllib.parse import unquote, urlsplit

from hubtool.image.owners.claims import Claim
from hubtool.image.owners.tree import Tree, below_root, clean, fields, first
from hubtool.image.times import source_of

LIMIT = 1_000_000  # bytes of METADATA; a long description may follow, the fields come first
SITES = ("site-packages", "dist-packages")
PROJECT = ("pyproject.toml", "setup.py", "setup.cfg")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SEPARATORS = re.compile(r"[-_.]+")


def claims(tree: Tree) -> Iterator[Claim]:
    """The packages of every site-packages; an editable one has its project's folder too."""
    for path in tree.markers(lambda path: path.endswith(_ENDINGS)):
        make = next(make for ending, make in _MAKERS.items() if path.endswith(ending))
        claim = make(tree, path)
        if claim is not None:
            yield claim


def settle_compiled(tree: Tree, owner: dict[str, str]) -> set[str]:
    """Give every .pyc to the owner of its source. Returns those that have neither source nor owner."""
    orphans = set()
    for path in tree.paths:
        source = source_of(path)
        if source is None:
            continue
        if source in owner:
            owner[path] = owner[source]
        elif source not in tree and path not in owner:
            orphans.add(path)
    return orphans


def _wheel(tree: Tree, path: str) -> Claim | None:
    folder = posixpath.dirname(path)
    if not folder.endswith(".dist-info"):
        return None
    site = posixpath.dirname(folder)
    listed = list(_recorded(tree, site, f"{folder}/RECORD"))
    folders = [folder, *_editable(tree, f"{folder}/direct_url.json")]
    if not listed:
        folders += _top_level(tree, site, folder)
    return _claim(tree, path, site, listed, tuple(folders))


def _egg(tree: Tree, path: str) -> Claim | None:
    folder = posixpath.dirname(path)
    if folder.endswith(".egg/EGG-INFO"):
        egg = posixpath.dirname(folder)
        return _claim(tree, path, posixpath.dirname(egg), [], (egg,))
    site = posixpath.dirname(folder)
    if not folder.endswith(".egg-info") or posixpath.basename(site) not in SITES:
        return None
    listed = list(_recorded(tree, folder, f"{folder}/installed-files.txt"))
    return _claim(tree, path, site, listed, (folder, *([] if listed else _top_level(tree, site, folder))))


def _flat_egg(tree: Tree, path: str) -> Claim | None:
    """What distutils left: metadata, but no list."""
    site = posixpath.dirname(path)
    return _claim(tree, path, site, [], ()) if posixpath.basename(site) in SITES else None


def _link(tree: Tree, path: str) -> Claim | None:
    """An editable package of setuptools' own making: where its egg-info is, and from there its project's folder."""
    there, _, up = tree.text(path, LIMIT).partition("\n")
    base, name = tree.folder(below_root(there.strip())), posixpath.basename(path).removesuffix(".egg-link")
    markers = [f"{base}/{spelt}.egg-info/PKG-INFO" for spelt in (name.replace("-", "_"), name)]
    folder = below_root(f"{base}/{up.strip()}")
    marker = next((marker for marker in markers if marker in tree), None)
    if not _is_project(tree, folder) or marker is None:
        return None
    return _claim(tree, marker, posixpath.dirname(path), [path], (folder,))


def _claim(tree: Tree, marker: str, site: str, listed: list[str], folders: tuple[str, ...]) -> Claim | None:
    found = fields(tree.text(marker, LIMIT))
    stem = posixpath.basename(posixpath.dirname(marker)).rpartition(".")[0]
    name = normalized(first(found, "name") or clean(stem.partition("-")[0]))
    if not name:
        return None
    return Claim(
        ecosystem="pypi",
        name=name,
        version=first(found, "version") or clean(stem.partition("-")[2]),
        place=site,
        marker=marker,
        listed=listed,
        folders=folders,
        needs=tuple(_needs(found)),
    )


def normalized(name: str) -> str:
    """The one spelling of a name that stands for all (PEP 503)."""
    return _SEPARATORS.sub("-", name).lower()


def _needs(found: dict[str, list[str]]) -> Iterator[tuple[str, ...]]:
    for need in found.get("requires-dist", []):
        match = _NAME.match(need)
        # What only an extra wants may be there for another reason.
        if match and "extra" not in need.partition(";")[2]:
            yield (normalized(clean(match[0])),)


def _recorded(tree: Tree, base: str, record: str) -> Iterator[str]:
    """The files in a list whose names are relative to the folder BASE; "../../../bin/x" stays below the root."""
    lines = io.StringIO(tree.text(record).replace("\0", ""), newline="")
    try:
        for row in csv.reader(lines):
            found = tree.real(posixpath.join("/", base, row[0])) if row else None
            if found is not None:
                yield found
    except csv.Error:
        return


def _top_level(tree: Tree, site: str, folder: str) -> Iterator[str]:
    """The folders of the modules of a package that came without a list."""
    for name in tree.text(f"{folder}/top_level.txt", LIMIT).split():
        yield below_root(f"{site}/{name}")


def _editable(tree: Tree, path: str) -> Iterator[str]:
    origin = tree.json(path) if path in tree else {}
    kind, url = origin.get("dir_info"), origin.get("url")
    if not isinstance(kind, dict) or kind.get("editable") is not True or not isinstance(url, str):
        return
    try:
        parts = urlsplit(url)
    except ValueError:
        return
    folder = tree.folder(below_root(unquote(parts.path, errors="surrogateescape")))
    if parts.scheme == "file" and _is_project(tree, folder):
        yield folder


def _is_project(tree: Tree, folder: str) -> bool:
    """Whether FOLDER is a Python project's own; a link to /, say, shall not take everything."""
    return folder != "" and any(f"{folder}/{name}" in tree for name in PROJECT)


_MAKERS: dict[str, Callable[[Tree, str], Claim | None]] = {
    "/METADATA": _wheel,
    "/PKG-INFO": _egg,
    ".egg-link": _link,
    ".egg-info": _flat_egg,
}
_ENDINGS = tuple(_MAKERS)
