"""Build once: what was built, tested and staged before is released without building, by a machine without engine."""

from __future__ import annotations

from pathlib import Path

import git
import pytest

from hubtool.reference import ImageReference
from hubtool.sandbox import deployment
from tests.commands.scratch import NO_ENGINE, NOBODY, Scratch, commit

pytestmark = pytest.mark.engine


def test_what_was_staged_is_promoted_by_the_merge_without_an_engine(scratch: Scratch) -> None:
    staged = scratch.stage()
    reference = ImageReference.parse(staged["reference"])
    assert reference.tag.startswith("fingerprint-")
    tag = scratch.write("README.md", "New words.\n")
    built = scratch.json("build", env=NO_ENGINE)
    assert (built["engine"], built["reused"]) == ("registry", True)
    assert built["reference"] == f"{reference.name}:{tag}@{staged['digest']}"
    assert scratch.run("test", "small").returncode == 0
    pushed = scratch.json("push", env=NO_ENGINE)
    assert (pushed["state"], pushed["digest"], pushed["uploaded_bytes"]) == ("promoted", staged["digest"], 0)
    assert pushed["reference"].startswith(f"{reference.name}:{tag}@")
    assert scratch.digest(tag) == staged["digest"]
    assert scratch.json("push", env=NO_ENGINE)["state"] == "unchanged"


def test_what_is_staged_has_no_release(scratch: Scratch) -> None:
    reference = ImageReference.parse(scratch.stage()["reference"])
    assert scratch.tags() == [reference.tag]


def test_another_content_is_another_image(scratch: Scratch) -> None:
    scratch.stage()
    scratch.write("content", "another")
    done = scratch.run("build", env=NO_ENGINE)
    assert done.returncode == 1
    assert "nothing to build" not in done.stderr
    assert scratch.json("build")["reused"] is False


@pytest.mark.parametrize("folder", ["image-tests", "browser-tests"])
def test_new_tests_are_run_on_what_was_there(scratch: Scratch, folder: str) -> None:
    scratch.stage()
    scratch.write(f"{folder}/test_new.py", "def test_it(): pass\n")
    built = scratch.json("build")
    assert (built["engine"], built["reused"]) == ("docker", True)


def test_what_was_not_tested_is_built_and_tested_again(scratch: Scratch) -> None:
    scratch.write("hubtool.yaml", scratch.settings.replace("none", "jupyterhub"))
    assert scratch.run("build").returncode == 0
    assert scratch.run("push", "--staged").returncode == 1
    assert scratch.run("push", "--staged", "--untested").returncode == 0
    done = scratch.run("build", "--json")
    assert "did not pass today's tests" in done.stderr
    assert '"engine": "docker"' in done.stdout


def runner(scratch: Scratch, name: str, *merged: str) -> Path:
    """A fresh checkout of main, as a workflow has it, with the branches MERGED as GitHub does for a pull request."""
    root = scratch.root.parent / name
    repo = git.Repo.clone_from(scratch.root, root)
    repo.git.checkout("--detach")
    for branch in merged:
        repo.git.execute([*f"git -C {root} -c user.name=a -c user.email=a@b.c merge --no-ff -m m".split(), branch])
    return root


def branch(scratch: Scratch, name: str, file: str, text: str) -> None:
    """A branch of main that changes FILE."""
    repo = git.Repo(scratch.root)
    repo.git.checkout("-b", name, "main")
    scratch.write(file, text)
    repo.git.checkout("main")


def squash(scratch: Scratch, name: str) -> str:
    git.Repo(scratch.root).git.merge("--squash", name)
    return commit(scratch.root)


@pytest.fixture
def deployed(scratch: Scratch) -> Path:
    """The bare deployment repository of a hub that runs the image."""
    bare = scratch.root.parent / "deployment.git"
    deployment.make_deployment(bare, scratch.reference.name, ("base",))
    where = f"{{repository: {bare}, branch: {deployment.BRANCH}, hubs: [base]}}"
    scratch.write("hubtool.yaml", f"{scratch.settings}deployment: {where}\n")
    return bare


def test_a_merge_releases_what_the_pull_request_pushed_and_moves_the_hub(scratch: Scratch, deployed: Path) -> None:
    branch(scratch, "change", "content", "changed")
    pull = runner(scratch, "pull", "origin/change")
    assert scratch.run("build", cwd=pull).returncode == 0
    assert scratch.run("test", cwd=pull).returncode == 0
    staged = scratch.json("push", "--staged", cwd=pull)
    tag = squash(scratch, "change")
    released = scratch.json("release", cwd=runner(scratch, "merged"), env=NO_ENGINE)
    assert (released["state"], released["digest"]) == ("promoted", staged["digest"])
    assert tag in (deployed / "requests" / "1.md").read_text()
    again = scratch.json("release", cwd=runner(scratch, "again"), env=NO_ENGINE)
    assert (again["state"], again["reference"]) == ("unchanged", released["reference"])


def test_a_pull_request_that_is_behind_is_built_again_only_where_the_image_is_another(scratch: Scratch) -> None:
    branch(scratch, "change", "content", "changed")
    pull = runner(scratch, "pull", "origin/change")
    assert scratch.run("build", cwd=pull).returncode == 0
    staged = scratch.json("push", "--staged", cwd=pull)
    scratch.write("README.md", "Main went on: words.\n")
    words = runner(scratch, "words", "origin/change")
    assert scratch.json("build", cwd=words, env=NO_ENGINE)["reference"].endswith(staged["digest"])
    scratch.write("more", "Main went on: a file of the image.\n")
    merged = runner(scratch, "merged", "origin/change")
    assert scratch.run("build", cwd=merged, env=NO_ENGINE).returncode == 1
    assert scratch.json("build", cwd=merged)["reused"] is False


def test_what_a_fork_builds_is_never_promoted(scratch: Scratch) -> None:
    branch(scratch, "theirs", "content", "theirs")
    fork = runner(scratch, "fork", "origin/theirs")
    login = {**NOBODY, "DOCKER_CONFIG": str(scratch.root.parent / "nothing")}
    assert scratch.run("build", cwd=fork, env=login).returncode == 0
    assert scratch.run("test", cwd=fork, env=login).returncode == 0
    refused = scratch.run("push", "--staged", cwd=fork, env=login)
    assert refused.returncode == 1
    assert "asks for a login" in refused.stderr
    squash(scratch, "theirs")
    merged = runner(scratch, "merged")
    assert scratch.run("release", "--no-bump", cwd=merged, env=NO_ENGINE).returncode == 1
    assert scratch.tags() == []
    assert scratch.json("release", "--no-bump", cwd=merged)["state"] == "pushed"
