"""A stack built by two Dask workers, each with an engine of its own and the registry between them."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hubtool.sandbox import dockerd
from tests.commands.dask_cluster import Cluster, cluster
from tests.commands.stacks import VARIANTS, Stack
from tests.conftest import LocalRegistry

pytestmark = [pytest.mark.engine, pytest.mark.slow]


@pytest.fixture(scope="module")
def second_host(docker_host: str, cache_dir: Path) -> Iterator[str]:
    """The DOCKER_HOST of another daemon."""
    with dockerd.private_dockerd(cache_dir / "docker-of-another") as host:
        yield host


@pytest.fixture(scope="module")
def login(registry: LocalRegistry, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DOCKER_CONFIG as `docker login` leaves it."""
    auth = base64.b64encode(f"{registry.username}:{registry.password}".encode()).decode()
    folder = tmp_path_factory.mktemp("docker")
    (folder / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": auth}}}))
    return folder


@pytest.fixture
def workers(docker_host: str, second_host: str, login: Path, tmp_path: Path) -> Iterator[Cluster]:
    """Two workers, one and two."""
    environment = {"DOCKER_CONFIG": str(login), "HUBTOOL_ENGINE": "docker"}
    with cluster(tmp_path) as found:
        found.add("one", {**environment, "DOCKER_HOST": docker_host, "HOLD": "0"})
        found.add("two", {**environment, "DOCKER_HOST": second_host, "HOLD": "600"})
        yield found


@pytest.fixture
def stack(registry: LocalRegistry, login: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """A stack on a machine that has no engine."""
    monkeypatch.setenv("DOCKER_CONFIG", str(login))
    environment = {**os.environ, "DOCKER_HOST": "unix:///nowhere.sock", "GIT_CONFIG_GLOBAL": os.devnull}
    return Stack(tmp_path / "stack", f"{registry.host}/{tmp_path.name.replace('_', '-').lower()}", environment)


def test_two_workers_build_a_stack(stack: Stack, workers: Cluster) -> None:
    stack.write()
    done = stack.run("release", "--scheduler", workers.address)
    print(done.stderr)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(VARIANTS)
