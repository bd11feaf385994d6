"""Several images at once; interrupted, killed, and an engine that stops in the middle."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from hubtool.engines import get_engine
from hubtool.sandbox.dockerd import private_dockerd
from tests.commands.testing.conftest import TAG, Build, commit, hubtool, write

NAMES = ("ash", "birch", "cedar")
YAML = "registry: registry.example/trees\nimages:\n" + "".join(f"  {name}: {{contract: none}}\n" for name in NAMES)
SLOW = """\
import time

def test_it(container):
    time.sleep({seconds})
"""
WAIT = 90.0


@pytest.fixture(scope="module")
def trees(build: Build, base_image: str) -> list[str]:
    """The ids of three images."""
    text = 'FROM {base}\nLABEL tree={name}\nUSER 1000\nCMD ["sleep", "300"]\n'
    return [build(f"registry.example/trees/{name}:{TAG}", text.format(base=base_image, name=name)) for name in NAMES]


@pytest.fixture
def forest(repository: Path, trees: list[str]) -> Path:
    """A repository of three images, with an own check that takes a while."""
    write(repository, "hubtool.yaml", YAML)
    write(repository, "tests/test_own.py", SLOW.format(seconds=2))
    (repository / "image-tests" / "test_it.py").unlink()
    commit(repository)
    return repository


def containers(images: list[str]) -> list[str]:
    """The images whose containers the daemon has, running or not."""
    client = docker.from_env()
    try:
        return [item["ImageID"] for item in client.api.containers(all=True) if item["ImageID"] in images]
    finally:
        client.close()


def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end, f"not within {WAIT} s: {what}"
        time.sleep(0.1)


@pytest.fixture
def begun(forest: Path, trees: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A test of all three, while two are under test."""
    write(forest, "tests/test_own.py", SLOW.format(seconds=200))
    commit(forest)
    command = [sys.executable, "-m", "hubtool", "test", "--tag", TAG, "--engine", "docker"]
    process = subprocess.Popen(command, cwd=forest, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        until(lambda: len(containers(trees)) == 2, "two containers")
        yield process
    finally:
        process.kill()
        process.wait()


def test_two_are_tested_at_once_and_each_line_says_whose_it_is(forest: Path, trees: list[str]) -> None:
    done = hubtool(forest, "--tag", TAG, "--json")
    assert done.returncode == 0, done.stderr
    assert [report["image"] for report in json.loads(done.stdout)] == list(NAMES)
    lines = done.stderr.splitlines()
    for name in NAMES:
        assert sum(bool(re.fullmatch(rf"  {name} test_it passed in \d+\.\d s", line)) for line in lines) == 1
        assert sum(line.startswith(f"testing registry.example/trees/{name}:{TAG} ") for line in lines) == 1
    assert len(lines) == 2 * len(NAMES)
    first_result = next(number for number, line in enumerate(lines) if "passed" in line)
    assert first_result == 2, "the second begins before the first is done, the third does not"
    assert containers(trees) == []


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=["SIGINT", "SIGTERM", "SIGKILL"])
def test_when_it_is_ended_nothing_of_any_image_is_left(
    sign: signal.Signals, begun: subprocess.Popen[str], trees: list[str]
) -> None:
    begun.send_signal(sign)
    output = begun.communicate(timeout=WAIT)[0]
    assert begun.returncode == (-signal.SIGKILL if sign == signal.SIGKILL else 130)
    until(lambda: containers(trees) == [], "nothing left behind")
    assert "Traceback" not in output
    if sign != signal.SIGKILL:
        assert output.endswith("interrupted; run the same command again to go on\n")


def test_one_that_cannot_be_tested_does_not_hide_the_others(forest: Path, trees: list[str]) -> None:
    write(forest, "tests/test_own.py", "def test_it(settings): assert settings.name != 'birch', 'no birch'\n")
    commit(forest)
    done = hubtool(forest, "--tag", TAG)
    assert done.returncode == 1
    assert [line.split()[1] for line in done.stdout.splitlines() if line.startswith("registry.")] == [
        "passed",
        "FAILED",
        "passed",
    ]
    assert "not passed: birch (test_it)" in done.stderr


def test_an_engine_that_stops_in_the_middle_is_one_clear_error(
    forest: Path, tmp_path_factory: pytest.TempPathFactory, base_image: str
) -> None:
    folder = tmp_path_factory.mktemp("engine")
    get_engine("docker").export(base_image, folder / "base.tar")
    write(forest, "tests/test_own.py", SLOW.format(seconds=5) + "    container.container.exec(['true'])\n" * 2)
    write(forest, "hubtool.yaml", YAML.replace("  birch: {contract: none}\n  cedar: {contract: none}\n", ""))
    commit(forest)
    with private_dockerd(folder / "docker") as host:
        environment = {**os.environ, "DOCKER_HOST": host, "HUBTOOL_ENGINE": "docker"}
        client = docker.DockerClient(host)
        with (folder / "base.tar").open("rb") as file:
            client.images.load(file)
        sleeping = client.containers.create(base_image, command=["sleep", "60"])
        sleeping.commit("registry.example/trees/ash", tag=TAG, conf={"Cmd": ["sleep", "60"]})
        sleeping.remove()
        command = [sys.executable, "-m", "hubtool", "test", "--tag", TAG]
        process = subprocess.Popen(
            command, cwd=forest, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            until(lambda: bool(client.containers.list()), "a container")
            os.kill(int((Path(host.removeprefix("unix://")).parent / "dockerd.pid").read_text()), signal.SIGTERM)
            errors = process.communicate(timeout=WAIT)[1]
        finally:
            process.kill()
            process.wait()
            client.close()
    assert process.returncode == 1
    assert errors.endswith(
        "hubtool: docker stopped answering while ash was tested\n  start docker again, then run the same command\n"
    )
