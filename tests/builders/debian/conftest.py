from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.builders.debian.archive import Archive, running_archive


@pytest.fixture
def archive() -> Iterator[Archive]:
    with running_archive() as found:
        yield found
