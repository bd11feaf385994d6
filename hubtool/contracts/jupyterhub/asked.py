"""Which packages the files of an image repository ask for, where repo2docker, uv or a Dockerfile reads them.

repo2docker reads binder/ or .binder/ where there is one, and by its order: a Dockerfile alone; else R (runtime.txt,
DESCRIPTION), environment.yml, Pipfile, requirements.txt and setup.py; hubtool puts uv.lock before these.
"""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from packaging.markers import Marker
from packaging.requirements import InvalidRequirement, Requirement

from hubtool.contracts.jupyterhub.asked_r import description, install_r

Kind = Literal["pypi", "conda", "r"]
MAX_FILE = 5_000_000
DEEPEST = 5  # requirements files that name each other

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_CONDA = re.compile(r"(?:[^\s:]+::)?([A-Za-z0-9_][A-Za-z0-9._-]*)")
_EGG = re.compile(r"[#&]egg=([A-Za-z0-9._-]+)")
_NESTED = re.compile(r"(?:-r|--requirement)[ =]\s*(\S+)")


@dataclass(frozen=True)
class Asked:
    """A package that FILE asks for; ``marker`` is the environment marker that it is asked for under (PEP 508)."""

    kind: Kind
    name: str
    file: str
    marker: str = ""

    def holds(self, environment: Mapping[str, str]) -> bool:
        """Whether it is asked for in an image whose Python's markers are ENVIRONMENT."""
        return not self.marker or Marker(self.marker).evaluate(dict(environment))


def asked_for(folder: Path) -> list[Asked]:
    """What the files in FOLDER, an image's context, ask for; each package once. A file that can't be read as what it
    is asks for nothing: the build has said so already."""
    binder = next((folder / name for name in (".binder", "binder") if (folder / name).is_dir()), folder)
    found: dict[tuple[Kind, str], Asked] = {}
    for path in _files(folder, binder):
        for one in _read(path, _name(path, folder)):
            found.setdefault((one.kind, one.name.lower()), one)
    return list(found.values())


def _files(folder: Path, binder: Path) -> Iterator[Path]:
    """The files that decide what is installed, of those that are there."""
    names = list(_NAMES)
    if (binder / "Dockerfile").is_file():
        text = _text(binder / "Dockerfile")
        names = [name for name in names if re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", text)]
    elif (binder / "uv.lock").is_file():
        names = ["pyproject.toml"]
    else:
        names = _by_repo2docker(folder, binder)
    for name in names:
        path = (folder if name in ("DESCRIPTION", "setup.py") else binder) / name
        if path.is_file():
            yield path


def _by_repo2docker(folder: Path, binder: Path) -> list[str]:
    own = binder == folder
    described = own and (folder / "DESCRIPTION").is_file()
    with_r = described or _text(binder / "runtime.txt").startswith("r-")
    environment = [name for name in ("environment.yml", "environment.yaml") if (binder / name).is_file()][:1]
    pipfile = [name for name in ("Pipfile", "Pipfile.lock") if (binder / name).is_file()][:1]
    names = [*environment, *(["install.R"] if with_r else []), *(["DESCRIPTION"] if described else [])]
    if environment and not with_r:
        return names
    if pipfile and not with_r:
        return pipfile
    return [*names, "requirements.txt", *(["setup.py", "pyproject.toml"] if own else [])]


def _text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_FILE).decode("utf-8", "replace")
    except OSError:
        return ""


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _read(path: Path, file: str) -> Iterator[Asked]:
    try:
        yield from _NAMES[path.name](path, file)
    except (ValueError, TypeError, AttributeError, SyntaxError, RecursionError, yaml.YAMLError):
        return


def _requirement(line: str, file: str) -> Iterator[Asked]:
    """What a line of pip's asks for; an option, a path or an address without a name asks for nothing by name."""
    line = re.split(r"\s#|\s--?[a-z]", f" {line} ")[0].strip()
    try:
        wanted = Requirement(line)
    except InvalidRequirement:
        named = _EGG.search(line)
        if named:
            yield Asked("pypi", named[1], file)
        return
    yield Asked("pypi", wanted.name, file, str(wanted.marker or ""))


def _requirements(path: Path, file: str, depth: int = 0) -> Iterator[Asked]:
    for line in re.sub(r"\\\r?\n", " ", _text(path)).splitlines():
        yield from _pip_line(line.strip(), path, file, depth)


def _pip_line(line: str, path: Path, file: str, depth: int = 0) -> Iterator[Asked]:
    nested = _NESTED.match(line)
    if nested and depth < DEEPEST:
        yield from _requirements(path.parent / nested[1], file, depth + 1)
    elif line and not line.startswith("#"):
        yield from _requirement(re.sub(r"^(?:-e|--editable)[ =]\s*", "", line), file)


def _environment(path: Path, file: str) -> Iterator[Asked]:
    for item in _list(yaml.safe_load(_text(path)).get("dependencies")):
        if isinstance(item, str):
            named = _CONDA.match(item.strip())
            if named and not named[1].startswith("__"):
                yield Asked("conda", named[1].lower(), file)
        elif isinstance(item, dict):
            for line in _list(item.get("pip")):
                yield from _pip_line(str(line).strip(), path, file)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _pyproject(path: Path, file: str) -> Iterator[Asked]:
    project = tomllib.loads(_text(path)).get("project", {})
    for line in _list(project.get("dependencies")):
        yield from _requirement(str(line), file)


def _pipfile(path: Path, file: str) -> Iterator[Asked]:
    read = tomllib.loads(_text(path))
    for name in (*read.get("packages", {}), *read.get("dev-packages", {})):
        yield Asked("pypi", name, file)


def _pipfile_lock(path: Path, file: str) -> Iterator[Asked]:
    read = json.loads(_text(path))
    for name, told in (read.get("default", {}) | read.get("develop", {})).items():
        yield from _requirement(f"{name} ; {told['markers']}" if told.get("markers") else name, file)


def _setup(path: Path, file: str) -> Iterator[Asked]:
    """install_requires, where it is written as a list."""
    for node in ast.walk(ast.parse(_text(path))):
        if isinstance(node, ast.keyword) and node.arg == "install_requires" and isinstance(node.value, ast.List):
            for item in node.value.elts:
                if isinstance(item, ast.Constant) and isinstance(item.value, str):
                    yield from _requirement(item.value, file)


def _r(names: Callable[[str], list[str]]) -> Callable[[Path, str], Iterator[Asked]]:
    return lambda path, file: (Asked("r", name, file) for name in names(_text(path)))


_NAMES: Mapping[str, Callable[[Path, str], Iterator[Asked]]] = {
    "environment.yml": _environment,
    "environment.yaml": _environment,
    "requirements.txt": _requirements,
    "pyproject.toml": _pyproject,
    "setup.py": _setup,
    "Pipfile": _pipfile,
    "Pipfile.lock": _pipfile_lock,
    "install.R": _r(install_r),
    "DESCRIPTION": _r(description),
}
