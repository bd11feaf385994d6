"""Modules that npm or yarn installed globally. What a module has below it, its own modules too, is its own."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import Any

from hubtool.image.owners.claims import Claim
from hubtool.image.owners.tree import Tree, below_root, clean

_MARKER = re.compile(
    r"(?P<root>(?:.*/)?(?:lib|yarn/global)/node_modules)"
    r"/(?P<name>(?:@[^/]+/)?[^/@][^/]*)/package\.json\Z"
)


def claims(tree: Tree) -> Iterator[Claim]:
    """The modules at the top of every global folder of modules, with the programs that they bring."""
    for path in tree.markers(lambda path: path.endswith("/package.json") and path.count("/node_modules/") == 1):
        match = _MARKER.match(path)
        found = tree.json(path)
        name = clean(match["name"]) if match else ""
        if match and name and found:
            yield Claim(
                ecosystem="npm",
                name=name,
                version=clean(found.get("version")),
                place=match["root"],
                marker=path,
                listed=list(_programs(tree, match["root"], posixpath.dirname(path), found)),
                folders=(posixpath.dirname(path),),
                needs=tuple(needs(found)),
            )


def needs(found: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """The names of the modules that a package.json asks for."""
    asked = found.get("dependencies")
    for name in asked if isinstance(asked, dict) else ():
        yield (clean(name),)


def _programs(tree: Tree, root: str, folder: str, found: dict[str, Any]) -> Iterator[str]:
    """The links in PREFIX/bin that lead into the module."""
    programs = found.get("bin")
    names = list(programs) if isinstance(programs, dict) else [posixpath.basename(folder)]
    for name in names:
        link = below_root(f"{root}/../../bin/{name}")
        target = tree.target(link)
        if target is not None and target.startswith(f"{folder}/"):
            yield link
