"""What the modules of the ecosystems read an image through: bounded, never a crash over what is in the image."""

from __future__ import annotations

import json
import posixpath
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import Any

from hubtool.image.files import ImageFiles
from hubtool.image.owners.volatile import is_volatile

LIST_LIMIT = 32_000_000  # bytes of one list of files: about 300,000 names
BUDGET = 1_000_000_000  # bytes of all that is read; one list under many names shall not cost forever
NAME_LIMIT = 200
DEPTH_LIMIT = 200

_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]+")


class Tree:
    """The files of an image that are no folders, sorted, as ``paths``."""

    def __init__(self, files: ImageFiles) -> None:
        self._files = files
        self._entries = files.visible
        self._folders: dict[str, str] = {"": ""}
        self._caches: frozenset[str] = frozenset()
        self._left = BUDGET
        self.paths = sorted(path for path, entry in self._entries.items() if entry.kind != "folder")

    def __contains__(self, path: str) -> bool:
        entry = self._entries.get(path)
        return entry is not None and entry.kind != "folder"

    def ignore(self, folders: tuple[str, ...]) -> None:
        """Find no markers below FOLDERS: what lies there is not installed."""
        self._caches = frozenset(folders)

    def markers(self, test: Callable[[str], bool]) -> Iterator[str]:
        """The paths that TEST holds for, less those in caches and temporary folders."""
        for path in self.paths:
            if test(path) and self._caches.isdisjoint(upwards(path)) and not is_volatile(path):
                yield path

    def below(self, folder: str) -> Iterator[str]:
        """All paths below FOLDER."""
        start = f"{folder}/" if folder else ""
        for index in range(bisect_left(self.paths, start), len(self.paths)):
            if not self.paths[index].startswith(start):
                return
            yield self.paths[index]

    def real(self, path: str) -> str | None:
        """Where the file that a list calls PATH really is: "/bin/x" is usr/bin/x. None where there is no file."""
        short = path.removeprefix("/")
        if short in self:
            return self._entries[short].path
        folder, _, name = below_root(path).rpartition("/")
        found = posixpath.join(self.folder(folder), name)
        return self._entries[found].path if found in self else None

    def folder(self, path: str) -> str:
        """The folder PATH, its symbolic links followed."""
        if path not in self._folders:
            self._folders[path] = self._follow(path)
        return self._folders[path]

    def _follow(self, path: str) -> str:
        found = self._files.find(path)
        if found is not None:
            return found.path
        folder, _, name = path.rpartition("/")
        # A layer need not hold the folders of its files.
        return path if path.count("/") > DEPTH_LIMIT else posixpath.join(self.folder(folder), name)

    def text(self, path: str, limit: int = LIST_LIMIT) -> str:
        """The first LIMIT bytes of the file PATH, bytes that are not UTF-8 as in paths; "" where there is none."""
        entry = self._entries.get(path)
        if entry is None or entry.kind != "file":
            return ""
        limit = min(limit, entry.size, self._left)
        self._left -= limit
        return self._files.read(entry, limit).decode("utf-8", "surrogateescape")

    def target(self, path: str) -> str | None:
        """The path of what the symbolic link PATH leads to; None for no link, or one to nothing."""
        entry = self._entries.get(path)
        if entry is None or entry.kind != "link":
            return None
        found = self._files.find(path)
        return found.path if found is not None else None

    def json(self, path: str) -> dict[str, Any]:
        """The JSON object in the file PATH; {} where there is none that can be read."""
        try:
            document = json.loads(self.text(path))
        except (ValueError, RecursionError):
            return {}
        return document if isinstance(document, dict) else {}


def upwards(path: str) -> Iterator[str]:
    """The folders around PATH, the innermost first; not those of a path of hundreds."""
    for _ in range(DEPTH_LIMIT):
        path = path.rpartition("/")[0]
        if not path:
            return
        yield path


def below_root(path: str) -> str:
    """PATH from the root: no leading slash, no '.' and no '..', so it leads nowhere else."""
    return posixpath.normpath("/" + path).lstrip("/")


def fields(text: str) -> dict[str, list[str]]:
    """The fields at the start of TEXT, as in mail: METADATA, DESCRIPTION, a stanza of dpkg's status."""
    found: dict[str, list[str]] = {}
    values: list[str] = []
    for line in text.lstrip("\r\n").split("\n"):
        # A line of blanks is a part of its field: so some licences are written.
        if not line.rstrip("\r"):
            break
        if line[0] in " \t":
            if values:
                values[-1] += f" {line.strip()}"
            continue
        key, colon, value = line.partition(":")
        if colon:
            values = found.setdefault(key.strip().lower(), [])
            values.append(value.strip())
    return found


def first(found: dict[str, list[str]], key: str) -> str:
    """The first value of a field, fit to be a name; "" where it has none."""
    return clean(found.get(key, [""])[0])


def clean(value: object) -> str:
    """VALUE as a name or version: one line of valid Unicode, not long; "" for what is no text."""
    return _CONTROL.sub(" ", value)[:NAME_LIMIT].strip() if isinstance(value, str) else ""


def texts(value: object) -> list[str]:
    """The texts of a JSON list; [] for anything else."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
