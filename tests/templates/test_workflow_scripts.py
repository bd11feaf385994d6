"""What the scripts in this project's workflows do, run as they are."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.templates.workflows import OURS, read, script_of


@pytest.mark.parametrize(("push", "writes"), [("true", True), ("false", False), ("", False)])
def test_only_who_may_push_writes_the_build_cache(tmp_path: Path, push: str, writes: bool) -> None:
    said = ran(tmp_path, script_of("image-test.yaml", "build", "Build"), PUSH=push, CACHE="")
    assert said == "build --root image" + (" --cache-write" if writes else "")


@pytest.mark.parametrize(("rebuild", "words"), [("true", " --rebuild"), ("false", "")])
def test_a_release_by_hand_may_build_again(tmp_path: Path, rebuild: str, words: str) -> None:
    said = ran(tmp_path, script_of("image-release.yaml", "release", "Build"), REBUILD=rebuild, CACHE="r.io/a/c")
    assert said == f"build --root image --cache-write --cache r.io/a/c{words}"


def ran(folder: Path, script: str, **env: str) -> str:
    """The words that SCRIPT gives to hubtool."""
    (folder / "hubtool").write_text('#!/bin/sh\necho "$@"\n')
    (folder / "hubtool").chmod(0o755)
    env = {"PATH": f"{folder}:{os.environ['PATH']}", **env}
    done = subprocess.run(["bash", "-eo", "pipefail", "-c", script], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def git(root: Path, *words: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *identity, *words], cwd=root, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """A repository with one commit on main, and a branch called change."""
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    for name in ("environment.yml", "README.md", "docs/guide.md", "images/logo.png", "images/base/Dockerfile"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("one\n")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "one")
    git(root, "checkout", "-q", "-b", "change")
    return root


def decides(root: Path, workflow: str, **env: str) -> str:
    """What the step that looks for changes puts out."""
    output = root.parent / "output"
    output.write_text("")
    script = script_of(workflow, "changes", "Look for changes to more than documentation")
    done = subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=root,
        env={"PATH": os.environ["PATH"], "GITHUB_OUTPUT": str(output), **env},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return output.read_text().strip()


CHANGES = [
    (["README.md"], "false"),
    (["docs/guide.md", "images/logo.png", "a/b/c.md", "LICENSE", ".github/CODEOWNERS"], "false"),
    (["environment.yml"], "true"),
    (["README.md", "environment.yml"], "true"),
    (["images/base/Dockerfile"], "true"),
    ([".github/workflows/test.yaml"], "true"),
    (["name with space.txt"], "true"),
    (["$(touch hacked).md"], "false"),
]


@pytest.mark.parametrize(("changed", "build"), CHANGES)
def test_a_pull_request_of_documentation_alone_builds_nothing(history: Path, changed: list[str], build: str) -> None:
    change(history, changed)
    git(history, "checkout", "-q", "main")
    git(history, "merge", "-q", "--no-ff", "-m", "merge", "change")
    assert decides(history, "image-test.yaml", EVENT="pull_request") == f"build={build}"
    assert not (history / "hacked").exists()


@pytest.mark.parametrize(("changed", "build"), CHANGES)
def test_a_merge_of_documentation_alone_releases_nothing(history: Path, changed: list[str], build: str) -> None:
    before = git(history, "rev-parse", "HEAD").strip()
    change(history, changed)
    change(history, ["docs/more.md"])
    assert decides(history, "image-release.yaml", EVENT="push", BEFORE=before) == f"build={build}"


def change(root: Path, names: list[str]) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("two\n")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "two")


@pytest.mark.parametrize("before", ["0" * 40, "", "f" * 40, "--upload-pack=touch hacked"])
def test_without_a_commit_to_compare_with_it_releases(history: Path, before: str) -> None:
    assert decides(history, "image-release.yaml", EVENT="push", BEFORE=before) == "build=true"
    assert decides(history, "image-release.yaml", EVENT="workflow_dispatch", BEFORE=before) == "build=true"
    assert decides(history, "image-test.yaml", EVENT="workflow_dispatch") == "build=true"


REPORTS = [
    # changes, wanted, build, and that on one runner (stacks); green
    ("success", "true", "success", "skipped", True),
    ("success", "false", "skipped", "skipped", True),
    ("success", "true", "skipped", "skipped", False),
    ("success", "true", "failure", "skipped", False),
    ("success", "true", "cancelled", "skipped", False),
    ("success", "false", "failure", "skipped", False),
    ("failure", "", "skipped", "skipped", False),
    ("cancelled", "", "skipped", "skipped", False),
]
OF_FORKS = [
    ("success", "true", "skipped", "success", True),
    ("success", "true", "skipped", "failure", False),
    ("success", "true", "failure", "success", False),
    ("success", "true", "skipped", "cancelled", False),
]


@pytest.mark.parametrize(
    ("workflow", "report"),
    [("image-test.yaml", one) for one in REPORTS] + [("stack-test.yaml", one) for one in REPORTS + OF_FORKS],
)
def test_the_required_check_is_green_only_when_the_image_is(
    workflow: str, report: tuple[str, str, str, str, bool]
) -> None:
    changes, wanted, build, whole, green = report
    job = read(OURS / workflow)["jobs"]["image"]
    assert job["if"] == "always()"
    assert job["needs"] == ["changes", "build", *(["whole"] if workflow == "stack-test.yaml" else [])]
    env = {"PATH": os.environ["PATH"], "CHANGES": changes, "WANTED": wanted, "BUILD": build, "WHOLE": whole}
    done = subprocess.run(["bash", "-e", "-c", script_of(workflow, "image", "Report")], env=env)
    assert (done.returncode == 0) == green
