"""The plug-in of a repository's own checks, ``tests/test_*.py``: they get the contract's fixtures."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session", autouse=True)
def early() -> None:
    """In place of the contract's: nothing is started before a check asks for it."""
