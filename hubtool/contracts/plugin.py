"""The pytest plug-in that contracts run under: fixtures, time limits, and results told to the runner.

The runner starts ``pytest -p hubtool.contracts.plugin`` with the settings in a file that $HUBTOOL_CONTRACT names.
Each result is a line on standard output that starts with the run's result_mark; all else there is for the log.
"""

from __future__ import annotations

import atexit
import dataclasses
import json
import os
import re
import shutil
import signal
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType

import pytest

from hubtool.contracts import (
    CANNOT_START,
    ENGINE_GONE,
    NO_ENGINE,
    OWN_TESTS,
    SETTINGS_VARIABLE,
    Result,
    Settings,
    result_mark,
)
from hubtool.contracts.docs import read_docstring
from hubtool.contracts.host import Host
from hubtool.contracts.image import ImageUnderTest
from hubtool.contracts.no_engine import no_engine
from hubtool.contracts.started import Started
from hubtool.engines import Engine, Unsupported, get_engine
from hubtool.engines.leftovers import RUN_ID
from hubtool.errors import HubtoolError

# Beyond what its server may take to start (twice), and above any one program's own limit.
SPARE_SECONDS = 240
ANSWER_SECONDS = 20  # for an engine that is asked whether it is still there


OWN_MEND = (
    "hubtool's Python runs own checks, with pytest and pytest-testinfra; a folder of something else: 'tests: false' in "
    "hubtool.yaml"
)


class TimeLimit(HubtoolError):
    """A check took longer than a check may."""


@dataclasses.dataclass
class _Run:
    """What the phases of one test have told so far."""

    seconds: float = 0.0
    outcome: str = "passed"
    message: str = ""


_runs: dict[str, _Run] = {}


def emit(result: Result) -> None:
    """Tell the runner about a check."""
    print(f"\n{result_mark(RUN_ID)}{json.dumps(dataclasses.asdict(result))}", flush=True)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "limit(seconds): how long the check may take")
    config.addinivalue_line("markers", "profiles(*names): the only profiles of the contract that the check is for")
    config.addinivalue_line("markers", "tells: tells the results of several checks and is none itself")
    signal.signal(signal.SIGTERM, _interrupt)
    threading.Thread(target=_watch, args=(os.getppid(),), daemon=True).start()


