"""Imports packages, each in a Python of its own. It runs inside the container, on the image's own Python (3.7 or
later), and holds nothing but the standard library.

Told {"pypi": [...], "conda": [...]}, it prints {"environment": {...}, "wrong": {"pypi": {name: what is wrong},
"conda": {...}}}: the markers of this Python (PEP 508), and the packages that are missing or can't be imported.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, distribution  # type: ignore[unused-ignore]
from pathlib import PurePosixPath
from typing import Any

SECONDS = 120
MOST = 20  # modules of one package
MISSING = "it is not in the image"
# Not what people import: what a package brings for its own tests or documentation, and what is private.
ASIDE = re.compile(r"(?:_.*|tests?|testing|docs?|examples?|benchmarks?|scripts?|conftest|setup|.*[^\w].*)\Z")
LIBRARY = re.compile(r"(?:.*/)?(?:site|dist)-packages/")
SUFFIX = re.compile(r"(?:\.cpython-[\w-]+|\.abi3)?\.(?:py|so)\Z")
# A driver comes with the node's GPU and never with the image.
DRIVER = re.compile(r"libcuda\.so|libnvidia-ml\.so|libnvcuvid\.so|CUDA driver")


def modules_of(files: list[str]) -> list[str]:
    """What to import of a package with FILES, paths below its library folder: its top-level modules; of a namespace
    that several packages share, the modules in it."""
    packages = {str(PurePosixPath(file).parent) for file in files if PurePosixPath(file).name == "__init__.py"}
    found: dict[str, None] = {}
    for file in sorted(files, key=lambda file: (file.count("/"), file)):
        parts = PurePosixPath(file).parts
        if not SUFFIX.search(file):
            continue
        top = next((depth for depth in range(1, len(parts)) if "/".join(parts[:depth]) in packages), 0)
        names = list(parts[:top]) if top else [*parts[:-1], SUFFIX.sub("", parts[-1])]
        if not any(ASIDE.match(name) for name in names) and (top or len(names) < 4):
            found[".".join(names)] = None
    return list(found)


def chosen(name: str, modules: list[str]) -> list[str]:
    """Of MODULES those that stand for the package NAME: the one that is called so, else all."""
    plain = re.sub(r"[-_.]+", "_", name).lower()
    same = [module for module in modules if module.replace(".", "_").lower() == plain]
    return (same or modules)[:MOST]


def of_pypi(name: str) -> list[str] | None:
    """The modules of an installed distribution; None where there is none."""
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return None
    files = [str(file) for file in found.files or () if not str(file).startswith("..")]
    if not any(SUFFIX.search(file) for file in files):  # an editable one, or one without a list
        files = [f"{top}/__init__.py" for top in (found.read_text("top_level.txt") or "").split()]
    return chosen(name, modules_of(files))


def of_conda(name: str) -> list[str] | None:
    """The modules of a package of this Python's conda environment; None where there is none."""
    meta = os.path.join(sys.prefix, "conda-meta")
    for record in sorted(os.listdir(meta)) if os.path.isdir(meta) else ():
        if record.endswith(".json") and record.rsplit("-", 2)[0] == name:
            with open(os.path.join(meta, record), encoding="utf-8") as stream:
                files = [str(file) for file in json.load(stream).get("files") or ()]
            inside = [LIBRARY.sub("", file) for file in files if LIBRARY.match(file)]
            return chosen(name, modules_of(inside)) if name != "python" else []
    return of_pypi(name)


def problem(modules: list[str] | None, folder: str) -> str:
    """What is wrong when MODULES are imported, "" where nothing is."""
    if modules is None:
        return MISSING
    if not modules:
        return ""
    code = "import " + ", ".join(modules)
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"{code}: not done within {SECONDS} s"
    said = done.stderr.decode("utf-8", "replace")
    if done.returncode == 0 or DRIVER.search(said):
        return ""
    last = [line for line in said.splitlines() if line.strip()][-1:]
    return f"{code}: {''.join(last)[:300] or f'ended with code {done.returncode}'}"


def environment() -> dict[str, str]:
    return {
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "python_full_version": platform.python_version(),
        "os_name": os.name,
        "sys_platform": sys.platform,
        "platform_system": platform.system(),
        "platform_machine": platform.machine(),
        "platform_release": platform.release(),
        "platform_version": platform.version(),
        "implementation_name": sys.implementation.name,
        "platform_python_implementation": platform.python_implementation(),
        "extra": "",
    }


def main() -> None:
    told = json.loads(sys.argv[1])
    wrong: dict[str, dict[str, Any]] = {"pypi": {}, "conda": {}}
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(min(8, len(os.sched_getaffinity(0)))) as pool:
        for kind, find in (("pypi", of_pypi), ("conda", of_conda)):
            found = {name: pool.submit(problem, find(name), folder) for name in told[kind]}
            wrong[kind] = {name: said.result() for name, said in found.items() if said.result()}
    print(json.dumps({"environment": environment(), "wrong": wrong}))


if __name__ == "__main__":
    main()
