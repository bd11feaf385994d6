"""known_issues of hubtool.yaml, as people meet them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands.testing.conftest import TAG, commit, hubtool, write

YAML = """\
registry: registry.example/team
images:
  small:
    contract: workstation
    profile: batch
    tests: false
    known_issues:
    - check: {check}
      reason: the next base has it
      until: {until}
"""
NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}


@pytest.mark.parametrize(
    ("check", "hint"),
    [("S99", "did you mean S9"), ("Q1", "every check: hubtool test --list"), ("R11", "every check")],
)
def test_an_issue_of_no_check_is_an_error_with_its_line(check: str, hint: str, repository: Path, image: str) -> None:
    write(repository, "hubtool.yaml", YAML.format(check=check, until="2999-01-01"))
    commit(repository)
    done = hubtool(repository, "small", "--tag", TAG)
    assert done.returncode == 1
    assert (
        f"hubtool.yaml:8: images.small.known_issues[0].check: the contract workstation batch has no check {check}"
        in (done.stderr)
    )
    assert hint in done.stderr


def test_another_contract_is_not_held_to_the_known_issues_of_the_first(repository: Path, image: str) -> None:
    write(repository, "hubtool.yaml", YAML.format(check="S1", until="2999-01-01"))
    commit(repository)
    done = hubtool(repository, "small", "--tag", TAG, "--contract", "none")
    assert done.returncode == 0, done.stderr
