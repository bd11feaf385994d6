"""The fixtures of a repository's own checks where its image has no contract."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from hubtool.contracts import Settings
from hubtool.contracts.image import ImageUnderTest
from hubtool.contracts.started import Started
from hubtool.engines import ContainerSpec, Engine

SETTLED = 1.0  # seconds after which what can't start has ended


@pytest.fixture(scope="session")
def container(engine: Engine, settings: Settings, image: ImageUnderTest, can_run: None) -> Iterator[Started]:
    """The image, started as it is, with the ports that it exposes; its service need not be up."""
    exposed = [port.partition("/")[0] for port in image.config.get("ExposedPorts") or ()]
    spec = ContainerSpec(image=settings.image, ports=[int(port) for port in exposed if port.isdigit()])
    started = Started(engine, spec)
    try:
        started.wait_until_up(settings.start_seconds, lambda: "" if _settled(started) else "it ends")
        if not started.up:
            started.keep_logs(settings)
            pytest.fail(started.problem)
        yield started
    finally:
        started.remove()


def _settled(started: Started) -> bool:
    time.sleep(max(0.0, started.begin + SETTLED - time.monotonic()))
    return started.container.running()
