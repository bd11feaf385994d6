"""Which installed Python packages are compiled: a .pyc beside each .py, made of that very file."""

from __future__ import annotations

import re
import struct
from collections import defaultdict
from dataclasses import dataclass

from hubtool.image.files import Entry, ImageFiles
from hubtool.image.times import HEAD, source_of

# Fewer files take no time that anybody notices; and no Python can compile what packages bring as templates or tests.
FEW = 10
SHARE = 0.5

_INSTALLED = re.compile(r"((?:.+/)?(?:site|dist)-packages/)([^/]+)/.+\.py", re.DOTALL)
_TIMED_ONLY = re.compile(r"cpython-3[3-6]\b")  # before PEP 552; Python 3.6 ended in 2021
_WORD = 0xFFFFFFFF


@dataclass
class Compiled:
    """How many .py files a package has, and how many of them no valid .pyc."""

    files: int = 0
    missing: int = 0

    @property
    def lacks(self) -> bool:
        return self.files >= FEW and self.missing > SHARE * self.files


def compiled(files: ImageFiles) -> dict[str, Compiled]:
    """The packages of every site-packages folder, by their folder's path."""
    valid = _valid(files)
    found: dict[str, Compiled] = defaultdict(Compiled)
    for path, entry in files.visible.items():
        match = _INSTALLED.fullmatch(path) if entry.kind == "file" else None
        if match and "/pkgs/" not in path:  # conda's cache of packages, from which nothing is imported
            package = found[f"/{match[1]}{match[2]}"]
            package.files += 1
            package.missing += path not in valid
    return found


def _valid(files: ImageFiles) -> set[str]:
    """The paths of the sources that have a .pyc which Python would take."""
    pairs = []
    for path, entry in files.visible.items():
        source = source_of(path) if path.endswith(".pyc") and ".opt-" not in path else None
        made_of = files.visible.get(source) if source else None
        if made_of is not None and _INSTALLED.fullmatch(made_of.path):
            pairs.append((entry, made_of))
    pairs.sort(key=lambda pair: (pair[0].layer, pair[0].offset))
    return {source.path for entry, source in pairs if _fits(files.read(entry, HEAD), entry, source)}


def _fits(head: bytes, entry: Entry, source: Entry) -> bool:
    """Whether a .pyc that starts with HEAD is one of SOURCE: by its hash, else by its time and size (PEP 552)."""
    if len(head) < HEAD:
        return False
    if _TIMED_ONLY.search(entry.name) or head[4:8] != b"\0\0\0\0":
        return True
    return head[8:16] == struct.pack("<II", source.mtime & _WORD, source.size & _WORD)
