"""The stages of a Dockerfile: which images they stand on; lines added to each."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from hubtool.builders.instructions import Instruction, instructions

_FROM = re.compile(r"(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?", re.IGNORECASE)
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*)(?:(:[-+])([^}]*))?\}|([A-Za-z_]\w*))")
SCRATCH = "scratch"


@dataclass(frozen=True)
class Stage:
    """One FROM: the image as written, the stage's own name, the USER in force at its end ("" where the base image's
    own user still is), and the image that it stands on in the end, where that is a stage of the file."""

    base: str
    name: str
    user: str
    root: str


def read_from(one: Instruction) -> re.Match[str] | None:
    """Image (1) and own name (2) of the stage that ONE begins; None where it begins none."""
    return _FROM.fullmatch(one.value) if one.keyword == "FROM" else None


def stages(text: str, arguments: Mapping[str, str] = {}) -> list[Stage]:
    """The stages of a Dockerfile, in order. What build ARGUMENTS, and the defaults of the ARGs before the first FROM,
    say of an image's name is filled in."""
    found: list[Stage] = []
    known: dict[str, str] = {}
    for one in instructions(text):
        if one.keyword == "ARG" and not found:
            known |= _defaults(one.value)
        elif start := read_from(one):
            base, name = _filled(start[1], {**known, **arguments}), start[2] or ""
            before = _named(found, base)
            found.append(Stage(base, name, before.user if before else "", before.root if before else base))
        elif found and one.keyword == "USER" and len(one.value.split()) == 1:
            found[-1] = replace(found[-1], user=one.value)
    return found


def _named(found: Sequence[Stage], name: str) -> Stage | None:
    return next((stage for stage in found if stage.name and stage.name.lower() == name.lower()), None)


def _defaults(value: str) -> dict[str, str]:
    """NAME=VALUE as ARG has it."""
    try:
        words = shlex.split(value)
    except ValueError:
        return {}
    return {name: default for name, has, default in (word.partition("=") for word in words) if has}


def _filled(base: str, known: Mapping[str, str]) -> str:
    """BASE with the variables that are KNOWN; the others stay as they are."""

    def value(found: re.Match[str]) -> str:
        name, form, other = found[1] or found[4], found[2], found[3] or ""
        if form == ":+":
            return other if known.get(name) else ""
        return known.get(name) or (other if form == ":-" else known.get(name, found[0]))

    return _VARIABLE.sub(value, base)


def _built(found: Sequence[Stage], target: str | None) -> int:
    """The index of the stage that is built: TARGET, a name or a number; the last where it is None, or none of them."""
    named = [number for number, stage in enumerate(found) if target and stage.name.lower() == target.lower()]
    numbered = [int(target)] if target and target.isdecimal() and int(target) < len(found) else []
    return (named or numbered or [len(found) - 1])[0]


def base_image(text: str, arguments: Mapping[str, str] = {}, target: str | None = None) -> str | None:
    """The image that the stage TARGET, or the last, stands on; None where it is scratch or depends on an unknown build
    argument."""
    found = stages(text, arguments)
    base = found[_built(found, target)].root if found else SCRATCH
    return None if base.lower() == SCRATCH or "$" in base else base


def base_images(text: str, arguments: Mapping[str, str] = {}) -> tuple[str, ...]:
    """All images that the stages stand on, but for scratch and those that depend on an unknown build argument."""
    found = stages(text, arguments)
    own = {stage.name.lower() for stage in found if stage.name} | {SCRATCH}
    return tuple(sorted({stage.base for stage in found if stage.base.lower() not in own and "$" not in stage.base}))


def extend(
    text: str,
    start: Callable[[Stage], str],
    end: Callable[[Stage], str],
    arguments: Mapping[str, str] = {},
    target: str | None = None,
) -> str:
    """TEXT with START's lines after each FROM, and END's at the end of the stage TARGET, or the last. Both are given
    the stage (for START as it is at its beginning: ``user`` is its base's, where that is a stage of this file), its
    base as stages() says it of build ARGUMENTS."""
    found = stages(text, arguments)
    if not found:
        return text
    lines = text.splitlines()
    froms = [one for one in instructions(text) if read_from(one)]
    ends = [one.line - 1 for one in froms[1:]] + [len(lines)]
    built = _built(found, target)
    for number, stage in reversed(list(enumerate(found))):
        if number == built:
            lines.insert(ends[number], end(stage).rstrip("\n"))
        before = _named(found, stage.base)
        lines.insert(froms[number].end, start(replace(stage, user=before.user if before else "")))
    return "\n".join(lines).rstrip("\n") + "\n"
