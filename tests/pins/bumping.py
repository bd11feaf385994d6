"""Fixtures of a bump: a registry with releases, a deployment repository, a GitHub. Import those that you need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hubtool.config import Deployment
from hubtool.pins.proposals.bump import bump_hubs
from hubtool.pins.proposals.job import Bump
from hubtool.pins.proposals.request import Group
from hubtool.reference import ImageReference
from hubtool.registries import Credentials
from tests.conftest import LocalRegistry
from tests.forges.conftest import VARIABLES, description
from tests.forges.description import Description
from tests.forges.github_server import GitHubServer, serve
from tests.forges.repositories import bare
from tests.registries.parts import client_for, put_image

__all__ = ["description", "github", "hubs", "image", "nobody", "pin"]
FILE = "deployments/base/config/common.yaml"
OTHER = "deployments/other/config/common.yaml"
NAME = "an-org/some-hubs"
SOURCE = "https://github.com/an-org/base-user-image"
OLD, NEW, NEWER = "aaaa11112222", "123456789012", "bbbb33334444"


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, registry: LocalRegistry) -> None:
    """Logged in at the test's registry, and nowhere else."""
    for name in (*VARIABLES, "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "HUB", "IMAGE", "HUBTOOL_DEPLOYMENT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HUBTOOL_REGISTRY_USERNAME", registry.username)
    monkeypatch.setenv("HUBTOOL_REGISTRY_PASSWORD", registry.password)
    monkeypatch.delenv("HUBTOOL_REGISTRY", raising=False)


@pytest.fixture(scope="module")
def image(registry: LocalRegistry) -> ImageReference:
    """An image with three releases, each from a commit of its own."""
    reference = ImageReference(registry.host, "team/base-user-image")
    login = Credentials(registry.username, registry.password)
    with client_for(reference.with_tag(OLD), login) as client:
        for tag, revision in ((OLD, "a" * 40), (NEW, "b" * 40), (NEWER, "c" * 40)):
            labels = {
                "org.opencontainers.image.source": SOURCE,
                "org.opencontainers.image.revision": revision,
            }
            put_image(client, tag, labels=labels)
    return reference


@pytest.fixture
def pin(image: ImageReference) -> str:
    return (
        "jupyterhub:\n  hub: {}\n  singleuser:\n    image:\n"
        f"      name: {image.name}\n      tag: {OLD} # at the release\n  other: {OLD}\n"
    )


@pytest.fixture
def hubs(tmp_path: Path, pin: str) -> Path:
    """A bare deployment repository with two hubs at the same tag."""
    return bare(tmp_path / f"{NAME}.git", {FILE: pin, OTHER: pin, "README.md": "hubs\n"})


@pytest.fixture
def github(
    description: Description, hubs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[GitHubServer]:
    with serve(GitHubServer(description, tmp_path)) as server:
        monkeypatch.setenv("GITHUB_TOKEN", server.token())
        monkeypatch.setenv("GITHUB_API_URL", server.api)
        yield server
    assert server.problems == []


def run(hubs: Path, image: ImageReference, tag: str = NEW, hub: str = "base", *, dry_run: bool = False) -> Bump:
    deployment = Deployment(repository=str(hubs), labels=("hub: base",))
    return bump_hubs([Group.of([hub])], [image.with_tag(tag)], deployment, dry_run=dry_run)[0]
