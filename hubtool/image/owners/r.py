"""Packages in the libraries of R: one folder each, with a DESCRIPTION that says when it was built."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from hubtool.image.owners.claims import Claim
from hubtool.image.owners.tree import Tree, clean, fields, first

LIMIT = 1_000_000

_RENV = re.compile(r"(.*/renv/cache/v\d+(?:/[^/]+){1,3})/(?P<name>[^/]+)/[^/]+/[0-9a-f]{32}/(?P=name)\Z")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9.]*")


def claims(tree: Tree) -> Iterator[Claim]:
    """The packages of every library; those of renv's cache, which projects link to, are at home there."""
    for path in tree.markers(lambda path: path.endswith("/DESCRIPTION")):
        found = fields(tree.text(path, LIMIT))
        name = first(found, "package")
        folder = posixpath.dirname(path)
        # Only an installed package has Built; its folder has its name.
        if not name or "built" not in found or posixpath.basename(folder) != name:
            continue
        shared = _RENV.match(folder)
        yield Claim(
            ecosystem="r",
            name=name,
            version=first(found, "version"),
            place=shared[1] if shared else posixpath.dirname(folder),
            marker=path,
            folders=(folder,),
            needs=tuple(_needs(found)),
        )


def _needs(found: dict[str, list[str]]) -> Iterator[tuple[str, ...]]:
    for key in ("depends", "imports", "linkingto"):
        for need in found.get(key, [""])[0].split(","):
            match = _NAME.match(need.strip())
            if match:
                yield (clean(match[0]),)
