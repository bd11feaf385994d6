"""Image repositories that several tests share."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import docker
import docker.errors
import git
import pytest

from hubtool.registries import Credentials
from tests.builders.conftest import write_files
from tests.commands.pushing import Repository
from tests.commands.scratch import Scratch
from tests.commands.stacks import Stack
from tests.conftest import LocalRegistry
from tests.registries import front as fronts
from tests.registries.front import Front
from tests.registries.parts import fresh_reference


@pytest.fixture
def nobody_but_us(
    registry: LocalRegistry, docker_host: str, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path_factory.mktemp("docker-config")))
    monkeypatch.setenv("DOCKER_HOST", docker_host)
    monkeypatch.setenv("HUBTOOL_ENGINE", "docker")
    monkeypatch.setenv("HUBTOOL_REGISTRY_USERNAME", registry.username)
    monkeypatch.setenv("HUBTOOL_REGISTRY_PASSWORD", registry.password)
    for name in ("HUBTOOL_REGISTRY", "GITHUB_ACTIONS", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def front(registry: LocalRegistry) -> Iterator[Front]:
    with fronts.front(registry.host) as server:
        yield server


@pytest.fixture
def repository(nobody_but_us: None, front: Front, docker_host: str, tmp_path: Path) -> Iterator[Repository]:
    client = docker.DockerClient(base_url=docker_host)
    root = tmp_path / "repository"
    root.mkdir()
    made = Repository(root, front.host, client, fresh_reference(front.host).repository + f"-{os.getpid()}")
    made.write()
    yield made
    for tag in made.made:
        with suppress(docker.errors.ImageNotFound):
            client.images.remove(tag, force=True)
    client.close()


@pytest.fixture
def login(registry: LocalRegistry) -> Credentials:
    return Credentials(registry.username, registry.password)


@pytest.fixture
def scratch(registry: LocalRegistry, docker_host: str, front: Front, login: Credentials, tmp_path: Path) -> Scratch:
    """A tiny image repository; its registry is seen through ``front``, and docker is logged in there."""
    root, docker_config = tmp_path / "image", tmp_path / "docker-config"
    root.mkdir()
    docker_config.mkdir()
    auths = {front.host: {"auth": login.basic().removeprefix("Basic ")}}
    (docker_config / "config.json").write_text(json.dumps({"auths": auths}))
    environment = {
        "DOCKER_HOST": docker_host,
        "DOCKER_CONFIG": str(docker_config),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "HUBTOOL_REGISTRY_USERNAME": registry.username,
        "HUBTOOL_REGISTRY_PASSWORD": registry.password,
        "HUBTOOL_CA_BUNDLE": "",
        "HUBTOOL_ENGINE": "docker",
        **dict.fromkeys(("GITHUB_ACTIONS", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "HUBTOOL_REGISTRY"), ""),
    }
    name = fresh_reference(front.host).name
    git.Repo.init(root, initial_branch="main")
    made = Scratch(root, environment, login)
    (root / "hubtool.yaml").write_text(f"registry: {name}\nimages: {{small: {{contract: none}}}}\n")
    (root / "Dockerfile").write_text("FROM scratch\nCOPY content /\n")
    made.write("content", str(tmp_path))
    return made


@pytest.fixture
def stack(
    registry: LocalRegistry, docker_host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stack]:
    # As `docker login` leaves it: the engine pulls parents with it, too.
    auth = base64.b64encode(f"{registry.username}:{registry.password}".encode()).decode()
    write_files(tmp_path / "docker", {"config.json": json.dumps({"auths": {registry.host: {"auth": auth}}})})
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    environment = {**os.environ, "DOCKER_HOST": docker_host, "GIT_CONFIG_GLOBAL": os.devnull}
    found = Stack(tmp_path / "stack", f"{registry.host}/{tmp_path.name.replace('_', '-').lower()}", environment)
    yield found
    client = docker.from_env()
    for image in client.images.list(filters={"reference": f"{found.host}/stack/*"}):
        client.images.remove(image.tags[0], force=True)
    client.close()
