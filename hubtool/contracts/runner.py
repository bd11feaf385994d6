"""Runs a contract in a pytest of its own, and collects what its checks found."""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from hubtool.contracts import (
    CONTRACTS,
    NO_CONTRACT,
    RESULT_MARK,
    SETTINGS_VARIABLE,
    Promise,
    Result,
    Settings,
    by_id,
    check_contract,
    container_logs,
)
from hubtool.contracts.docs import read_docstring
from hubtool.engines import Engine
from hubtool.engines.leftovers import RUN_VARIABLE
from hubtool.errors import HubtoolError
from hubtool.process import ProcessError, stream

IMAGE_TESTS = "hubtool.contracts.image_tests"
LAST_LINES = 20


def run_checks(engine: Engine, settings: Settings, told: Callable[[Result], None]) -> tuple[list[Result], float]:
    """Run the contract and the image-tests that SETTINGS name; returns the results and the seconds it took.

    TOLD is called with each result as it comes. Every container that was started is removed, also when this is
    interrupted or the checks crash. Raises HubtoolError for an unknown contract, and where the checks themselves
    could not run.
    """
    check_contract(settings.contract)
    modules = list(CONTRACTS[settings.contract].modules) if settings.contract != NO_CONTRACT else []
    modules += [IMAGE_TESTS] if settings.image_tests else []
    if not modules:
        return [], 0.0
    run, begin = f"test-{uuid.uuid4().hex[:12]}", time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="hubtool-run-") as folder:
            results = _run_pytest(modules, settings, Path(folder), run, told)
    finally:
        with contextlib.suppress(HubtoolError):  # an engine that is gone has nothing left to remove
            engine.clean(run)
    return results, time.monotonic() - begin


def _run_pytest(
    modules: list[str], settings: Settings, folder: Path, run: str, told: Callable[[Result], None]
) -> list[Result]:
    (folder / "settings.json").write_text(settings.dumps(), encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    environment = {
        SETTINGS_VARIABLE: str(folder / "settings.json"),
        RUN_VARIABLE: run,
        "TMPDIR": str(folder),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_ADDOPTS": None,
        "PYTEST_PLUGINS": None,
        "PYTHONUNBUFFERED": "1",
    }
    results: list[Result] = []
    other: list[str] = []
    try:
        for line in stream(
            sys.executable, *_arguments(modules, _plugins(settings), folder), cwd=folder, env=environment
        ):
            if line.startswith(RESULT_MARK):
                results.append(Result(**json.loads(line[len(RESULT_MARK) :])))
                told(results[-1])
            else:
                other.append(line)
    except ProcessError as error:
        if error.returncode != 1:  # 1: checks failed, and have told so
            raise _broken(settings, other) from error
    finally:
        log = container_logs(Path(settings.log_folder), settings.name, "test")
        log.write_text("\n".join(other) + "\n", encoding="utf-8", errors="replace")
    return results


def _plugins(settings: Settings) -> list[str]:
    fixtures = [CONTRACTS[settings.contract].fixtures] if settings.contract != NO_CONTRACT else []
    return ["hubtool.contracts.plugin", *fixtures]


def _arguments(modules: list[str], plugins: list[str], folder: Path) -> list[str]:
    options = ["--capture=no", "--assert=plain", "--import-mode=importlib", "-p", "no:cacheprovider", "-q"]
    place = ["--rootdir", str(folder), "-c", str(folder / "pytest.ini")]
    loaded = [word for plugin in plugins for word in ("-p", plugin)]
    return ["-m", "pytest", *loaded, *options, *place, *(_file(name) for name in modules)]


def _file(module: str) -> str:
    """Where a module of hubtool stands."""
    spec = find_spec(module)
    return spec.origin or "" if spec else ""


def _broken(settings: Settings, output: list[str]) -> HubtoolError:
    last = "\n".join(f"  | {line}" for line in output[-LAST_LINES:] if line.strip())
    log = container_logs(Path(settings.log_folder), settings.name, "test")
    return HubtoolError(f"the checks of {settings.name} could not run:\n{last}", hint=f"the whole output: {log}")


def promises(contract: str) -> list[Promise]:
    """What CONTRACT promises, check by check; raises HubtoolError where there is none of that name."""
    check_contract(contract)
    if contract == NO_CONTRACT:
        return []
    found = []
    for name, check in _checks(CONTRACTS[contract].modules):
        doc = read_docstring(check)
        found.append(Promise(contract, name.split("_")[1], doc.promise, doc.breaks, doc.mend))
    return sorted(found, key=lambda promise: by_id(promise.check))


def _checks(modules: Sequence[str]) -> Iterator[tuple[str, object]]:
    for module in map(import_module, modules):
        yield from ((name, check) for name, check in vars(module).items() if name.startswith("test_"))
