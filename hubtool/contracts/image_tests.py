"""An image repository's own ``image-tests/``: pytest files and notebooks, run inside the container, unchanged.

As repo2docker-action runs them: as the run user, through the image's entrypoint, from REPO_DIR, on a copy of the
folder at REPO_DIR/image-tests. What image-tests/requirements.txt names, and a pytest where the image has none,
are put aside of the image's own packages. A notebook passes when it runs to its end.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path, PurePosixPath

import pytest

from hubtool.contracts import Result, Settings, container_logs
from hubtool.contracts.image import ImageUnderTest
from hubtool.contracts.junit import Case, read_junit
from hubtool.contracts.plugin import emit
from hubtool.engines import Container, ContainerSpec, Engine
from hubtool.process import Completed, ProcessError

FOLDER = "image-tests"
ASIDE = "/tmp/hubtool-image-tests"
# pytest and what it needs: pure Python, so hubtool's own serve in any image. The last three only in an older Python.
PYTEST = ("pytest", "pluggy", "iniconfig", "packaging", "pygments", "exceptiongroup", "tomli", "typing_extensions")
PYTEST_OPTIONS = ("-p", "no:cacheprovider", "--continue-on-collection-errors")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
SECONDS = 3600
LAST_LINES = 15
KEEP_RUNNING = ("sleep", str(2 * SECONDS))


@pytest.mark.tells
@pytest.mark.limit(2 * SECONDS)
def test_image_tests(engine: Engine, image: ImageUnderTest, settings: Settings, can_run: None) -> None:
    """The repository's own tests pass.

    To mend: run them in the image by hand: docker run -it IMAGE python3 -m pytest image-tests
    """
    folder = Path(settings.image_tests or "")
    with started(engine, settings) as container:
        inside = Inside(container, image, settings)
        inside.copy(folder)
        inside.install(folder)
        if any(folder.rglob("*.py")):
            inside.run_pytest()
        for notebook in notebooks(folder):
            inside.run_notebook(notebook)


def notebooks(folder: Path) -> list[PurePosixPath]:
    """The notebooks below FOLDER, relative to it; not the copies that Jupyter keeps of them."""
    found = (path.relative_to(folder) for path in folder.rglob("*.ipynb"))
    return sorted(PurePosixPath(path) for path in found if ".ipynb_checkpoints" not in path.parts)


@contextmanager
def started(engine: Engine, settings: Settings) -> Iterator[Container]:
    """A container of the image that does nothing, removed at the end."""
    spec = ContainerSpec(
        image=settings.image, entrypoint=KEEP_RUNNING[:1], command=KEEP_RUNNING[1:], user=str(settings.uid)
    )
    container = engine.run(spec)
    try:
        yield container
    finally:
        container.remove()


class Inside:
    """The tests' place in the container, and the programs that run there."""

    def __init__(self, container: Container, image: ImageUnderTest, settings: Settings) -> None:
        self._container = container
        self._settings = settings
        self._entrypoint = list(image.config.get("Entrypoint") or ())
        self._repo_dir = settings.repo_dir or str(image.config.get("WorkingDir") or "/")
        self._found: dict[str, bool] = {}
        self._log = container_logs(Path(settings.log_folder), settings.name, FOLDER)
        self._log.write_text("", encoding="utf-8")

    def copy(self, folder: Path) -> None:
        """Put a copy of FOLDER in the place of the image's own, which a build may have left out or cut down."""
        target = str(PurePosixPath(self._repo_dir) / FOLDER)
        self._container.exec(["rm", "-rf", target], user="0", timeout=60)
        self._container.copy_in(folder, target)

    def install(self, folder: Path) -> None:
        """Install image-tests/requirements.txt and pytest beside the image's own packages."""
        if self._python("-c", "pass").returncode != 0:
            pytest.fail(f"{FOLDER} needs python3 in the image, and there is none")
        if (folder / "requirements.txt").is_file():
            target = ["--target", f"{ASIDE}/site", "-r", f"{FOLDER}/requirements.txt"]
            done = self._python("-m", "pip", "install", "--quiet", "--no-cache-dir", *self._site(), *target)
            if done.returncode != 0:
                pytest.fail(f"{FOLDER}/requirements.txt can't be installed: {self._last(done)}")
        if not self._has("pytest"):
            with tempfile.TemporaryDirectory() as place:
                copy_pytest(Path(place))
                self._container.copy_in(Path(place), f"{ASIDE}/pytest")

    def _site(self) -> list[str]:
        index = self._settings.pip_index
        options = ["--index-url", index] if index else []
        if self._settings.ca_bundle:
            with tempfile.TemporaryDirectory() as place:
                shutil.copyfile(self._settings.ca_bundle, Path(place) / "ca.crt")
                self._container.copy_in(Path(place), f"{ASIDE}/ca")
            options += ["--cert", f"{ASIDE}/ca/ca.crt"]
        return options

    def run_pytest(self) -> None:
        """Run the pytest files; each test is a result."""
        report = f"{ASIDE}-junit.xml"
        begin = time.monotonic()
        done = self._python("-m", "pytest", *PYTEST_OPTIONS, f"--junitxml={report}", f"{FOLDER}/")
        cases = read_junit(self._container.exec(["cat", report], timeout=60).stdout)
        for case in cases:
            emit(self._result(case))
        if done.returncode not in (0, 1, 5) or (
            done.returncode == 1 and all(case.outcome != "failed" for case in cases)
        ):
            case = Case(FOLDER, "pytest", "failed", time.monotonic() - begin, self._last(done))
            emit(self._result(case))

    def run_notebook(self, notebook: PurePosixPath) -> None:
        """Run a notebook to its end; an error in a cell fails it."""
        name = f"{FOLDER}/{notebook}"
        if not self._has("nbconvert"):
            emit(self._result(Case(name, "", "skipped", 0.0, "the image has no nbconvert to run notebooks with")))
            return
        begin = time.monotonic()
        options = ["--to", "notebook", "--execute", "--output-dir", f"{ASIDE}-notebooks", "--log-level", "ERROR"]
        done = self._python("-m", "nbconvert", *options, name)
        message = "" if done.returncode == 0 else self._last(done)
        emit(self._result(Case(name, "", "failed" if message else "passed", time.monotonic() - begin, message)))

    def _has(self, module: str) -> bool:
        """Whether the image's Python finds MODULE; asked once."""
        if module not in self._found:
            code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
            self._found[module] = self._python("-c", code).returncode == 0
        return self._found[module]

    def _result(self, case: Case) -> Result:
        mend = f"see {self._log}" if case.outcome == "failed" else ""
        check = f"{case.place}::{case.name}" if case.name else case.place
        return Result(FOLDER, check, "", case.outcome, case.seconds, case.message, mend)

    def _python(self, *arguments: str) -> Completed:
        """Run the image's Python as the image would: through its entrypoint, from REPO_DIR."""
        environment = {
            "PYTHONPATH": f"{ASIDE}/site:{ASIDE}/pytest",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        argv = [*self._entrypoint, "python3", *arguments]
        try:
            done = self._container.exec(argv, environment=environment, workdir=self._repo_dir, timeout=SECONDS)
        except ProcessError as error:
            done = Completed(tuple(argv), -1, "", f"{error.output}\nnot done within {SECONDS} s")
        self._keep(argv, done)
        return done

    def _keep(self, argv: Sequence[str], done: Completed) -> None:
        with self._log.open("a", encoding="utf-8", errors="replace") as log:
            log.write(f"$ {' '.join(argv)}\n{done.stdout}{done.stderr}(code {done.returncode})\n\n")

    def _last(self, done: Completed) -> str:
        text = COLOURS.sub("", f"{done.stdout}\n{done.stderr}")
        lines = [line for line in text.splitlines() if line.strip()]
        return "\n".join(lines[-LAST_LINES:]) or f"ended with code {done.returncode}"


def copy_pytest(target: Path) -> None:
    """Copy hubtool's own pytest, and what it needs, to TARGET."""
    for name in PYTEST:
        try:
            files = distribution(name).files or ()
        except PackageNotFoundError:
            continue
        for file in files:
            if ".." not in file.parts and file.suffix not in (".pyc", ".so"):
                (target / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file.locate(), target / file)
