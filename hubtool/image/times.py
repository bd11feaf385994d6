"""The times of an image's files, all set to one, and what must follow so that everything still works.

Most of what differs between two builds of the same content are times. Compiled Python files name the time of their
source, and Python compiles again, at every start, where it is another; Julia does the same with its packages.
"""

from __future__ import annotations

import re
import struct

from hubtool.image.files import Entry, ImageFiles

# 2000-01-01. Neither the build's time nor the commit's, with which every file would be new in every build; and
# after 1980, before which a ZIP archive, hence a wheel made of such files, has no time.
CREATED = 946_684_800
JULIA_TIME = 1  # takes part in no comparison since Julia 1.8 (loading.jl), as Nix has it; 1.11 compares hashes
HEAD = 16

_COMPILED = re.compile(r"(.*/|)__pycache__/([^/]+?)\.(cpython|pypy|graalpy)[\w.-]*\.pyc\Z", re.DOTALL)
_TIMED_ONLY = re.compile(r"cpython-3[3-6]\b")  # before PEP 552: magic, time, size
# Folders that are never written again: they are named after their content, or come with Julia itself.
_JULIA = re.compile(r"(?:(.*/|)packages/[^/]+/\w{5}|(?:.*/|)share/julia/stdlib/v1\.\d+)/", re.DOTALL)


def source_of(path: str) -> str | None:
    """The path of the source that a compiled Python file at PATH is of; None for any other file."""
    match = _COMPILED.match(path)
    return f"{match[1]}{match[2]}.py" if match else None


class Times:
    """What each of FILES gets as its time: CREATED, nearly always."""

    def __init__(self, files: ImageFiles, created: int = CREATED) -> None:
        self._files = files
        self._created = created

    def of(self, path: str) -> int:
        """The time of the file at PATH, in seconds of the Unix clock."""
        match = _JULIA.match(path)
        if match is None:
            return self._created
        in_depot = match[1] is None or f"{match[1]}compiled" in self._files.visible
        return JULIA_TIME if in_depot else self._created

    def head(self, entry: Entry, head: bytes) -> bytes:
        """HEAD, the first bytes of a file (16, where it has as many), as they must be with the new times.

        A compiled Python file is valid afterwards if, and only if, it was before.
        """
        source = source_of(entry.path)
        if source is None or len(head) < HEAD:
            return head
        found = self._files.find(source)
        if found is None or found.kind != "file":
            return head  # Python does not look at it either
        new = self.of(found.path)
        at = 4 if _TIMED_ONLY.search(entry.name) else 8
        if at == 8 and head[4:8] != b"\0\0\0\0":
            return head  # by the hash of its source, not by its time
        valid = head[at : at + 8] == _stamp(found.mtime, found.size)
        # What was stale must not become valid because now all times are one.
        time = new if valid else 0 if new else 1
        return head[:at] + struct.pack("<I", time & 0xFFFFFFFF) + head[at + 4 :]


def _stamp(time: int, size: int) -> bytes:
    return struct.pack("<II", time & 0xFFFFFFFF, size & 0xFFFFFFFF)
