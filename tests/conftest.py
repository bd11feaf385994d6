"""Real parts that many tests share: a Docker daemon, a base image, a registry with users."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from hubtool.engines import get_engine
from hubtool.sandbox import base_image as sandbox_base
from hubtool.sandbox import dockerd
from hubtool.sandbox.parts import cache_folder
from hubtool.sandbox.registry import local_registry

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As a shell's background job; the programs under test would inherit it, and no Ctrl-C would reach them.
    signal.signal(signal.SIGINT, signal.default_int_handler)


# What builds the same images is in one process, with one daemon; these first, since they take longest.
TOGETHER = {
    "workstation": ("tests/contracts/workstation", "tests/templates/test_workstation.py"),
    "jupyterhub": ("tests/contracts/jupyterhub",),
    "onyxia": ("tests/contracts/onyxia", "tests/templates/test_onyxia_ide.py", "tests/templates/test_image_stack.py"),
    "coder": ("tests/contracts/coder", "tests/templates/test_coder_nix_images.py"),
    "dask": ("tests/commands/test_dask.py",),
    "release": ("tests/commands/test_release.py",),
    "demo": ("tests/commands/test_demo.py",),
}


def group_of(file: str) -> str:
    """What FILE, relative to the project, is together with: itself where nothing is said."""
    return next((name for name, places in TOGETHER.items() if file.startswith(places)), file)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {name: number for number, name in enumerate(TOGETHER)}
    items.sort(key=lambda item: order.get(group_of(item.nodeid.partition("::")[0]), len(order)))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """One that gives each group to one process."""
    return _Together(config, log)


class _Together(LoadScopeScheduling):  # type: ignore[misc]
    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid.partition("::")[0])


@dataclass(frozen=True)
class LocalRegistry:
    """A registry on loopback that wants a user and password; ``host`` is host:port."""

    host: str
    username: str
    password: str


@pytest.fixture(scope="session")
def cache_dir() -> Path:
    """Where what is slow to make stays from run to run."""
    path = Path(os.environ.get("HUBTOOL_TEST_CACHE", cache_folder()))
    path.mkdir(parents=True, exist_ok=True)
    return path


@pytest.fixture(scope="session")
def ca_bundle() -> Path | None:
    """The certificate bundle that this machine trusts, where the environment names one."""
    named = os.environ.get("SSL_CERT_FILE")
    return Path(named) if named and Path(named).is_file() else None


@pytest.fixture(scope="session")
def docker_host(cache_dir: Path) -> Iterator[str]:
    """The DOCKER_HOST of a real daemon: the one that runs, else one of our own for this session."""
    if dockerd.answers():
        yield os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
        return
    before = os.environ.get("DOCKER_HOST")
    with dockerd.private_dockerd(cache_dir / "docker") as host:
        os.environ["DOCKER_HOST"] = host
        yield host
    if before is None:
        del os.environ["DOCKER_HOST"]
    else:
        os.environ["DOCKER_HOST"] = before


@pytest.fixture(scope="session")
def base_image(docker_host: str, cache_dir: Path) -> str:
    """The tag of a Debian image with Python 3.11, git and certificates, in the daemon of docker_host."""
    return sandbox_base.base_image(get_engine("docker"), cache_dir / "base")


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRegistry]:
    """A real registry with one user."""
    username, password = "hubtool", secrets.token_urlsafe(12)
    line = f"{username}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds=4)).decode()}\n"
    with local_registry(tmp_path_factory.mktemp("registry"), htpasswd=line) as host:
        yield LocalRegistry(host, username, password)
