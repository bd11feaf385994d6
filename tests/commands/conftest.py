"""What the tests of `hubtool push` share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import docker
import docker.errors
import pytest

from hubtool.registries import Credentials
from tests.commands.pushing import Repository
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
