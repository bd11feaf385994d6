"""Packages that conda, mamba, micromamba or pixi installed, in any prefix: conda-meta/NAME-VERSION-BUILD.json.

The format is conda's PrefixRecord (docs.conda.io, "Package metadata"; github.com/conda/ceps).
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Any

from hubtool.image.owners.claims import Claim
from hubtool.image.owners.tree import Tree, below_root, clean, texts

META = "conda-meta"
CACHE = "pkgs"
ARCHIVES = (".conda", ".tar.bz2")


def claims(tree: Tree) -> Iterator[Claim]:
    """The packages of every prefix. What is left of one in a cache of packages is its own too: often the same
    file under a second name."""
    folders = set(caches(tree))
    for path in tree.markers(_is_record):
        record = tree.json(path)
        name = clean(record.get("name"))
        if not name:
            continue
        prefix = _prefix(path)
        distribution = posixpath.basename(path).removesuffix(".json")
        unpacked = posixpath.dirname(below_root(clean(record.get("extracted_package_dir"))))
        kept = [f"{folder}/{distribution}" for folder in sorted({unpacked, *_caches_of(prefix)} & folders)]
        archives = [f"{stem}{suffix}" for stem in kept for suffix in ARCHIVES]
        yield Claim(
            ecosystem="conda",
            name=name,
            version=clean(record.get("version")),
            place=prefix,
            marker=path,
            listed=[path, *_listed(tree, prefix, record), *(archive for archive in archives if archive in tree)],
            folders=tuple(kept),
            needs=tuple((need.split()[0],) for need in texts(record.get("depends")) if need.strip()),
        )


def caches(tree: Tree) -> tuple[str, ...]:
    """The folders where packages lie that were unpacked or fetched for the prefixes of the image."""
    prefixes = {_prefix(path) for path in tree.paths if _is_record(path)}
    return tuple(sorted({folder for prefix in prefixes for folder in _caches_of(prefix)}))


def _caches_of(prefix: str) -> tuple[str, ...]:
    """An environment ROOT/envs/NAME has its packages from ROOT/pkgs."""
    root, _, envs = posixpath.dirname(prefix).rpartition("/")
    shared = (posixpath.join(root, CACHE),) if envs == "envs" else ()
    return (posixpath.join(prefix, CACHE), *shared)


def _is_record(path: str) -> bool:
    return path.endswith(".json") and posixpath.basename(posixpath.dirname(path)) == META


def _prefix(path: str) -> str:
    return posixpath.dirname(posixpath.dirname(path))


def _listed(tree: Tree, prefix: str, record: dict[str, Any]) -> Iterator[str]:
    """Both lists that a record may have: only one of them has the files that were made at installation, and which
    one depends on the program that wrote it."""
    data = record.get("paths_data")
    paths = data.get("paths") if isinstance(data, dict) else None
    items = [item.get("_path") for item in paths if isinstance(item, dict)] if isinstance(paths, list) else []
    for name in dict.fromkeys([*texts(record.get("files")), *texts(items)]):
        found = tree.real(below_root(f"{prefix}/{name}"))
        if found is not None:
            yield found
