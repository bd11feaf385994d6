"""What is wrong with a Dockerfile though engines build it."""

from __future__ import annotations

import re
from pathlib import Path

from hubtool.builders.instructions import Instruction, instructions
from hubtool.builders.stages import read_from, stages
from hubtool.errors import HubtoolError, Where

_USE = re.compile(r"(?<!\\)\$(?:\{([A-Za-z_]\w*)|([A-Za-z_]\w*))")
_QUOTED = re.compile(r"'[^']*'")
_NAME = re.compile(r"([A-Za-z_]\w*)")


def check_arguments(text: str, file: Path) -> None:
    """Raise HubtoolError for an ARG that is declared before the first FROM alone and used after one: there it is empty
    (docs.docker.com/reference/dockerfile, "Understand how ARG and FROM interact")."""
    before: dict[str, int] = {}
    declared: set[str] = set()
    stages: dict[str, set[str]] = {}
    in_stage, stage = False, ""
    for one in instructions(text):
        if one.keyword == "FROM":
            start = read_from(one)
            base, stage = (start[1].lower(), (start[2] or "").lower()) if start else ("", "")
            declared = set(stages.get(base, ()))
            in_stage = True
        elif one.keyword == "ARG" and not in_stage:
            before.update((name, one.line) for name in _declared(one))
        elif one.keyword in ("ARG", "ENV"):
            declared |= set(_declared(one))
            if one.keyword == "ENV" and stage:
                stages.setdefault(stage, set()).update(_declared(one))
        for name in _uses(one) if in_stage and one.keyword != "FROM" else ():
            if name in before and name not in declared:
                raise HubtoolError(
                    f"{name} is empty here: its ARG stands before FROM alone (line {before[name]})",
                    where=Where(file, one.line),
                    hint=f"add 'ARG {name}' after the FROM that this belongs to",
                )


def check_base(text: str, file: Path, argument: str) -> None:
    """Raise HubtoolError where no FROM has the build ARGUMENT, so that the image stands on something else than
    hubtool.yaml says."""
    told = "hubtool-base"
    if any(told in stage.base for stage in stages(text, {argument: told})):
        return
    line = next((one.line for one in instructions(text) if one.keyword == "FROM"), None)
    raise HubtoolError(
        f"no FROM has the build argument {argument}, which brings the 'base' or 'from' of hubtool.yaml",
        where=Where(file, line),
        hint=f"write 'ARG {argument}', then 'FROM ${{{argument}}}'; or say by 'base_arg' what it is called here",
    )


def _declared(one: Instruction) -> list[str]:
    """The names that an ARG or ENV sets."""
    if one.keyword == "ENV" and "=" not in one.value.split(" ")[0]:
        return one.value.split()[:1]
    return [found[1] for word in one.value.split() if (found := _NAME.match(word))]


def _uses(one: Instruction) -> list[str]:
    """The variables that an instruction uses, but those that a RUN sets itself."""
    text = f"{one.value}\n{one.documents}"
    if one.keyword == "RUN":
        text = _QUOTED.sub("''", text)
    names = [found[1] or found[2] for found in _USE.finditer(text)]
    return [name for name in dict.fromkeys(names) if one.keyword != "RUN" or not _sets(text, name)]


def _sets(shell: str, name: str) -> bool:
    return bool(re.search(rf"(?:^|[\s;&|(]){name}=|\bfor\s+{name}\b|\bread\b[^\n;|&]*\b{name}\b", shell))
