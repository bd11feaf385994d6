"""From staging to prod: two real branches, or two hubs of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hubtool.config import Deployment
from hubtool.errors import HubtoolError
from hubtool.pins.proposals.job import Bump
from hubtool.pins.proposals.promote import promote_hubs
from hubtool.reference import ImageReference
from tests.forges.repositories import commit, git, show
from tests.pins.bumping import FILE, NEW, NEWER, OLD, OTHER, hubs, image, nobody, pin

__all__ = ["hubs", "image", "nobody", "pin"]
START = 1_700_000_000
DAY = 86_400


@pytest.fixture
def two(hubs: Path, pin: str) -> Path:
    """Branch prod is at OLD; staging went to NEW at START and has had an unrelated commit a day later."""
    git(hubs, "branch", "prod", "staging")
    commit(hubs, "staging", {FILE: pin.replace(OLD, NEW)}, time=START)
    commit(hubs, "staging", {FILE: pin.replace(OLD, NEW) + "more: 1\n", "README.md": "x\n"}, time=START + DAY)
    return hubs


def promote(hubs: Path, now: int = START + 10 * DAY, **settings: Any) -> list[Bump]:
    deployment = Deployment(repository=str(hubs), branch="staging", promote="prod", **settings)
    return promote_hubs(["base"], None, deployment, now=now)


def test_the_hub_gets_on_prod_what_is_live_on_staging(two: Path, image: ImageReference, pin: str) -> None:
    (done,) = promote(two)
    assert done.branch == "hubtool/bump/base/team-base-user-image@prod"
    assert show(two, done.branch, FILE).decode() == pin.replace(f"tag: {OLD}", f'tag: "{NEW}"')
    text = (two / "requests/1.md").read_text()
    assert 'base: "prod"' in text
    assert f'title: "base: base-user-image {OLD} → {NEW} on prod"' in text
    assert "Promotes what is live on `staging` since 2023-11-14 22:13 UTC." in text
    assert "--branch prod" in text


@pytest.mark.parametrize(("after", "waits"), [(DAY - 60, "1 min to go"), (DAY // 2, "12.0 h to go"), (DAY + 1, "")])
def test_a_tag_has_to_be_live_for_a_while(two: Path, after: int, waits: str) -> None:
    """Counted from when the tag came, not from the last commit."""
    (done,) = promote(two, START + after, soak="1d")
    assert bool(done.changes) == bool(done.request) == (not waits)
    assert done.waiting.endswith(waits)
    assert bool(git(two, "for-each-ref", "refs/heads/hubtool")) == (not waits)


def test_what_is_there_already_needs_nothing(two: Path, pin: str) -> None:
    commit(two, "prod", {FILE: pin.replace(OLD, NEW)})
    (done,) = promote(two)
    assert (done.changes, done.waiting, done.request) == ((), "", None)


def test_a_tag_on_hold_is_not_promoted(two: Path) -> None:
    (done,) = promote(two, hold=(NEW,))
    assert done.changes == ()
    assert "is on hold" in done.waiting


def test_one_hub_may_follow_another_on_the_same_branch(hubs: Path, image: ImageReference, pin: str) -> None:
    commit(hubs, "staging", {OTHER: pin.replace(OLD, NEWER)}, time=START)
    deployment = Deployment(repository=str(hubs))
    (done,) = promote_hubs(["base"], image, deployment, from_hub="other", now=START + 1)
    assert [change.file for change in done.changes] == [FILE]
    assert f"tag: {NEWER} #" in show(hubs, done.branch, FILE).decode()
    assert "live on `staging` in hub `other`" in done.body


def test_a_source_at_two_tags_is_not_guessed_at(two: Path, image: ImageReference) -> None:
    commit(two, "staging", {"deployments/base/x.yaml": f"image: {image.name}:{NEWER}\n"})
    with pytest.raises(HubtoolError, match="stands at 2 tags in hub base, so which to promote is not clear"):
        promote(two)


def test_without_a_branch_to_promote_to_the_error_says_how(hubs: Path, image: ImageReference) -> None:
    with pytest.raises(HubtoolError, match="no branch to promote to"):
        promote_hubs(["base"], image, Deployment(repository=str(hubs)))


def test_an_image_that_is_not_on_both_sides_is_an_error(two: Path, image: ImageReference) -> None:
    other = ImageReference(image.registry, "team/other")
    deployment = Deployment(repository=str(two), branch="staging", promote="prod")
    with pytest.raises(HubtoolError, match="team/other is not pinned both in base on staging and in base on prod"):
        promote_hubs(["base"], other, deployment)
