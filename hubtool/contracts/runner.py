"""Runs a contract in a pytest of its own, and collects what its checks found."""

from __future__ import annotations

import contextlib
import datetime
import json
import sys
import tempfile
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from hubtool.contracts import (
    CONTRACTS,
    ENGINE_GONE,
    NO_CONTRACT,
    OWN_TESTS,
    SETTINGS_VARIABLE,
    Promise,
    Result,
    Settings,
    by_id,
    check_contract,
    container_logs,
    in_order,
    result_mark,
)
from hubtool.contracts.docs import read_docstring
from hubtool.contracts.known import judged
from hubtool.engines import Engine
from hubtool.engines.leftovers import RUN_VARIABLE
from hubtool.errors import HubtoolError
from hubtool.process import ProcessError, stream

IMAGE_TESTS = "hubtool.contracts.image_tests"
LAST_LINES = 20
FAILED = 1  # pytest's code where tests failed; each has told so
CLEAN_SECONDS = 60
GRACE = 20  # seconds that an interrupted run has to remove what it started

Tell = Callable[[Result], None]


@dataclass(frozen=True)
class _Pytest:
    """One pytest to run: its plug-ins, arguments, and the folder that it runs in."""

    plugins: Sequence[str]
    arguments: Sequence[str]
    folder: Path | None = None


def run_checks(
    engine: Engine, settings: Settings, told: Tell, stop: threading.Event | None = None
) -> tuple[list[Result], float]:
    """Run the contract, the image-tests and the own checks that SETTINGS name; returns the results, the contract's by
    their ids, and the seconds it took.

    TOLD is called with each result as it comes. Every container that was started is removed, also when this is
    interrupted or STOP is set, the checks crash or the engine stops. Raises HubtoolError for an unknown contract, where
    the engine stopped, and where the checks themselves could not run.
    """
    check_contract(settings.contract)
    parts = list(_parts(settings))
    run, begin = f"test-{uuid.uuid4().hex[:12]}", time.monotonic()
    results: list[Result] = []

    def take(result: Result) -> None:
        today = datetime.date.today()
        results.append(judged(result, settings.known_issues, today) if result.group == settings.contract else result)
        told(results[-1])

    for log in kept_logs(settings):  # an earlier run's
        log.unlink(missing_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix="hubtool-run-") as folder:
            for part in parts:
                _run_pytest(part, settings, Path(folder), run, take, stop)
    finally:
        if parts and settings.archive is None:
            _clean(engine, run)
    return in_order(results, settings.contract), time.monotonic() - begin if parts else 0.0


def _parts(settings: Settings) -> Iterator[_Pytest]:
    """The contract and image-tests share what they start. The repository's own checks run by themselves: what their
    conftest.py does can't reach the contract's."""
    contract = CONTRACTS.get(settings.contract)
    modules = [*(contract.modules if contract else ()), *([IMAGE_TESTS] if settings.image_tests else [])]
    fixtures = [contract.fixtures] if contract else []
    if modules:
        options = ["--assert=plain", "--import-mode=importlib"]
        yield _Pytest(["hubtool.contracts.plugin", *fixtures], [*options, *map(_file, modules)])
    if settings.own_tests:
        folder = Path(settings.own_tests)
        plugins = ["hubtool.contracts.plugin", *(fixtures or ["hubtool.contracts.plain"]), "hubtool.contracts.own"]
        options = ["--import-mode=append", f"--confcutdir={folder}", "--continue-on-collection-errors"]
        yield _Pytest(plugins, [*options, *(str(path) for path in own_files(folder))], folder.parent)


def own_files(folder: Path) -> list[Path]:
    """The files of a repository's own checks in FOLDER."""
    return sorted(path for path in folder.glob("test_*.py") if path.is_file())


