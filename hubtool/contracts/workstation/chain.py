"""The scripts that a start of the image runs: its entrypoint, and what that names, and what these name."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hubtool.contracts.image import ImageUnderTest
from hubtool.image.files import Entry

MOST_BYTES = 200_000
MOST_SCRIPTS = 200
# What a distribution brings is read by nobody here; what an image's makers add lies elsewhere.
SYSTEM = re.compile(r"(?:usr/)?(?:s?bin|lib\d*|share|include)/|etc/(?:ssl|alternatives|init\.d)/|opt/conda/|srv/conda/")
PATH = re.compile(r"(?:~|\.{1,2})?(?:/[\w.+@-]+)+")
VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
SETTINGS = (".conf", ".ini", ".cfg", ".yaml", ".yml", ".toml", ".service")
COMMENT = {"#", ";"}


@dataclass(frozen=True)
class Script:
    """A script of the image, or the settings of a program that starts others."""

    path: str
    lines: tuple[str, ...]

    def code(self) -> Iterator[tuple[int, str]]:
        """Its lines with their numbers, comments left out."""
        for number, line in enumerate(self.lines, 1):
            if line.strip() and line.strip()[0] not in COMMENT:
                yield number, re.sub(r"(?<=\s)#.*", "", line)


def start_scripts(image: ImageUnderTest) -> list[Script]:
    """Every script that a start of IMAGE may run, the entrypoint first, as far as their texts tell."""
    config = image.config
    words = [*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())]
    variables = {**image.environment, "HOME": image.home}
    todo, found = [_expand(" ".join(map(str, words)), variables)], dict[str, Script]()
    while todo and len(found) < MOST_SCRIPTS:
        for entry in _named(todo.pop(0), image):
            script = None if entry.path in found else _read(entry, image)
            if script is not None:
                found[entry.path] = script
                todo.append(_expand("\n".join(line for _, line in script.code()), variables))
                todo.append(" ".join(_siblings(entry, image)))
    return list(found.values())


def _expand(text: str, variables: Mapping[str, str]) -> str:
    return VARIABLE.sub(lambda match: variables.get(match[1] or match[2], match[0]), text)


def _named(text: str, image: ImageUnderTest) -> Iterator[Entry]:
    """The files of IMAGE whose path TEXT holds; one that starts with ~ or . lies in the home or working folder."""
    here = str(image.config.get("WorkingDir") or "/")
    for word in dict.fromkeys(PATH.findall(text)):
        path = image.home + word[1:] if word.startswith("~") else posixpath.join(here, word)
        entry = image.files.find(path)
        if entry is not None and entry.kind == "file" and not SYSTEM.match(entry.path):
            yield entry


def _read(entry: Entry, image: ImageUnderTest) -> Script | None:
    """ENTRY's text, None for what is neither a script nor settings."""
    if entry.size > MOST_BYTES:
        return None
    content = image.files.read(entry, MOST_BYTES)
    if not (content.startswith(b"#!") or entry.name.endswith((".sh", *SETTINGS))) or b"\0" in content:
        return None
    return Script(f"/{entry.path}", tuple(content.decode("utf-8", "replace").splitlines()))


def _siblings(entry: Entry, image: ImageUnderTest) -> list[str]:
    """The shell scripts beside ENTRY, which often call one another by name alone, and the parts of its settings."""
    folder = posixpath.dirname(entry.path)
    parts = [folder, posixpath.join(folder, "conf.d")]
    wanted = (".sh", *SETTINGS) if entry.name.endswith(SETTINGS) else (".sh",)
    return [
        shlex.quote("/" + path)
        for path in image.files.visible
        if posixpath.dirname(path) in parts and path.endswith(wanted) and folder.count("/")
    ]
