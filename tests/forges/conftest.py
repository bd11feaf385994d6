from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hubtool.forges import Proposal
from hubtool.forges.github import GitHubForge
from tests.forges.description import Description, fetch
from tests.forges.github_server import GitHubServer, serve
from tests.forges.repositories import bare, commit

NAME = "an-org/some-hubs"
FILE = "deployments/base/config/common.yaml"
PROPOSAL = Proposal("hubtool/bump/base/x", "staging", "base: x 1 → 2", "Moves it.\n", ("hub: base",))
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


@pytest.fixture
def branch(hubs: Path) -> str:
    """PROPOSAL's branch, there already with one commit."""
    commit(hubs, PROPOSAL.head, {FILE: "a: 1\n", "README.md": "hubs\n"})
    return PROPOSAL.head


def forge_at(api: str, pause: float = 0.01) -> GitHubForge:
    """The forge of the repository at API, with waits that are short."""
    owner, name = NAME.split("/")
    return GitHubForge(owner, name, api, pause)
