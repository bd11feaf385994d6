"""The fixtures of the workstation contract, for its checks and a repository's own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hubtool.contracts import Settings
from hubtool.contracts.early import start_early
from hubtool.contracts.image import ImageUnderTest
from hubtool.contracts.workstation.inside import ask
from hubtool.contracts.workstation.starts import Starts, Volumes, Workstation
from hubtool.engines import Engine


@pytest.fixture(scope="session", autouse=True)
def early(image: ImageUnderTest, engine: Engine, request: pytest.FixtureRequest) -> None:
    """Lets the containers start while the layers are read."""
    start_early(request, image, engine, "starts")


@pytest.fixture(scope="session")
def starts(engine: Engine, settings: Settings, can_run: None) -> Iterator[Starts]:
    """The image, started as the platform does; shared by every check that needs it."""
    with tempfile.TemporaryDirectory(prefix="hubtool-volumes-", ignore_cleanup_errors=True) as folder:
        every = Starts(engine, settings, Volumes(Path(folder), settings))
        try:
            yield every
        finally:
            every.remove()


@pytest.fixture(scope="session")
def container(starts: Starts) -> Workstation:
    """The started container: a desktop with its services up, or a batch image whose command runs. A data set lies
    where data sets are mounted. Skips where it did not come up: another check says so."""
    if not starts.first.up:
        pytest.skip("it did not come up: see R1 and R3")
    return starts.first


@pytest.fixture(scope="session")
def run_user(container: Workstation) -> str:
    """The name of the run user's account in the image."""
    return ask(container.container, "id", "-un").stdout.strip()


@pytest.fixture(scope="session")
def configured(starts: Starts) -> Workstation:
    """The desktop with every variable set that users can set."""
    if not starts.configured.up:
        pytest.skip(f"with its variables set it did not come up: {starts.configured.problem}")
    return starts.configured


@pytest.fixture(scope="session")
def restricted(starts: Starts) -> Workstation:
    """The desktop with SFTP switched off."""
    if not starts.restricted.up:
        pytest.skip(f"with its variables set it did not come up: {starts.restricted.problem}")
    return starts.restricted
