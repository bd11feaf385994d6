"""Reading and extending the text of a Dockerfile, instruction by instruction."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_FROM = re.compile(r"\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?\s*$", re.IGNORECASE)
_USER = re.compile(r"\s*USER\s+(\S+)\s*$", re.IGNORECASE)
_HEREDOC = re.compile(r"<<-?([\"']?)([A-Za-z_]\w*)\1")
SCRATCH = "scratch"


@dataclass(frozen=True)
class Stage:
    """One FROM: the image as written, the stage's own name, and the USER in force at its end ("" where the
    base image's own user still is)."""

    base: str
    name: str
    user: str


def _instructions(text: str) -> Iterator[tuple[int, str]]:
    """The index and text of each line that starts an instruction: not those that continue one, comments or
    here-documents."""
    ends: list[str] = []
    continued = False
    for index, line in enumerate(text.splitlines()):
        if ends:
            if line.strip() == ends[0]:
                ends.pop(0)
            continue
        if line.lstrip().startswith("#"):
            continue
        if not continued and line.strip():
            yield index, line
            if re.match(r"\s*(RUN|COPY|ADD)\b", line, re.IGNORECASE):
                ends = [found[2] for found in _HEREDOC.finditer(line)]
        continued = line.rstrip().endswith("\\") and not ends


def stages(text: str) -> list[Stage]:
    """The stages of a Dockerfile, in order."""
    found: list[Stage] = []
    for _, line in _instructions(text):
        if start := _FROM.match(line):
            base, name = start[1], start[2] or ""
            before = next((s.user for s in found if s.name and s.name.lower() == base.lower()), "")
            found.append(Stage(base, name, before))
        elif found and (user := _USER.match(line)):
            found[-1] = Stage(found[-1].base, found[-1].name, user[1])
    return found


def base_image(text: str) -> str | None:
    """The image that the last stage stands on; None where it is scratch or depends on a build argument."""
    found = stages(text)
    base = found[-1].base if found else SCRATCH
    seen = {stage.name.lower(): stage.base for stage in found if stage.name}
    while base.lower() in seen:
        base = seen.pop(base.lower())
    return None if base.lower() == SCRATCH or "$" in base else base


def base_images(text: str) -> tuple[str, ...]:
    """All images that the stages stand on, but for scratch and those that depend on a build argument."""
    found = stages(text)
    own = {stage.name.lower() for stage in found if stage.name} | {SCRATCH}
    return tuple(sorted({stage.base for stage in found if stage.base.lower() not in own and "$" not in stage.base}))


def extend(text: str, start: Callable[[Stage], str], end: Callable[[Stage], str]) -> str:
    """TEXT with START's lines after each FROM, and END's at the end. Both are given the stage (for START as
    it is at its beginning: ``user`` is its base's, where that is a stage of this file)."""
    found = stages(text)
    if not found:
        return text
    lines = text.splitlines()
    froms = [index for index, line in _instructions(text) if _FROM.match(line)]
    for index, stage in sorted(zip(froms, found, strict=True), reverse=True):
        before = next((s.user for s in found if s.name and s.name.lower() == stage.base.lower()), "")
        lines.insert(index + 1, start(Stage(stage.base, stage.name, before)))
    return "\n".join([*lines, end(found[-1])]).rstrip("\n") + "\n"
