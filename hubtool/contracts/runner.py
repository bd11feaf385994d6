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
from collections.abc import Callable, Iterable, Iterator, Sequence
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
    words = [sys.executable, "-P", *_arguments(part, folder)]
    log = container_logs(Path(settings.log_folder), settings.name, OWN_TESTS if part.folder else "test")
    lines = stream(*words, cwd=part.folder or folder, env=environment, grace=GRACE, stop=stop)
    output = _Output(result_mark(run), take)
    code = 0
    try:
        with log.open("w", encoding="utf-8", errors="replace") as file, contextlib.closing(lines):  # type: ignore[type-var]
            for line in output.others(lines):
                file.write(line + "\n")
    except ProcessError as error:
        code = error.returncode or 0
    if stop is not None and stop.is_set():
        raise KeyboardInterrupt
    if code not in (0, FAILED) or not output.ended:
        _broken(part, settings, code, output.last, log, take)


class _Output:
    """Takes the results from what a pytest prints. ``ended`` is whether it came to its end, ``last`` its last lines."""

    def __init__(self, mark: str, take: Tell) -> None:
        self.ended = False
        self.last: deque[str] = deque(maxlen=LAST_LINES)
        self._mark = mark
        self._take = take

    def others(self, lines: Iterable[str]) -> Iterator[str]:
        """The lines that tell no result."""
        for line in lines:
            if not line.startswith(self._mark):
                self.last.append(line)
                yield line
                continue
            told = json.loads(line[len(self._mark) :])
            self.ended = told is None
            if told is not None:
                self._take(Result(**told))


def _arguments(part: _Pytest, folder: Path) -> list[str]:
    loaded = [word for plugin in part.plugins for word in ("-p", plugin)]
    place = ["--rootdir", str(part.folder or folder), "-c", str(folder / "pytest.ini")]
    return ["-m", "pytest", *loaded, "--capture=no", "-p", "no:cacheprovider", "-q", *place, *part.arguments]


def _file(module: str) -> str:
    """Where a module of hubtool stands."""
    spec = find_spec(module)
    return spec.origin or "" if spec else ""


def _broken(part: _Pytest, settings: Settings, code: int, output: Iterable[str], log: Path, take: Tell) -> None:
    """Say why a pytest could not run to its end. The team's own is a check that failed; ours is an error."""
    if code == ENGINE_GONE:
        raise HubtoolError(
            f"{settings.engine} stopped answering while {settings.name} was tested",
            hint=f"start {settings.engine} again, then run the same command",
        )
    last = "\n".join(f"  | {line}" for line in output if line.strip())
    if part.folder is None:
        raise HubtoolError(f"the checks of {settings.name} could not run:\n{last}", hint=f"the whole output: {log}")
    mend = f"the whole output: {log}; a folder of something else: 'tests: false' in hubtool.yaml"
    found = f"pytest ended with code {code}:\n{last}"
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
    for module in map(import_module, CONTRACTS[contract].modules):
        for name, check in vars(module).items():
            profiles = _profiles(check) or _profiles(module)
            if name.startswith("test_") and (profile is None or not profiles or profile in profiles):
                doc = read_docstring(check)
                found.append(Promise(contract, name.split("_")[1], doc.promise, doc.breaks, doc.mend, profiles))
    return sorted(found, key=lambda promise: by_id(promise.check))


def _profiles(marked: object) -> tuple[str, ...]:
    """The profiles that a check or module is marked for."""
    marks = getattr(marked, "pytestmark", ())
    each = marks if isinstance(marks, Sequence) else [marks]
    return next((tuple(mark.args) for mark in each if mark.name == "profiles"), ())
