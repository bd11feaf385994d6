"""Prebuilt extensions of JupyterLab that no wheel brought: a folder of share/jupyter/labextensions each."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from hubtool.image.owners.claims import Claim
from hubtool.image.owners.tree import Tree, clean

_MARKER = re.compile(r"(?P<place>(?:.*/)?jupyter/labextensions)/(?P<name>(?:@[^/]+/)?[^/@][^/]*)/package\.json\Z")


def claims(tree: Tree) -> Iterator[Claim]:
    """The extensions of every data folder of Jupyter."""
    for path in tree.markers(lambda path: path.endswith("/package.json") and "/labextensions/" in path):
        match = _MARKER.match(path)
        found = tree.json(path)
        name = clean(found.get("name")) or (clean(match["name"]) if match else "")
        if match and found and name:
            yield Claim(
                ecosystem="jupyter",
                name=name,
                version=clean(found.get("version")),
                place=match["place"],
                marker=path,
                folders=(posixpath.dirname(path),),
            )
