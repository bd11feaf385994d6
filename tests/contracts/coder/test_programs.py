"""The programs that are made here: run on this machine and, where qemu-user is installed, as those of another."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hubtool.contracts.coder import programs
from hubtool.contracts.coder.machine import MACHINES
from hubtool.contracts.coder.needs import interpreter_of
from hubtool.machine import architecture_of

NATIVE = architecture_of()
EMULATORS = {"amd64": "qemu-x86_64-static", "arm64": "qemu-aarch64-static"}


@pytest.fixture(params=MACHINES)
def machine(request: pytest.FixtureRequest) -> str:
    """A kind of machine whose static programs can be run here."""
    name = str(request.param)
    if name != NATIVE and shutil.which(EMULATORS[name]) is None:
        pytest.skip(f"{EMULATORS[name]} is not installed")
    return name


def command(machine: str, path: Path, content: bytes) -> list[str]:
    """What runs the program CONTENT for MACHINE, kept at PATH."""
    path.write_bytes(content)
    path.chmod(0o755)
    return [str(path)] if machine == NATIVE else [EMULATORS[machine], str(path)]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def lines_of_agent(machine: str, home: Path) -> Iterator[str]:
    """What an agent with HOME says until it waits."""
    argv = command(machine, home.parent / "agent", programs.agent(machine, str(home)))
    with subprocess.Popen([*argv, "agent"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield line.rstrip("\n")
            if line.startswith(programs.WAITING):
                assert process.poll() is None
                break
        process.kill()


def test_the_agent_says_that_it_is_coders(machine: str, tmp_path: Path) -> None:
    argv = command(machine, tmp_path / "agent", programs.agent(machine, "/"))
    done = subprocess.run([*argv, "--version"], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout.split()[0], done.stderr) == (0, "Coder,", "")


def test_the_agent_tells_its_uid_and_an_empty_home_and_leaves_it_empty(machine: str, home: Path) -> None:
    said = list(lines_of_agent(machine, home))
    uid = os.getuid()
    assert f"Uid:\t{uid}\t{uid}\t{uid}\t{uid}" in said
    assert said[-3:] == [programs.HOME_EMPTY, programs.WRITABLE, programs.WAITING]
    assert list(home.iterdir()) == []


def test_the_agent_tells_files_in_its_home(machine: str, home: Path) -> None:
    (home / "a").touch()
    assert list(lines_of_agent(machine, home))[-3:] == [programs.HOME_FULL, programs.WRITABLE, programs.WAITING]


def test_the_agent_tells_a_home_that_is_not_there(machine: str, home: Path) -> None:
    home.rmdir()
    assert list(lines_of_agent(machine, home))[-3:] == [programs.HOME_SHUT, programs.NOT_WRITABLE, programs.WAITING]


LINKED = {
    "glibc": lambda machine: programs.glibc_program(machine),
    "cxx": lambda machine: programs.cxx_program(machine),
    "names": lambda machine: programs.names_program(machine, 0),
    "locale": lambda machine: programs.locale_program(machine),
}


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("name", LINKED)
def test_a_linked_program_names_the_loader_that_the_contract_asks_for(machine: str, name: str) -> None:
    assert interpreter_of(LINKED[name](machine)) == MACHINES[machine].interpreter


def test_a_static_program_names_no_loader() -> None:
    assert interpreter_of(programs.agent("amd64", "/home/coder")) is None


native = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or NATIVE not in MACHINES, reason="glibc does not run here"
)


def said_by(tmp_path: Path, content: bytes, **environment: str) -> str:
    argv = command(NATIVE, tmp_path / "program", content)
    done = subprocess.run(argv, capture_output=True, text=True, env=environment, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@native
def test_a_program_for_glibc_prints_its_version(tmp_path: Path) -> None:
    assert said_by(tmp_path, programs.glibc_program(NATIVE)) == platform.libc_ver()[1] + "\n"


@native
def test_a_program_for_libstdcxx_ends_well(tmp_path: Path) -> None:
    assert said_by(tmp_path, programs.cxx_program(NATIVE)) == ""


@native
def test_names_are_looked_up(tmp_path: Path) -> None:
    assert said_by(tmp_path, programs.names_program(NATIVE, 0)) == "root\n"
    assert said_by(tmp_path, programs.names_program(NATIVE, 987_654)) == f"{programs.NOBODY}\n"


@native
def test_a_locale_is_looked_up(tmp_path: Path) -> None:
    assert said_by(tmp_path, programs.locale_program(NATIVE), LC_ALL="C") == ""
    assert said_by(tmp_path, programs.locale_program(NATIVE), LC_ALL="xx_XX.UTF-8") == f"{programs.NO_LOCALE}\n"
