"""hubtool test, as a program: images of hubtool.yaml, references, reports, and what it records."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from hubtool.plan.records import Record, read_record, write_record
from tests.commands.testing.conftest import REFERENCE, TAG, YAML, commit, hubtool, write_image_test


def test_an_image_that_passes_is_recorded_as_tested(repository: Path, image: str) -> None:
    done = hubtool(repository, "small", "--tag", TAG)
    assert done.returncode == 0, done.stderr
    assert f"{REFERENCE}: passed (1 passed" in done.stdout
    record = read_record(repository, "small")
    assert record == Record(REFERENCE, image, "docker", "none", "1 passed")


def test_a_failure_clears_the_record_and_fails_the_command(repository: Path, image: str, tmp_path: Path) -> None:
    write_record(repository, "small", Record(REFERENCE, image, "docker", "none", "1 passed", "sha256:1"))
    write_image_test(repository, "assert 1 == 2, 'one is | not two'")
    commit(repository)
    summary, junit = tmp_path / "summary.md", tmp_path / "junit.xml"
    environment = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
    done = hubtool(repository, "--tag", TAG, "--json", "--junit", str(junit), **environment)
    assert done.returncode == 1
    assert read_record(repository, "small") == Record(REFERENCE, image, "docker", None, None, "sha256:1")
    (report,) = json.loads(done.stdout[: done.stdout.rindex("]") + 1])
    assert (report["image"], report["id"], report["passed"]) == ("small", image, False)
    assert [result["outcome"] for result in report["results"]] == ["failed"]
    assert "::error " in done.stdout + done.stderr
    assert "one is &#124; not two" in summary.read_text()
    assert [case.attrib["name"] for case in ElementTree.parse(junit).iter("testcase")] == [
        "image-tests/test_it::test_it"
    ]
    assert len(list(ElementTree.parse(junit).iter("failure"))) == 1


def test_the_record_of_another_build_is_left_alone(repository: Path, image: str) -> None:
    other = Record("registry.example/team/small:v2", "sha256:" + "2" * 64, "docker", "none", "1 passed")
    write_record(repository, "small", other)
    assert hubtool(repository, "--tag", TAG).returncode == 0
    assert read_record(repository, "small") == other


def test_another_contract_than_its_own_does_not_count(repository: Path, image: str) -> None:
    (repository / "hubtool.yaml").write_text(YAML.replace("none", "jupyterhub"))
    commit(repository)
    done = hubtool(repository, "--tag", TAG, "--contract", "none")
    assert done.returncode == 0, done.stderr
    record = read_record(repository, "small")
    assert record is not None
    assert record.tested is None


def test_an_image_that_is_not_there_says_to_build_it(repository: Path, docker_host: str) -> None:
    done = hubtool(repository, "small", "--tag", "never-built")
    assert done.returncode == 1
    assert "docker has no image registry.example/team/small:never-built\n  hubtool build" in done.stderr


def test_a_reference_is_tested_without_hubtool_yaml(tmp_path: Path, image: str) -> None:
    done = hubtool(tmp_path, REFERENCE, "--contract", "none")
    assert done.returncode == 0, done.stderr
    assert f"{REFERENCE}: passed (no checks, 0 s)" in done.stdout
    assert not (tmp_path / ".hubtool" / "small.json").exists()


def test_a_reference_that_the_engine_does_not_hold_is_an_error(tmp_path: Path, docker_host: str) -> None:
    done = hubtool(tmp_path, "registry.example/none/such:1")
    assert done.returncode == 1
    assert "docker has no image registry.example/none/such:1" in done.stderr


def test_the_checks_are_listed_with_what_they_promise(tmp_path: Path) -> None:
    done = hubtool(tmp_path, "--list", DOCKER_HOST="unix:///nowhere")
    assert done.returncode == 0
    assert "jupyterhub J1  It does not run as root" in done.stdout
    listed = json.loads(hubtool(tmp_path, "--list", "--json").stdout)
    assert {"contract", "check", "promise", "breaks", "mend", "profiles"} == set(listed[0])


def test_the_checks_of_one_profile_are_listed(tmp_path: Path) -> None:
    done = hubtool(tmp_path, "--list", "--contract", "workstation", "--profile", "batch", "--json")
    checks = {item["check"]: item["profiles"] for item in json.loads(done.stdout)}
    assert checks["R7"] == ["batch"]
    assert checks["S1"] == []
    assert "R11" not in checks
    assert "add --contract NAME" in hubtool(tmp_path, "--list", "--profile", "batch").stderr


BAD = [
    (("--contract", "jupiter"), "no contract called 'jupiter'"),
    (("small", "--junit", "no/such/folder/x.xml"), "no folder no/such/folder"),
    ((), "no hubtool.yaml in"),
    (("no-such-image",), "no-such-image"),
]


@pytest.mark.parametrize(("words", "said"), BAD)
def test_bad_input_is_one_clear_error(words: tuple[str, ...], said: str, tmp_path: Path, docker_host: str) -> None:
    done = hubtool(tmp_path, *words)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_no_engine_is_one_clear_error(repository: Path) -> None:
    done = hubtool(repository, "small", DOCKER_HOST="unix:///nowhere/docker.sock")
    assert done.returncode == 1
    assert "Docker does not answer" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path: Path, image: str) -> None:
    (tmp_path / ".hubtool").write_text("in the way")
    done = hubtool(tmp_path, REFERENCE, "--contract", "none")
    assert done.returncode == 1
    assert "no logs can be kept in" in done.stderr
