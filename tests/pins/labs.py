"""A hub that offers two variants of one image. Import the fixtures that you need."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubtool.reference import ImageReference
from hubtool.registries import Credentials
from tests.conftest import LocalRegistry
from tests.forges.repositories import bare, commit, git
from tests.registries.parts import client_for, put_image

__all__ = ["chart", "lab"]
FILE = "deployments/base/config/common.yaml"
START = 1_700_000_000
DAY = 86_400


@pytest.fixture(scope="module")
def lab(registry: LocalRegistry) -> ImageReference:
    """An image with two variants, three releases of each."""
    image = ImageReference(registry.host, "team/lab")
    with client_for(image.with_tag("cpu-1"), Credentials(registry.username, registry.password)) as client:
        for number in "123":
            for device in ("cpu", "gpu"):
                put_image(client, f"{device}-{number}", labels={"org.opencontainers.image.revision": number * 40})
    return image


@pytest.fixture
def chart(lab: ImageReference, tmp_path: Path) -> Path:
    """A deployment repository whose hub offers both variants at their first release, on staging and on prod."""
    repository = bare(tmp_path / "an-org/some-hubs.git", {FILE: values(lab, "cpu-1", "gpu-1")})
    git(repository, "branch", "prod", "staging")
    return repository


def values(lab: ImageReference, *tags: str) -> str:
    profiles = "".join(f"      - display_name: {tag[:3]}\n        image: {lab.name}:{tag}\n" for tag in tags)
    return f"jupyterhub:\n  singleuser:\n    profileList:\n{profiles}"


def live(chart: Path, lab: ImageReference, *states: tuple[str, str], branch: str = "staging") -> None:
    """Each of STATES goes live, a day after the one before."""
    for days, tags in enumerate(states):
        commit(chart, branch, {FILE: values(lab, *tags)}, f"to {tags}", time=START + days * DAY)


def variants(lab: ImageReference) -> str:
    """The hubtool.yaml that makes LAB."""
    return (
        f"registry: {lab.registry}/team\naxes: {{device: [cpu, gpu]}}\nimages:\n"
        "  lab: {axes: [device], base: {cpu: a, gpu: b}, version: '3', tags: ['{device}-{version}']}\n"
    )
