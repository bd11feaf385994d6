"""The fixtures of the jupyterhub contract, for its checks and a repository's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hubtool.contracts import Settings
from hubtool.contracts.early import start_early
from hubtool.contracts.image import ImageUnderTest
from hubtool.contracts.jupyterhub.server import Server, Starts
from hubtool.contracts.jupyterhub.spawned import COMMAND, Spawned
from hubtool.engines import Engine
from hubtool.process import Completed

PROGRAM_SECONDS = 60


@pytest.fixture(scope="session", autouse=True)
def early(image: ImageUnderTest, engine: Engine, request: pytest.FixtureRequest) -> None:
    """Lets the servers that checks ask for start while the layers are read."""
    start_early(request, image, engine, "starts", "spawned")


@pytest.fixture(scope="session")
def starts(engine: Engine, settings: Settings, image: ImageUnderTest, can_run: None) -> Iterator[Starts]:
    """The image's server, started as a hub does; shared by every check that needs one."""
    both = Starts(engine, settings, image)
    try:
        yield both
    finally:
        both.remove()


@pytest.fixture(scope="session")
def spawned(engine: Engine, settings: Settings, image: ImageUnderTest, can_run: None) -> Iterator[Spawned]:
    """The image's single-user server, spawned as by a hub of JupyterHub; not yet waited for."""
    server = Spawned(engine, settings, image.likely_home)
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def version(starts: Starts) -> Completed | None:
    """What ``jupyterhub-singleuser --version`` says; None where there is no container to ask, as other checks say."""
    if starts.up is None:
        return None
    return starts.up.container.exec([COMMAND, "--version"], timeout=PROGRAM_SECONDS)


@pytest.fixture(scope="session")
def container(starts: Starts) -> Server:
    """The started container, its server up. Skips where no server came up: another check says so."""
    if starts.up is None:
        pytest.skip("no server came up to ask")
    return starts.up
