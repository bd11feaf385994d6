"""Whether the packages that a repository's files ask for are in the image and can be used: asked of the image's own
Pythons and R."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from hubtool.contracts.jupyterhub import imports
from hubtool.contracts.jupyterhub.asked import Asked
from hubtool.engines import Container
from hubtool.errors import HubtoolError
from hubtool.process import Completed

SECONDS = 1200.0
PYTHON = "python3"
# Of conda's R packages these only bring others, or R itself.
NO_LIBRARY = frozenset(("r-base", "r-essentials", "r-recommended"))
LOAD = """\
have <- installed.packages(fields = c("RemoteRepo", "GithubRepo"))
for (asked in commandArgs(trailingOnly = TRUE)) {
  same <- tolower(have[, "Package"]) == tolower(asked)
  same <- same | (!is.na(have[, "RemoteRepo"]) & have[, "RemoteRepo"] == asked)
  same <- same | (!is.na(have[, "GithubRepo"]) & have[, "GithubRepo"] == asked)
  found <- unique(have[same, "Package"])
  cat("\\n>", asked, "\\n", sep = "")
  said <- if (length(found) == 0) "it is not in the image" else tryCatch({
    suppressPackageStartupMessages(loadNamespace(found[[1]])); "" }, error = conditionMessage)
  cat("\\n<", gsub("[\\r\\n]+", " ", said), "\\n", sep = "")
}
"""


def missing_from_python(container: Container, pythons: Sequence[str], asked: Sequence[Asked]) -> dict[Asked, str]:
    """Those of ASKED that none of PYTHONS can import, and what the first says of each. Raises HubtoolError where none
    of them runs."""
    wrong: dict[Asked, str] = {}
    left: Sequence[Asked] = [one for one in asked if one.kind != "r"]
    for python in pythons:
        told = _ask_python(container, python, left)
        if told is None:
            continue
        environment, said = told
        left = [one for one in left if one.name in said[one.kind] and one.holds(environment)]
        wrong = {one: wrong.get(one) or said[one.kind][one.name] for one in left}
        if not left:
            return {}
    if left and not wrong:
        raise HubtoolError(f"no Python answers there: {', '.join(pythons)}")
    return wrong


def _ask_python(
    container: Container, python: str, asked: Sequence[Asked]
) -> tuple[Mapping[str, str], Mapping[str, Mapping[str, str]]] | None:
    names = {kind: [one.name for one in asked if one.kind == kind] for kind in ("pypi", "conda")}
    code = Path(imports.__file__).read_text(encoding="utf-8")
    done = container.exec([python, "-c", code, json.dumps(names)], timeout=SECONDS)
    try:
        read = json.loads(done.stdout.strip().splitlines()[-1])
        return read["environment"], read["wrong"]
    except (ValueError, LookupError, TypeError):
        return None


def missing_from_r(container: Container, asked: Sequence[Asked]) -> dict[Asked, str]:
    """Those of ASKED that R can't load, and what it says of each."""
    wanted = {one: one.name.removeprefix("r-") if one.kind == "conda" else one.name for one in r_packages(asked)}
    if not wanted:
        return {}
    done = container.exec(["Rscript", "--vanilla", "-e", LOAD, *dict.fromkeys(wanted.values())], timeout=SECONDS)
    said = _said_by_r(done)
    return {
        one: said.get(name, f"R ended before: {_last(done)}") for one, name in wanted.items() if said.get(name, "?")
    }


def r_packages(asked: Sequence[Asked]) -> list[Asked]:
    """Those of ASKED that R has in a library."""
    of_conda = [one for one in asked if one.kind == "conda" and one.name.startswith("r-")]
    return [one for one in asked if one.kind == "r"] + [one for one in of_conda if one.name not in NO_LIBRARY]


def _said_by_r(done: Completed) -> dict[str, str]:
    said, name = {}, ""
    for line in done.stdout.splitlines():
        if line.startswith(">"):
            name = line[1:]
        elif line.startswith("<") and name:
            said[name], name = line[1:], ""
    return said


def _last(done: Completed) -> str:
    lines = [line for line in f"{done.stdout}\n{done.stderr}".splitlines() if line.strip()]
    return lines[-1][:300] if lines else f"code {done.returncode}"
