"""What hubtool asks at a terminal, on a real one, and where it asks nothing."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import docker
import git
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubtool.commands.ask import read_numbers
from hubtool.reference import ImageReference
from hubtool.registries import open_client
from hubtool.sandbox import deployment
from tests.builders.conftest import write_files
from tests.commands.stacks import OURS
from tests.conftest import LocalRegistry

STACK = """\
registry: {registry}
axes: {{device: [cpu, gpu]}}
defaults:
  builder: dockerfile
  contract: none
  version: "1.0"
  tags: ["{{version}}{{-gpu}}", "new{{-gpu}}"]
images:
  low: {{base: scratch, context: low}}
  high: {{from: low, context: high, axes: [device]}}
"""
WHICH, PUSH = "which of them? as 1 3-5, or Enter for all: ", "? [y/N] "
Typed = Sequence[tuple[str, str]]


@pytest.mark.parametrize(
    ("answer", "numbers"),
    [
        ("", []),
        ("all", []),
        ("ALL", []),
        ("2", [2]),
        ("3 1", [1, 3]),
        ("1,3", [1, 3]),
        ("2-4, 3", [2, 3, 4]),
        ("4-4", [4]),
        ("0", None),
        ("5", None),
        ("3-2", None),
        ("1-999999", None),
        ("9" * 5000, None),
        ("-1", None),
        ("low", None),
        ("1 x", None),
        (",", None),
        ("1 - 3", None),
        ("\x00", None),
        ("²", None),
    ],
)
def test_the_numbers_of_an_answer_are_read(answer: str, numbers: list[int] | None) -> None:
    assert read_numbers(answer, 4) == numbers


@given(st.text(max_size=40), st.integers(1, 50))
def test_whatever_is_typed_means_numbers_of_the_list_or_nothing(answer: str, last: int) -> None:
    found = read_numbers(answer, last)
    assert found is None or (found == sorted(set(found)) and set(found) <= set(range(1, last + 1)))


@given(st.sets(st.integers(1, 50), min_size=1))
def test_numbers_that_are_typed_are_the_numbers(numbers: set[int]) -> None:
    assert read_numbers(" ".join(map(str, numbers)), 50) == sorted(numbers)


@dataclass(frozen=True)
class Team:
    """A stack of three variants, and hubtool at a terminal in it."""

    root: Path
    name: str

    def at_terminal(self, *words: str, typed: Typed = (), ci: str = "") -> tuple[int, str, str]:
        """Run hubtool, typing each answer where its question is asked; exit code, what it prints, what it says."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "hubtool", *words],
            cwd=self.root,
            env={**os.environ, "CI": ci, "GIT_CONFIG_GLOBAL": os.devnull},
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        said, answers = b"", list(typed)
        while part := _read(ours):
            said += part
            if answers and said.endswith(answers[0][0].encode()):
                os.write(ours, answers.pop(0)[1].encode())
            elif said.endswith((WHICH.encode(), PUSH.encode())):
                os.write(ours, b"\x04")  # not expected: let it end
        os.close(ours)
        assert process.stdout is not None
        printed = process.stdout.read().decode()
        assert not answers, said.decode()
        return process.wait(), printed, said.decode()

    def tags(self, image: str) -> set[str]:
        with open_client(ImageReference.parse(f"{self.name}/{image}")) as client:
            return {tag for tag in client.list_tags() if not tag.startswith(OURS)}


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # nobody has it open any more
        return b""


@pytest.fixture
def team(nobody_but_us: None, registry: LocalRegistry, docker_host: str, tmp_path: Path) -> Iterator[Team]:
    name = f"{registry.host}/{tmp_path.name.replace('_', '-').lower()}-{os.getpid()}"
    head = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n"
    write_files(
        tmp_path / "stack",
        {
            "hubtool.yaml": STACK.format(registry=name),
            "low/Dockerfile": f"{head}COPY a /a\n",
            "low/a": str(tmp_path),
            "high/Dockerfile": f"{head}COPY b /b\n",
            "high/b": str(tmp_path),
        },
    )
    deployment.commit_all(git.Repo.init(tmp_path / "stack", initial_branch="main"), "a stack")
    yield Team(tmp_path / "stack", name)
    client = docker.DockerClient(base_url=docker_host)
    for image in client.images.list(filters={"reference": f"{name}/*"}):
        for tag in image.tags:
            client.images.remove(tag, force=True)
    client.close()


@pytest.mark.engine
def test_a_person_chooses_what_is_built(team: Team) -> None:
    code, printed, said = team.at_terminal("build", typed=[(WHICH, "4\n"), (WHICH, "high\n"), (WHICH, "3\n")])
    assert code == 0, said
    # With what it is built on.
    assert printed.split() == [f"{team.name}/low:1.0", f"{team.name}/high:1.0-gpu"]
    assert said.count("numbers from 1 to 3") == 2
    assert "3  high[gpu]  " in said


@pytest.mark.engine
def test_nothing_is_pushed_before_a_person_says_yes(team: Team) -> None:
    code, printed, said = team.at_terminal("release", typed=[(WHICH, "1 2\n"), (PUSH, "\n")])
    assert (code, printed) == (0, ""), said
    assert f"{team.name}/high:1.0 and new\r\npush 4 tags? [y/N]" in said
    assert "nothing was pushed" in said
    assert team.tags("low") == team.tags("high") == set()

    code, printed, said = team.at_terminal("release", typed=[(WHICH, "\n"), (PUSH, "y\n")])
    assert code == 0, said
    assert len(printed.split()) == 3
    assert (team.tags("low"), team.tags("high")) == ({"1.0", "new"}, {"1.0", "new", "1.0-gpu", "new-gpu"})


@pytest.mark.engine
@pytest.mark.parametrize(
    ("words", "ci"), [(["build", "low", "--json"], ""), (["build"], "true"), (["release", "--yes"], "")]
)
def test_nobody_is_asked_what_is_answered(team: Team, words: list[str], ci: str) -> None:
    code, printed, said = team.at_terminal(*words, ci=ci)
    assert code == 0, said
    assert printed
    assert WHICH not in said
    assert PUSH not in said


@pytest.mark.engine
def test_with_nobody_at_the_terminal_nothing_is_asked(team: Team) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hubtool", "build"],
        cwd=team.root,
        env={**os.environ, "CI": ""},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert WHICH not in done.stderr


@pytest.mark.engine
def test_a_terminal_that_ends_is_no_answer(team: Team) -> None:
    code, printed, said = team.at_terminal("release", typed=[(WHICH, "\x04")])
    assert (code, printed) == (1, "")
    assert "hubtool: no answer" in said
    assert "--yes" in said