def _run_pytest(
    part: _Pytest, settings: Settings, folder: Path, run: str, take: Tell, stop: threading.Event | None
) -> None:
    (folder / "settings.json").write_text(settings.dumps(), encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    environment: dict[str, str | None] = {
        SETTINGS_VARIABLE: str(folder / "settings.json"),
        RUN_VARIABLE: run,
        "TMPDIR": str(folder),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_ADDOPTS": None,
        "PYTEST_PLUGINS": None,
        "PYTHONUNBUFFERED": "1",
        **({"PYTHONDONTWRITEBYTECODE": "1"} if part.folder else {}),  # nothing is left in a team's repository
    }
    words = [sys.executable, *_arguments(part, folder)]
    log = container_logs(Path(settings.log_folder), settings.name, OWN_TESTS if part.folder else "test")
    lines = stream(*words, cwd=part.folder or folder, env=environment, grace=GRACE, stop=stop)
    last: deque[str] = deque(maxlen=LAST_LINES)
    try:
        with log.open("w", encoding="utf-8", errors="replace") as file:
            for line in _others(lines, result_mark(run), take):
                file.write(line + "\n")
                last.append(line)
    except ProcessError as error:
        if stop is not None and stop.is_set():
            raise KeyboardInterrupt from error
        if error.returncode != FAILED:
            _broken(part, settings, error, list(last), log, take)


def _others(lines: Iterator[str], mark: str, take: Tell) -> Iterator[str]:
    """The lines that tell no result."""
    with contextlib.closing(lines):  # type: ignore[type-var]  # a generator: closed, it ends the program
        for line in lines:
            if line.startswith(mark):
                take(Result(**json.loads(line[len(mark) :])))
            else:
                yield line


def _arguments(part: _Pytest, folder: Path) -> list[str]:
    loaded = [word for plugin in part.plugins for word in ("-p", plugin)]
    place = ["--rootdir", str(folder), "-c", str(folder / "pytest.ini")]
    return ["-m", "pytest", *loaded, "--capture=no", "-p", "no:cacheprovider", "-q", *place, *part.arguments]


def _file(module: str) -> str:
    """Where a module of hubtool stands."""
    spec = find_spec(module)
    return spec.origin or "" if spec else ""


def _broken(part: _Pytest, settings: Settings, error: ProcessError, output: list[str], log: Path, take: Tell) -> None:
    """Say why a pytest could not run to its end. The team's own is a check that failed; ours is an error."""
    if error.returncode == ENGINE_GONE:
        raise HubtoolError(
            f"{settings.engine} stopped answering while {settings.name} was tested",
            hint=f"start {settings.engine} again, then run the same command",
        ) from error
    last = "\n".join(f"  | {line}" for line in output if line.strip())
    if part.folder is None:
        raise HubtoolError(
            f"the checks of {settings.name} could not run:\n{last}", hint=f"the whole output: {log}"
        ) from error
    mend = f"the whole output: {log}; a folder of something else: 'tests: false' in hubtool.yaml"
    found = f"pytest ended with code {error.returncode}:\n{last}"
    take(Result(OWN_TESTS, "pytest", "the own checks can be run", "failed", 0.0, found, mend))


def _clean(engine: Engine, run: str) -> None:
    """Remove what RUN left. An engine that is gone has nothing to remove; one that hangs is not waited for."""

    def clean() -> None:
        with contextlib.suppress(HubtoolError):
            engine.clean(run)

    thread = threading.Thread(target=clean, daemon=True)
    thread.start()
    thread.join(CLEAN_SECONDS)


def kept_logs(settings: Settings) -> list[Path]:
    """The files of what the image's containers said, in a run where a check failed."""
    first = container_logs(Path(settings.log_folder), settings.name)
    return [path for path in [first, *sorted(first.parent.glob(f"{first.stem}-[0-9]*.log"))] if path.exists()]


def promises(contract: str, profile: str | None = None) -> list[Promise]:
    """What CONTRACT promises, check by check, to PROFILE where that is given; raises HubtoolError where there is none
    of that name."""
    check_contract(contract)
    if contract == NO_CONTRACT:
        return []
    found = []
    for name, check in _checks(CONTRACTS[contract].modules):
        doc, profiles = read_docstring(check), _profiles(check)
        if profile is None or not profiles or profile in profiles:
            found.append(Promise(contract, name.split("_")[1], doc.promise, doc.breaks, doc.mend, profiles))
    return sorted(found, key=lambda promise: by_id(promise.check))


def _checks(modules: Sequence[str]) -> Iterator[tuple[str, object]]:
    for module in map(import_module, modules):
        yield from ((name, check) for name, check in vars(module).items() if name.startswith("test_"))


def _profiles(check: object) -> tuple[str, ...]:
    marks = getattr(check, "pytestmark", ())
    return next((mark.args for mark in marks if mark.name == "profiles"), ())
