"""The runner: interrupted, killed, given nonsense, and asked what it checks."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hubtool.config import PROFILES
from hubtool.contracts import CONTRACTS, Settings
from hubtool.contracts.runner import promises, run_checks
from hubtool.engines import Engine
from hubtool.errors import HubtoolError
from tests.contracts.conftest import BuildImage, containers_of, volumes

WAIT = 40.0


@pytest.fixture(scope="module")
def sleeping_image(base_image: str, build_image: BuildImage) -> str:
    """An image that starts and never answers."""
    script = "RUN printf '#!/bin/sh\\nexec sleep 300\\n' > /start && chmod +x /start"
    return build_image("sleeping", f'FROM {base_image}\n{script}\nENTRYPOINT ["/start"]\nUSER 1000\n')


def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end, f"not within {WAIT} s: {what}"
        time.sleep(0.1)


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM], ids=["SIGINT", "SIGKILL", "SIGTERM"])
def test_an_interrupted_test_leaves_no_container_and_no_volume(
    sign: signal.Signals, sleeping_image: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "hubtool", "test", sleeping_image, "--engine", "docker"]
    folders = tmp_path / "tmp"
    folders.mkdir()
    environment = {**os.environ, "TMPDIR": str(folders)}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    used: set[str] = set()

    def runs() -> bool:
        used.update(*containers_of(sleeping_image).values())
        return bool(used)

    try:
        until(runs, "a container with a volume")
        process.send_signal(sign)
        output = process.communicate(timeout=WAIT)[0].decode()
    finally:
        process.kill()
    until(lambda: not containers_of(sleeping_image) and not used & volumes(), "nothing left behind")
    until(lambda: not list(folders.iterdir()), "no temporary folder left behind")
    assert "Traceback" not in output
    assert process.returncode == (-signal.SIGKILL if sign == signal.SIGKILL else 130)


def settings(tmp_path: Path, **changed: str) -> Settings:
    said = {"engine": "docker", "image": "sha256:" + "0" * 64, "name": "x", "contract": "jupyterhub", **changed}
    return Settings(log_folder=str(tmp_path), **said)  # type: ignore[arg-type]


def test_an_image_that_is_gone_fails_its_checks_by_name(engine: Engine, tmp_path: Path) -> None:
    results, _ = run_checks(engine, settings(tmp_path), lambda _: None)
    assert {result.outcome for result in results} == {"failed"}
    assert all("the engine no longer holds x" in result.message for result in results)


def test_an_unknown_contract_is_an_error(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(HubtoolError, match="no contract called 'jupiter'") as caught:
        run_checks(engine, settings(tmp_path, contract="jupiter"), lambda _: None)
    assert caught.value.hint == f"contracts: {', '.join(CONTRACTS)}, none"


def test_checks_that_crash_are_an_error_that_shows_why(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "websockets").mkdir()
    (tmp_path / "websockets" / "__init__.py").write_text("raise ImportError('a broken installation')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(HubtoolError, match="could not run") as caught:
        run_checks(engine, settings(tmp_path), lambda _: None)
    assert "a broken installation" in str(caught.value)


def test_a_pytest_setup_around_it_changes_nothing(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", "--no-such-option")
    monkeypatch.setenv("PYTEST_PLUGINS", "no_such_plugin")
    monkeypatch.chdir(tmp_path)
    Path("pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    Path("conftest.py").write_text("raise SystemExit('not mine')\n")
    assert run_checks(engine, settings(tmp_path), lambda _: None)[0]


def test_no_contract_and_no_tests_is_nothing_to_do(engine: Engine, tmp_path: Path) -> None:
    assert run_checks(engine, settings(tmp_path, contract="none"), lambda _: None)[0] == []


@pytest.mark.parametrize("contract", CONTRACTS)
def test_every_promise_says_what_breaks_and_how_to_mend_it(contract: str) -> None:
    found = promises(contract)
    assert found
    for promise in found:
        assert re.fullmatch(r"[A-Z]{1,2}[0-9]+", promise.check)
        assert all([promise.promise, promise.breaks, promise.mend]), promise.check
        assert set(promise.profiles) <= set(PROFILES.get(contract, ()))


def test_the_environment_of_the_caller_is_left_alone(engine: Engine, tmp_path: Path) -> None:
    before = dict(os.environ)
    run_checks(engine, settings(tmp_path), lambda _: None)
    assert dict(os.environ) == before
