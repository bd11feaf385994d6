"""Pins of several variants of one image in one file: each moves to a tag of its own variant, in one request."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubtool.config import Deployment
from hubtool.errors import HubtoolError
from hubtool.pins.choose import NoPin
from hubtool.pins.proposals.bump import bump_hubs
from hubtool.pins.proposals.job import Rules
from hubtool.pins.proposals.promote import promote_hubs
from hubtool.pins.proposals.request import Group
from hubtool.pins.proposals.rollback import roll_back
from hubtool.reference import ImageReference
from tests.forges.repositories import show
from tests.pins.bumping import nobody
from tests.pins.labs import DAY, FILE, START, chart, lab, live, values

__all__ = ["chart", "lab", "nobody"]


def same_device(image: ImageReference, tag: str) -> bool:
    return (image.tag or "").partition("-")[0] == tag.partition("-")[0]


def deployment(chart: Path, **settings: object) -> Deployment:
    return Deployment.model_validate({"repository": str(chart), "branch": "staging", "promote": "prod", **settings})


def text_of(chart: Path, branch: str) -> str:
    return show(chart, branch, FILE).decode()


def test_a_bump_moves_each_pin_to_its_own_variant_s_tag(chart: Path, lab: ImageReference) -> None:
    wanted = [lab.with_tag("cpu-2"), lab.with_tag("gpu-3")]
    (done,) = bump_hubs([Group.of(["base"])], wanted, deployment(chart), Rules(kin=same_device))
    assert text_of(chart, done.branch) == values(lab, "cpu-2", "gpu-3")


def test_a_promotion_brings_each_variant_s_tag(chart: Path, lab: ImageReference) -> None:
    live(chart, lab, ("cpu-2", "gpu-2"), ("cpu-2", "gpu-3"))
    (done,) = promote_hubs(["base"], None, deployment(chart), kin=same_device, now=START + 9 * DAY)
    assert text_of(chart, done.branch) == values(lab, "cpu-2", "gpu-3")
    assert done.request is not None
    assert "since 2023-11-15 22:13 UTC" in done.body


def test_of_a_promotion_from_one_tag_the_other_variants_stay(chart: Path, lab: ImageReference) -> None:
    live(chart, lab, ("cpu-2", "gpu-2"))
    (done,) = promote_hubs(["base"], lab, deployment(chart), from_tag="gpu-1", kin=same_device)
    assert text_of(chart, done.branch) == values(lab, "cpu-1", "gpu-2")
    with pytest.raises(HubtoolError, match="which to promote is not clear"):
        promote_hubs(["base"], lab, deployment(chart), from_tag="latest", kin=same_device)


@pytest.mark.parametrize(
    ("states", "days", "waits"),
    [
        ([("cpu-2", "gpu-1"), ("cpu-2", "gpu-2")], 2.5, "gpu-2"),  # together, so the younger decides
        ([("cpu-2", "gpu-1"), ("cpu-2", "gpu-2")], 3.5, ""),
        ([("cpu-2", "gpu-1")], 1.5, "cpu-2"),
        ([("cpu-2", "gpu-1")], 2.5, ""),
    ],
)
def test_a_promotion_waits_for_the_youngest_of_the_tags_that_it_moves(
    states: list[tuple[str, str]], days: float, waits: str, chart: Path, lab: ImageReference
) -> None:
    live(chart, lab, *states)
    settings = deployment(chart, soak="2d")
    (done,) = promote_hubs(["base"], None, settings, kin=same_device, now=START + days * DAY)
    assert done.waiting.partition(" ")[0] == waits
    assert bool(done.request) == (not waits)


@pytest.mark.parametrize(
    ("states", "back"),
    [
        ([("cpu-2", "gpu-2"), ("cpu-3", "gpu-3")], ("cpu-2", "gpu-2")),
        ([("cpu-2", "gpu-2"), ("cpu-3", "gpu-2")], ("cpu-2", "gpu-2")),  # what the last change left stays
        ([("cpu-2", "gpu-1"), ("cpu-2", "gpu-2")], ("cpu-2", "gpu-1")),
        ([("cpu-2", "gpu-2"), ("gpu-2", "cpu-2"), ("gpu-2", "cpu-3")], ("gpu-2", "cpu-2")),
    ],
)
def test_a_rollback_undoes_the_last_change_and_no_other(
    states: list[tuple[str, str]], back: tuple[str, str], chart: Path, lab: ImageReference
) -> None:
    live(chart, lab, *states)
    (done,) = roll_back(["base"], lab, deployment(chart), kin=same_device)
    assert text_of(chart, done.branch) == values(lab, *back)


def test_a_rollback_takes_no_tag_of_another_variant(chart: Path, lab: ImageReference) -> None:
    live(chart, lab, ("gpu-2", "cpu-2"))
    with pytest.raises(HubtoolError, match=r"no earlier tag of .* to go back to") as caught:
        roll_back(["base"], lab, deployment(chart), kin=same_device)
    assert "-1 is of another variant" in caught.value.message


def test_two_tags_of_one_variant_are_not_guessed_at(chart: Path, lab: ImageReference) -> None:
    live(chart, lab, ("cpu-2", "cpu-3"))
    with pytest.raises(HubtoolError, match=r"pins of .* stand at 2 tags: cpu-2, cpu-3"):
        roll_back(["base"], lab, deployment(chart), kin=same_device)
    with pytest.raises(HubtoolError, match="stands at 2 tags in hub base, so which to promote is not clear"):
        promote_hubs(["base"], lab, deployment(chart), kin=same_device)
    with pytest.raises(NoPin, match=r"no pin of .* stands at a tag of the variant that gpu-1 is of"):
        bump_hubs([Group.of(["base"])], [lab.with_tag("gpu-1")], deployment(chart), Rules(kin=same_device))
