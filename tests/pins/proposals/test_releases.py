"""What a bump asks of a real registry."""

from __future__ import annotations

import pytest

from hubtool.config import Deployment
from hubtool.errors import HubtoolError
from hubtool.pins.proposals.releases import Releases
from hubtool.reference import ImageReference
from hubtool.registries import Credentials
from tests.conftest import LocalRegistry
from tests.pins.bumping import nobody
from tests.registries.parts import client_for, put_image, put_index

__all__ = ["nobody"]


@pytest.fixture(scope="module")
def image(registry: LocalRegistry) -> ImageReference:
    """Tags named after the platforms that they hold."""
    reference = ImageReference(registry.host, "team/platforms")
    with client_for(reference, Credentials(registry.username, registry.password)) as client:
        amd, arm = put_image(client, "amd"), put_image(client, "arm", architecture="arm64")
        put_index(client, "both", {"linux/amd64": amd, "linux/arm64": arm})
        put_index(client, "variant", {"linux/arm64/v8": arm})
    return reference


def find(image: ImageReference, tag: str, old: str, platform: str | None = None) -> str:
    releases = Releases(Deployment(repository="x", platform=platform))
    return releases.find(image.with_tag(tag), [old])[0].reference.digest or ""


@pytest.mark.parametrize(
    ("tag", "old", "platform"),
    [
        ("amd", "amd", None),
        ("both", "amd", None),
        ("amd", "both", None),
        ("arm", "arm", None),
        ("both", "arm", None),
        ("amd", "gone", None),
        ("arm", "amd", "linux/arm64"),
        ("variant", "amd", "linux/arm64"),
        ("variant", "arm", None),
    ],
)
def test_an_image_that_runs_where_the_old_one_did_is_taken(
    image: ImageReference, tag: str, old: str, platform: str | None
) -> None:
    assert find(image, tag, old, platform).startswith("sha256:")


@pytest.mark.parametrize(
    ("tag", "old", "platform", "needed"),
    [
        ("arm", "amd", None, "linux/amd64"),
        ("arm", "both", None, "linux/amd64"),
        ("arm", "gone", None, "linux/amd64"),
        ("amd", "arm", None, "linux/arm64"),
        ("amd", "amd", "linux/arm64", "linux/arm64"),
    ],
)
def test_an_image_that_would_not_run_there_is_refused(
    image: ImageReference, tag: str, old: str, platform: str | None, needed: str
) -> None:
    with pytest.raises(HubtoolError, match=f"platforms:{tag} is made for linux/.*; the hubs run on {needed}") as caught:
        find(image, tag, old, platform)
    assert "deployment: {platform:" in str(caught.value.hint)


def test_a_tag_that_is_not_there_is_refused(image: ImageReference) -> None:
    with pytest.raises(HubtoolError, match="team/platforms:gone is not in the registry"):
        find(image, "gone", "amd")
    assert not Releases(Deployment(repository="x")).is_there(image.with_tag("gone"))
