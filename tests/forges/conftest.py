from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.forges.description import Description, fetch
from tests.forges.github_server import GitHubServer, serve
from tests.forges.repositories import bare

NAME = "an-org/some-hubs"
VARIABLES = (
    "HUBTOOL_GITHUB_TOKEN",
    "GH_TOKEN",
    "GITHUB_TOKEN",
    "HUBTOOL_GITHUB_APP_ID",
    "HUBTOOL_GITHUB_APP_PRIVATE_KEY",
    "HUBTOOL_GITHUB_APP_PRIVATE_KEY_FILE",
    "GITHUB_API_URL",
    "GITHUB_ACTIONS",
)


@pytest.fixture(scope="session")
def description(cache_dir: Path) -> Description:
    return Description(fetch(cache_dir))


@pytest.fixture(autouse=True)
def no_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """No login of the person who runs the tests gets in."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def hubs(tmp_path: Path) -> Path:
    """A bare deployment repository."""
    pin = "jupyterhub:\n  singleuser:\n    image:\n      name: example.org/team/base\n      tag: aaaa1111\n"
    return bare(tmp_path / f"{NAME}.git", {"deployments/base/config/common.yaml": pin, "README.md": "hubs\n"})


@pytest.fixture
def github(description: Description, hubs: Path, tmp_path: Path) -> Iterator[GitHubServer]:
    """A GitHub that holds the repository HUBS as an-org/some-hubs."""
    with serve(GitHubServer(description, tmp_path)) as server:
        yield server
    assert server.problems == []
