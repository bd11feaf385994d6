"""Containers that start while the image's layers are still being read."""

from __future__ import annotations

from contextlib import suppress

import pytest

from hubtool.contracts.image import ImageUnderTest
from hubtool.engines import Engine
from hubtool.errors import HubtoolError


def start_early(request: pytest.FixtureRequest, image: ImageUnderTest, engine: Engine, *fixtures: str) -> None:
    """Begin to read IMAGE, and set up those of the session's FIXTURES that its checks ask for. What goes wrong with one
    is told to the checks that ask for it, and to them alone; an image that is gone to all."""
    image.prefetch()
    assert image.config is not None
    wanted = {name for item in request.session.items for name in getattr(item, "fixturenames", ())}
    if engine.can_run() is not None:
        return
    for name in fixtures:
        if name in wanted:
            with suppress(HubtoolError):  # kept by pytest, and raised again for who asks
                request.getfixturevalue(name)
