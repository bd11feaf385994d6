"""Build once: what was built, tested and staged before is released without building, by a machine without engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import git
import pytest

from hubtool.reference import ImageReference
from hubtool.registries import Credentials
from hubtool.sandbox import deployment
from tests.conftest import LocalRegistry
from tests.registries.parts import client_for

pytestmark = pytest.mark.engine
NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere.sock", "HUBTOOL_ENGINE": "docker"}
Hubtool = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def root(tmp_path: Path, registry: LocalRegistry) -> Path:
    """An image repository whose one image stands on nothing."""
    (tmp_path / "hubtool.yaml").write_text(
        f"registry: {registry.host}/{tmp_path.name.replace('_', '-')}\nimages: {{small: {{contract: none}}}}\n"
    )
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY content /\n")
    (tmp_path / "content").write_text(str(tmp_path))
    git.Repo.init(tmp_path, initial_branch="main")
    commit(tmp_path)
    return tmp_path


@pytest.fixture
def hubtool(registry: LocalRegistry, docker_host: str, root: Path) -> Hubtool:
    environment = {
        **os.environ,
        "DOCKER_HOST": docker_host,
        "DOCKER_CONFIG": str(root.parent / "no-docker-config"),
        "HUBTOOL_REGISTRY_USERNAME": registry.username,
        "HUBTOOL_REGISTRY_PASSWORD": registry.password,
        "HUBTOOL_CA_BUNDLE": "",
    }

    def run(*words: str, **changes: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "hubtool", *words]
        return subprocess.run(
            argv, capture_output=True, text=True, cwd=root, env={**environment, **changes}, timeout=300, check=False
        )

    return run


def commit(root: Path) -> str:
    repo = git.Repo(root)
    deployment.commit_all(repo, "x")
    return str(repo.head.commit.hexsha[:12])


def data_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)[0]
    return found


def stage(hubtool: Hubtool) -> dict[str, Any]:
    assert hubtool("build").returncode == 0
    return data_of(hubtool("push", "--staged", "--json"))


def test_what_was_staged_is_promoted_by_the_merge_without_an_engine(
    hubtool: Hubtool, root: Path, registry: LocalRegistry
) -> None:
    staged = stage(hubtool)
    reference = ImageReference.parse(staged["reference"])
    assert reference.tag.startswith("fingerprint-")
    (root / "README.md").write_text("New words.\n")
    tag = commit(root)
    started = time.monotonic()
    built = data_of(hubtool("build", "--json", **NO_ENGINE))
    assert (built["engine"], built["reused"]) == ("registry", True)
    assert built["reference"] == f"{reference.name}:{tag}@{staged['digest']}"
    assert hubtool("test", "small").returncode == 0
    pushed = data_of(hubtool("push", "--json", **NO_ENGINE))
    assert (pushed["state"], pushed["digest"], pushed["uploaded_bytes"]) == ("promoted", staged["digest"], 0)
    assert pushed["reference"].startswith(f"{reference.name}:{tag}@")
    assert time.monotonic() - started < 60
    with client_for(reference, Credentials(registry.username, registry.password)) as client:
        found = client.head_manifest(tag)
        assert found is not None
        assert found.digest == staged["digest"]
    assert data_of(hubtool("push", "--json", **NO_ENGINE))["state"] == "unchanged"


def test_what_is_staged_has_no_release(hubtool: Hubtool, root: Path, registry: LocalRegistry) -> None:
    reference = ImageReference.parse(stage(hubtool)["reference"])
    with client_for(reference, Credentials(registry.username, registry.password)) as client:
        assert [tag for tag in client.list_tags() if not tag.startswith("sha256-")] == [reference.tag]


def test_another_content_is_another_image(hubtool: Hubtool, root: Path) -> None:
    stage(hubtool)
    (root / "content").write_text("another")
    commit(root)
    done = hubtool("build", **NO_ENGINE)
    assert done.returncode == 1
    assert "nothing to build" not in done.stderr
    assert data_of(hubtool("build", "--json"))["reused"] is False


@pytest.mark.parametrize("folder", ["image-tests", "browser-tests"])
def test_new_tests_are_run_on_what_was_there(hubtool: Hubtool, root: Path, folder: str) -> None:
    stage(hubtool)
    (root / folder).mkdir()
    (root / folder / "test_new.py").write_text("def test_it(): pass\n")
    commit(root)
    built = data_of(hubtool("build", "--json"))
    assert (built["engine"], built["reused"]) == ("docker", True)


def test_rebuild_builds_what_is_there(hubtool: Hubtool) -> None:
    stage(hubtool)
    assert data_of(hubtool("build", "--json"))["engine"] == "registry"
    assert data_of(hubtool("build", "--json", "--rebuild"))["engine"] == "docker"


def test_what_was_not_tested_is_built_and_tested_again(hubtool: Hubtool, root: Path) -> None:
    file = root / "hubtool.yaml"
    file.write_text(file.read_text().replace("none", "jupyterhub"))
    commit(root)
    assert hubtool("build").returncode == 0
    assert hubtool("push", "--staged").returncode == 1
    assert hubtool("push", "--staged", "--untested").returncode == 0
    done = hubtool("build", "--json")
    assert "did not pass today's tests" in done.stderr
    assert data_of(done)["engine"] == "docker"
