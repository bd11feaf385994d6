"""The whole line with real parts: a generated repository, Docker, a registry with users, a git remote."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import git
import httpx
import pytest

from hubtool.sandbox import deployment
from tests.conftest import LocalRegistry
from tests.contracts.every import long

IMAGE = "base-user-image"
Hubtool = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def hubtool(registry: LocalRegistry, docker_host: str, ca_bundle: Path | None, tmp_path: Path) -> Hubtool:
    """Runs the program, logged in at the registry."""
    environment = {
        **os.environ,
        "DOCKER_HOST": docker_host,
        "DOCKER_CONFIG": str(tmp_path / "no-docker-config"),
        "HUBTOOL_REGISTRY_USERNAME": registry.username,
        "HUBTOOL_REGISTRY_PASSWORD": registry.password,
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    if ca_bundle:
        environment["HUBTOOL_CA_BUNDLE"] = str(ca_bundle)

    def run(*words: str, cwd: Path, **changes: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "hubtool", *words]
        return subprocess.run(
            argv, capture_output=True, text=True, cwd=cwd, env={**environment, **changes}, check=False, timeout=560
        )

    return run


def commit(folder: Path, message: str) -> str:
    repo = git.Repo.init(folder, initial_branch="main")
    deployment.commit_all(repo, message)
    return repo.head.commit.hexsha[:12]


def generated(tmp_path: Path, hubtool: Hubtool, registry: LocalRegistry, base_image: str, bare: Path) -> Path:
    """A repository as `hubtool new` writes it, on the base image of this machine."""
    answers = {
        "registry": f"{registry.host}/user-images",
        "environment": "uv",
        "python_version": "3.11",
        "base_image": base_image,
        "hub_name": "base",
        "deployment_repository": str(bare),
    }
    settings = [word for key, value in answers.items() for word in ("--set", f"{key}={value}")]
    done = hubtool("new", "--no-input", *settings, IMAGE, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return tmp_path / IMAGE


def requests(bare: Path) -> list[str]:
    return sorted(path.name for path in (bare / "requests").glob("*.md"))


@pytest.mark.engine
@pytest.mark.slow
@long
def test_a_generated_repository_goes_the_whole_line_and_then_has_nothing_to_do(
    tmp_path: Path, hubtool: Hubtool, registry: LocalRegistry, base_image: str
) -> None:
    bare = tmp_path / "deployment.git"
    deployment.make_deployment(bare, f"{registry.host}/user-images/{IMAGE}", ("base", "other"))
    root = generated(tmp_path, hubtool, registry, base_image, bare)
    tag = commit(root, "A hub's image")
    git.Repo(root).create_remote("origin", "https://github.com/my-org/base-user-image.git")

    done = hubtool("release", "--json", cwd=root)
    assert done.returncode == 0, done.stderr
    data: dict[str, Any] = json.loads(done.stdout)
    reference = f"{registry.host}/user-images/{IMAGE}:{tag}"
    (release,) = data["releases"]
    assert release["state"] == "pushed"
    assert re.fullmatch(re.escape(reference) + "@sha256:[0-9a-f]{64}", release["reference"])
    auth = (registry.username, registry.password)
    manifest = httpx.get(
        f"http://{registry.host}/v2/user-images/{IMAGE}/manifests/{tag}",
        auth=auth,
        headers={"Accept": "application/vnd.oci.image.manifest.v1+json"},
        trust_env=False,
    )
    assert manifest.headers["Docker-Content-Digest"] == release["digest"]
    assert only_the_hubs_tag_moved(bare, "base", tag) == 2
    assert requests(bare) == ["1.md"]
    page = (bare / "requests" / "1.md").read_text()
    assert deployment.PLACEHOLDER in page
    assert tag in page

    again = hubtool("release", "--json", cwd=root)
    assert again.returncode == 0, again.stderr
    data = json.loads(again.stdout)
    assert data["releases"][0]["state"] == "unchanged"
    assert data["releases"][0]["uploaded_bytes"] == 0
    assert data["bumps"][0]["request"]["state"] == "unchanged"
    assert requests(bare) == ["1.md"]


def only_the_hubs_tag_moved(bare: Path, hub: str, tag: str) -> int:
    """How many lines the request changes; each must be a pin of HUB that now has TAG."""
    diff = git.Repo(bare).git.diff(deployment.BRANCH, "refs/requests/1/head", unified=0)
    files = re.findall(r"^\+\+\+ b/(.*)$", diff, re.M)
    assert all(file.startswith(f"deployments/{hub}/") for file in files)
    old = re.findall(r"^-(?!--)(.*)$", diff, re.M)
    new = re.findall(r"^\+(?!\+\+)(.*)$", diff, re.M)
    assert [line.replace(deployment.PLACEHOLDER, tag) for line in old] == new
    return len(new)


@pytest.fixture
def small(tmp_path: Path, registry: LocalRegistry, base_image: str) -> Path:
    """An image repository that builds in a second: a Dockerfile, no contract, one hub."""
    bare = tmp_path / "deployment.git"
    deployment.make_deployment(bare, f"{registry.host}/small/{tmp_path.name}/tiny".lower(), ("base",))
    root = tmp_path / "tiny"
    root.mkdir()
    (root / "Dockerfile").write_text(f"FROM {base_image}\nRUN echo {tmp_path} > /made\n")
    (root / "hubtool.yaml").write_text(
        f"registry: {registry.host}/small/{tmp_path.name}\n".lower()
        + "images: {tiny: {contract: none}}\n"
        + f"deployment: {{repository: {bare}, branch: {deployment.BRANCH}, hubs: [base]}}\n"
    )
    commit(root, "first")
    return root


@pytest.mark.engine
def test_a_new_commit_refreshes_the_one_request(small: Path, hubtool: Hubtool) -> None:
    bare = small.parent / "deployment.git"
    first = hubtool("release", cwd=small)
    assert first.returncode == 0, first.stderr
    (small / "Dockerfile").open("a").write("RUN echo more >> /made\n")
    tag = commit(small, "second")
    second = hubtool("release", cwd=small)
    assert second.returncode == 0, second.stderr
    assert requests(bare) == ["1.md"]
    assert only_the_hubs_tag_moved(bare, "base", tag) == 2


@pytest.mark.engine
def test_a_dry_run_publishes_nothing(small: Path, hubtool: Hubtool, registry: LocalRegistry) -> None:
    done = hubtool("release", "--dry-run", cwd=small)
    assert done.returncode == 0, done.stderr
    auth = (registry.username, registry.password)
    tags = httpx.get(
        f"http://{registry.host}/v2/small/{small.parent.name}/tiny/tags/list".lower(), auth=auth, trust_env=False
    )
    assert tags.status_code == 404
    assert not (small.parent / "deployment.git" / "requests").exists()


@pytest.mark.engine
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"HUBTOOL_REGISTRY_PASSWORD": "not-it"}, "did not take the credentials"),
        ({"HUBTOOL_DEPLOYMENT": "/nowhere/at-all.git"}, "/nowhere/at-all.git"),
        ({"HUBTOOL_ENGINE": "containerd"}, "no engine called 'containerd'"),
    ],
)
def test_what_the_release_ends_with_is_asked_before_the_build(
    small: Path, hubtool: Hubtool, changes: dict[str, str], expected: str
) -> None:
    done = hubtool("release", cwd=small, **changes)
    assert done.returncode == 1
    assert expected in done.stderr
    assert "not-it" not in done.stderr
    assert "building" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.engine
def test_an_image_that_does_not_pass_is_not_pushed(small: Path, hubtool: Hubtool, registry: LocalRegistry) -> None:
    text = (small / "hubtool.yaml").read_text().replace("contract: none", "contract: jupyterhub, start_seconds: 5")
    (small / "hubtool.yaml").write_text(text)
    commit(small, "held against the contract")
    done = hubtool("release", cwd=small)
    assert done.returncode == 1
    assert "not passed: tiny" in done.stderr
    pushed = hubtool("push", cwd=small)
    assert pushed.returncode == 1
    assert "hubtool test" in pushed.stderr