def pytest_sessionfinish() -> None:
    """Tell the runner that the end was reached."""
    print(f"\n{result_mark(RUN_ID)}null", flush=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the checks of other profiles."""
    profile = _settings().profile
    others = [item for item in items if profile not in _profiles(item, profile)]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


def _profiles(item: pytest.Item, every: str) -> tuple[str, ...]:
    marker = item.get_closest_marker("profiles")
    return marker.args if marker else (every,)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _watch(parent: int) -> None:
    """End the run, with all that it started, when the program that asked for it is gone."""
    while os.getppid() == parent:
        time.sleep(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for told in (1, 2):  # nobody reads these any more
        os.dup2(nowhere, told)
    folder = Path(os.environ[SETTINGS_VARIABLE]).parent
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.kill(os.getpid(), signal.SIGINT)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    marker = item.get_closest_marker("limit")
    seconds = int(marker.args[0]) if marker else 2 * _settings().start_seconds + SPARE_SECONDS

    def expired(_signal: int, _frame: FrameType | None) -> None:
        raise TimeLimit(f"not done within {seconds} s")

    signal.signal(signal.SIGALRM, expired)
    signal.alarm(seconds)
    try:
        return (yield)
    finally:
        signal.alarm(0)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    run = _runs.setdefault(item.nodeid, _Run())
    run.seconds += call.duration
    if report.outcome != "passed" and run.outcome == "passed":
        run.outcome, run.message = report.outcome, _message(call)
        _look_around(call, run)
    if report.when == "teardown" and not (run.outcome == "passed" and _tells_itself(item)):
        emit(_result(item, _runs.pop(item.nodeid)))
    return report


def _look_around(call: pytest.CallInfo[None], run: _Run) -> None:
    """What a check that did not pass means beyond itself."""
    if call.excinfo is not None and isinstance(call.excinfo.value, Unsupported):
        run.outcome, run.message = "skipped", f"{CANNOT_START}: {run.message}"
    if run.outcome == "failed":
        Started.keep = _settings()
        if _settings().engine != NO_ENGINE and not _answers(get_engine(_settings().engine)):
            print("the engine does not answer any more", flush=True)
            os._exit(ENGINE_GONE)  # whatever was started, nobody is there to remove it


def _answers(engine: Engine) -> bool:
    """Whether ENGINE is still there."""
    said: list[bool] = []

    def ask() -> None:
        with suppress(HubtoolError):
            engine.inspect(_settings().image)
            said.append(True)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(ANSWER_SECONDS)
    return bool(said)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Tell about a file of own checks that can't be read."""
    if report.failed:
        lines = str(report.longrepr).splitlines()
        said = [line[1:].strip() for line in lines if line.startswith("E ")] or lines[-1:]
        emit(Result(OWN_TESTS, report.nodeid, "it can be read", "failed", 0.0, "\n".join(said[-3:]), OWN_MEND))


def _tells_itself(item: pytest.Item) -> bool:
    """Whether the test tells the runner about other checks, and is none of its own."""
    return item.get_closest_marker("tells") is not None


def _message(call: pytest.CallInfo[None]) -> str:
    """What a check found: its own words; for an error that it did not expect, also where that was."""
    assert call.excinfo is not None
    error = call.excinfo.value
    if isinstance(error, pytest.skip.Exception | pytest.fail.Exception):
        return str(error.msg)
    if isinstance(error, AssertionError | HubtoolError):
        return str(error) or "does not hold"
    if isinstance(error, pytest.FixtureLookupError):
        return f"fixture '{error.argname}' not found"
    traceback.print_exception(error)
    place = call.excinfo.traceback[-1]
    return f"{type(error).__name__}: {error} ({Path(place.path).name}:{place.lineno + 1})"


def _result(item: pytest.Item, run: _Run) -> Result:
    doc = read_docstring(getattr(item, "obj", None))
    own = _is_own(item.path)
    named = None if own else re.match(r"test_([A-Z]{1,2}\d+)_", item.name)
    check = named[1] if named else item.name
    mend = doc.mend or (f"the check: {item.path}" if own else "") if run.outcome == "failed" else ""
    outcome = run.outcome if run.outcome in ("passed", "skipped") else "failed"
    promise = doc.promise or item.name.removeprefix("test_").replace("_", " ")
    group = OWN_TESTS if own else _settings().contract
    return Result(group, check, promise, outcome, run.seconds, run.message, mend)  # type: ignore[arg-type]


def _is_own(path: Path) -> bool:
    folder = _settings().own_tests
    return folder is not None and path.is_relative_to(folder)


_read: dict[str, Settings] = {}


def _settings() -> Settings:
    path = os.environ[SETTINGS_VARIABLE]
    if path not in _read:
        _read[path] = Settings.loads(Path(path).read_text(encoding="utf-8"))
    return _read[path]


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Says something about a check that passes, which the report shows; the last thing said stays."""

    def say(text: str) -> None:
        _runs.setdefault(request.node.nodeid, _Run()).message = text

    return say


@pytest.fixture(scope="session")
def settings() -> Settings:
    """What hubtool.yaml says of the image."""
    return _settings()


@pytest.fixture(scope="session")
def engine(settings: Settings) -> Engine:
    """The engine that holds the image; one that can do nothing for an image that is a file."""
    return no_engine() if settings.engine == NO_ENGINE else get_engine(settings.engine)


@pytest.fixture(scope="session")
def host(container: Started) -> Host:
    """pytest-testinfra's host: the started container."""
    return container.host


@pytest.fixture(scope="session")
def image(engine: Engine, settings: Settings) -> Iterator[ImageUnderTest]:
    """The image as data: its config, and the files of its layers. Nothing is started."""
    with tempfile.TemporaryDirectory(prefix="hubtool-test-") as folder:
        under_test = ImageUnderTest(engine, settings, Path(folder))
        try:
            yield under_test
        finally:
            under_test.close()


@pytest.fixture(scope="session")
def can_run(engine: Engine) -> None:
    """Skips a check where the engine can't start containers."""
    reason = engine.can_run()
    if reason is not None:
        pytest.skip(f"{CANNOT_START}: {reason}")
