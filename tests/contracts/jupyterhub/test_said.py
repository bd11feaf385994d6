"""What is read from what programs say: logs, lists of extensions, modules of packages."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hubtool.contracts.jupyterhub.extensions import judged
from hubtool.contracts.jupyterhub.imports import chosen, modules_of, of_conda, problem
from hubtool.contracts.jupyterhub.logs import errors_in, warnings_in

ERRORS = [
    "[E 2026-01-31 12:00:00.000 ServerApp] no such share",
    "\x1b[31m[C 2026-01-31 12:00:00.000 ServerApp]\x1b[m bad config",
    "ERROR:root:no such share",
    "2026-01-31 12:00:00,000 - app - ERROR - no such share",
    "2026-01-31 12:00:00 [ERROR] no such share",
    "ERROR: could not open",
    "time=2026-01-31T12:00:00Z level=error msg=no",
    "Traceback (most recent call last):",
]
WARNINGS = [
    "[W 2026-01-31 12:00:00.000 LabApp] 'extra' was found",
    "WARNING:root:old",
    "2026-01-31 12:00:00 [WARN] old",
    "/srv/venv/lib/a.py:1: DeprecationWarning: old",
    "level=warning msg=old",
]
QUIET = [
    "[I 2026-01-31 12:00:00.000 ServerApp] ERROR pages are at /srv",
    "[D 2026-01-31 12:00:00.000 ServerApp] Traceback (most recent call last):",
    "0 errors, 0 warnings",
    "loading error_pages",
    "",
]


@pytest.mark.parametrize("line", [*ERRORS, *WARNINGS, *QUIET])
def test_levels_are_told_from_lines(line: str) -> None:
    assert (len(errors_in(line)), warnings_in(line)) == (line in ERRORS, line in WARNINGS)


SERVER_LIST = """\
Config dir: /home/jovyan/.jupyter
    jupyterlab \x1b[32menabled\x1b[0m
    - Validating jupyterlab...
      jupyterlab 4.6.6 \x1b[32mOK\x1b[0m
Config dir: /srv/venv/etc/jupyter
    jupyterlab \x1b[31mdisabled\x1b[0m
    nbgitpuller \x1b[31mdisabled\x1b[0m
    - Validating nbgitpuller...
      nbgitpuller 1.3.0 \x1b[32mOK\x1b[0m
    gone \x1b[32menabled\x1b[0m
    - Validating gone...
      \x1b[31m X\x1b[0m is gone importable?
"""
LAB_LIST = """\
JupyterLab v4.6.6
/srv/venv/share/jupyter/labextensions
        jupyterlab_pygments v0.3.0 \x1b[32menabled\x1b[0m \x1b[32mOK\x1b[0m (python, jupyterlab_pygments)
        @a/old v1.0.0 \x1b[32menabled\x1b[0m \x1b[31m X\x1b[0m (python, old)
        @a/off v1.0.0 \x1b[31mdisabled\x1b[0m \x1b[32mOK\x1b[0m
"""


def test_extensions_that_are_off_or_broken_are_told() -> None:
    assert list(judged(SERVER_LIST)) == ["nbgitpuller is disabled", "is gone importable?"]
    assert list(judged(LAB_LIST)) == ["@a/old is broken: X (python, old)", "@a/off is disabled"]


MODULES = {
    ("numpy/__init__.py", "numpy/linalg/__init__.py", "numpy/x.py"): ["numpy"],
    ("google/cloud/storage/__init__.py", "google/cloud/storage/blob.py"): ["google.cloud.storage"],
    ("six.py", "__pycache__/six.cpython-311.pyc"): ["six"],
    ("_cffi_backend.cpython-311-x86_64-linux-gnu.so", "cffi/__init__.py"): ["cffi"],
    ("tests/__init__.py", "docs/conf.py", "a/__init__.py", "setup.py"): ["a"],
    ("a/b.py",): ["a.b"],
    ("a.pth", "a-1.dist-info/RECORD", "share/jupyter/a.js"): [],
    ("zmq/__init__.py", "zmq/backend/x.abi3.so"): ["zmq"],
}


@pytest.mark.parametrize("files", MODULES)
def test_what_people_import_of_a_package_is_told_from_its_files(files: tuple[str, ...]) -> None:
    assert modules_of(list(files)) == MODULES[files]


def test_of_several_modules_the_one_called_like_the_package_stands_for_it() -> None:
    assert chosen("Jupyter-Core", ["jupyter", "jupyter_core"]) == ["jupyter_core"]
    assert chosen("matplotlib-more", ["matplotlib", "pylab"]) == ["matplotlib", "pylab"]


def test_condas_packages_are_imported_by_the_files_that_conda_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = "lib/python3.12/site-packages"
    records = {
        "pytorch-2.4.0-py312_0": [f"{library}/torch/__init__.py", f"{library}/torch-2.4.0.dist-info/RECORD"],
        "nodejs-22.0-0": ["bin/node"],
        "python-3.12.1-0": ["bin/python", f"{library}/README.txt"],
        "r-torch-1.0-0": ["lib/R/library/torch/DESCRIPTION"],
    }
    (tmp_path / "conda-meta").mkdir()
    for name, files in records.items():
        (tmp_path / "conda-meta" / f"{name}.json").write_text(json.dumps({"files": files}))
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    found = {name: of_conda(name) for name in ("pytorch", "nodejs", "node", "python", "r-torch", "torch", "certifi")}
    assert found == {
        "pytorch": ["torch"],
        "nodejs": [],
        "node": None,
        "python": [],
        "r-torch": [],
        "torch": None,
        "certifi": ["certifi"],  # pip has it
    }


def test_an_import_that_fails_says_why(tmp_path: Path) -> None:
    assert problem(["json"], str(tmp_path)) == ""
    assert problem(None, str(tmp_path)) == "it is not in the image"
    assert problem(["no_such"], str(tmp_path)) == "import no_such: ModuleNotFoundError: No module named 'no_such'"


@pytest.mark.parametrize("module", ["imports", "stub_hub"])
def test_what_runs_inside_an_image_needs_nothing_but_python(module: str) -> None:
    code = f"import sys; from hubtool.contracts.jupyterhub import {module} as m; open(m.__file__).read()"
    source = subprocess.run([sys.executable, "-c", code + "; print(m.__file__)"], capture_output=True, text=True).stdout
    done = subprocess.run([sys.executable, "-I", "-S", source.strip()], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1:] == ["IndexError: list index out of range"]
