"""The fixtures of the jupyterhub contract, for its checks and a repository's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hubtool.contracts import Settings
from hubtool.contracts.image import ImageUnderTest
from hubtool.contracts.jupyterhub.server import Server, Starts
from hubtool.engines import Engine


@pytest.fixture(scope="session", autouse=True)
def early(image: ImageUnderTest, engine: Engine, request: pytest.FixtureRequest) -> None:
    """Lets the server start while the layers are read."""
    image.prefetch()
    if engine.can_run() is None:
        request.getfixturevalue("starts")


@pytest.fixture(scope="session")
def starts(engine: Engine, settings: Settings, image: ImageUnderTest, can_run: None) -> Iterator[Starts]:
    """The image's server, started as a hub does; shared by every check that needs one."""
    both = Starts(engine, settings, image)
    try:
        yield both
    finally:
        both.remove()


@pytest.fixture(scope="session")
def container(starts: Starts) -> Server:
    """The started container, its server up. Skips where no server came up: another check says so."""
    if starts.up is None:
        pytest.skip("no server came up to ask")
    return starts.up
