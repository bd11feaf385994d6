"""The fixtures of the onyxia contract, for its checks and a repository's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from hubtool.contracts import Settings
from hubtool.contracts.early import start_early
from hubtool.contracts.image import ImageUnderTest
from hubtool.contracts.onyxia.ide import Platform
from hubtool.contracts.onyxia.injected import Injected
from hubtool.contracts.onyxia.service import Service, Starts
from hubtool.engines import Engine


@pytest.fixture(scope="session", autouse=True)
def early(image: ImageUnderTest, engine: Engine, request: pytest.FixtureRequest) -> None:
    """Lets the IDEs start while the layers are read."""
    start_early(request, image, engine, "starts", "injected")


@pytest.fixture(scope="session")
def platform(settings: Settings) -> Platform:
    """How the site's chart starts the image."""
    return Platform(settings)


@pytest.fixture(scope="session")
def starts(engine: Engine, platform: Platform, can_run: None) -> Iterator[Starts]:
    """The image's IDE, started as the chart does and as ``docker run`` does."""
    with ExitStack() as stack:
        yield Starts(engine, platform, stack)


@pytest.fixture(scope="session")
def injected(engine: Engine, platform: Platform, starts: Starts) -> Iterator[Injected]:
    """The image started with the variables that Onyxia and its regions inject, good and hostile ones."""
    with ExitStack() as stack:
        yield Injected(engine, platform, stack)


@pytest.fixture
def given(injected: Injected, starts: Starts) -> Injected:
    """The same, for a check. Skips where the image does not start as the chart does: another check says so."""
    starts.must_be_the_charts()
    return injected


@pytest.fixture(scope="session")
def container(starts: Starts) -> Service:
    """The started container, its IDE up, as the chart starts it. Skips where none came up: another check says so."""
    if starts.up is None:
        pytest.skip("no IDE came up to ask")
    return starts.up
