"""Requests of groups and rings, and those that a newer one makes needless."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hubtool.config import Deployment
from hubtool.errors import HubtoolError
from hubtool.forges import Proposal
from hubtool.forges.local import LocalForge
from hubtool.pins.proposals.bump import bump_hubs
from hubtool.pins.proposals.job import Bump, Held
from hubtool.pins.proposals.request import Group
from hubtool.reference import ImageReference
from tests.forges.github_server import GitHubServer
from tests.forges.repositories import commit, git
from tests.pins.bumping import FILE, NAME, NEW, NEWER, OLD, OTHER, description, github, hubs, image, nobody, pin, run

__all__ = ["description", "github", "hubs", "image", "nobody", "pin"]
BOTH = Group.of(["base", "other"])


def bump(hubs: Path | str, image: ImageReference, group: Group, tag: str = NEW, **settings: Any) -> Bump:
    deployment = Deployment(repository=str(hubs), **settings)
    return bump_hubs([group], [image.with_tag(tag)], deployment)[0]


def state(hubs: Path, number: int) -> str:
    text = (hubs / f"requests/{number}.md").read_text()
    return next(line.removeprefix("state: ").strip('"') for line in text.splitlines() if line.startswith("state: "))


def test_a_group_is_one_request_over_its_hubs(hubs: Path, image: ImageReference) -> None:
    done = bump(hubs, image, BOTH)
    assert done.branch == "hubtool/bump/base+other/team-base-user-image"
    assert git(hubs, "diff-tree", "-r", "--name-only", "staging", done.branch).split() == [FILE, OTHER]
    assert done.title == f"base, other: base-user-image {OLD} → {NEW}"
    assert "Moves hubs `base`, `other` to" in done.body
    assert f"hubtool rollback --hub base --hub other --image {image.name}" in done.body


def test_a_ring_keeps_its_branch_when_its_hubs_change(hubs: Path, image: ImageReference) -> None:
    one, two = Group.of(["base"], "canary"), Group.of(["base", "other"], "canary")
    first, second = bump(hubs, image, one), bump(hubs, image, two)
    assert first.branch == second.branch == "hubtool/bump/ring=canary/team-base-user-image"
    assert second.request is not None
    assert (second.request.number, second.request.state) == (1, "refreshed")


def test_a_group_closes_the_requests_of_its_hubs_with_a_link(hubs: Path, image: ImageReference) -> None:
    run(hubs, image)
    run(hubs, image, hub="other")
    done = bump(hubs, image, BOTH, NEWER)
    assert done.request is not None
    assert [state(hubs, number) for number in (1, 2, done.request.number)] == ["closed", "closed", "open"]
    assert f"Superseded by [`#3`]({done.request.url})" in (hubs / "requests/1.md").read_text() or (
        "Superseded by `#3`" in (hubs / "requests/1.md").read_text()
    )


def test_a_hub_of_its_own_closes_no_request_of_a_group(hubs: Path, image: ImageReference) -> None:
    bump(hubs, image, BOTH)
    run(hubs, image, NEWER)
    assert state(hubs, 1) == "open"


def test_requests_of_other_images_hubs_and_people_stay_open(hubs: Path, image: ImageReference) -> None:
    commit(hubs, "by-hand", {FILE: "x: 1\n"})
    LocalForge(hubs).open_request(Proposal("by-hand", "staging", "mine", f"about {image.name}"))
    run(hubs, image, hub="other")
    run(hubs, image)
    assert [state(hubs, number) for number in (1, 2, 3)] == ["open", "open", "open"]


def test_another_tools_requests_are_closed_where_hubtool_yaml_lists_them(hubs: Path, image: ImageReference) -> None:
    for number, name in enumerate(("update-base-image-tag-1a2b", "update-other-image-tag-1a2b"), 1):
        commit(hubs, name, {FILE: f"x: {number}\n"})
        LocalForge(hubs).open_request(Proposal(name, "staging", name, ""))
    bump(hubs, image, Group.of(["base"]), supersedes=["update-{hub}-image-tag-*"])
    assert [state(hubs, number) for number in (1, 2)] == ["closed", "open"]


def test_a_request_that_has_become_needless_is_closed(hubs: Path, image: ImageReference, pin: str) -> None:
    run(hubs, image)
    commit(hubs, "staging", {FILE: pin.replace(f"tag: {OLD}", f"tag: {NEWER}")})
    assert run(hubs, image, NEWER).changes == ()
    assert state(hubs, 1) == "closed"


def test_on_github_the_superseded_are_closed_with_a_comment(
    github: GitHubServer, hubs: Path, image: ImageReference
) -> None:
    bump(NAME, image, Group.of(["base"]))
    done = bump(NAME, image, BOTH, NEWER)
    assert done.request is not None
    assert [pull["state"] for pull in github.pulls[NAME]] == ["closed", "open"]
    writes = github.writes()
    again = bump(NAME, image, BOTH, NEWER)
    assert again.request is not None
    assert again.request.state == "unchanged"
    assert github.writes() == writes


def test_hubs_that_share_a_file_are_named(hubs: Path, image: ImageReference) -> None:
    cluster = "hubs:\n- name: staging\n  helm_chart_values_files: [common.yaml]\n" \
              "- name: prod\n  helm_chart_values_files: [common.yaml, prod.yaml]\n"  # fmt: skip
    files = {
        "config/clusters/leap/cluster.yaml": cluster,
        "config/clusters/leap/common.yaml": f"singleuser:\n  image:\n    name: {image.name}\n    tag: {OLD}\n",
        "config/clusters/leap/prod.yaml": "a: 1\n",
    }
    commit(hubs, "staging", files)
    done = bump(hubs, image, Group.of(["prod"]))
    assert (done.group.name, done.branch.split("/")[2], done.touched) == (
        "leap/prod",
        "leap@prod",
        ("leap/prod", "leap/staging"),
    )
    assert "**A merge also touches** `leap/staging`: they share files with `leap/prod`." in done.body


@pytest.mark.parametrize("entry", [NEW, "{image}:" + NEW])
def test_a_tag_on_hold_is_never_proposed(hubs: Path, image: ImageReference, entry: str) -> None:
    with pytest.raises(Held, match=f"{NEW} of {image.name} is on hold"):
        bump(hubs, image, BOTH, hold=[entry.replace("{image}", image.name)])
    assert bump(hubs, image, BOTH, NEWER, hold=[NEW, f"quay.io/other:{NEWER}"]).changes


def test_digests_are_pinned_where_that_is_wanted(hubs: Path, image: ImageReference) -> None:
    done = bump(hubs, image, Group.of(["base"]), pin_digest=True)
    assert f"+      tag: {NEW}@{done.new.digest} # at the release" in done.diff()
    git(hubs, "update-ref", "refs/heads/staging", str(done.commit))
    assert bump(hubs, image, Group.of(["base"]), pin_digest=True).changes == ()


def test_an_image_for_another_platform_is_refused(hubs: Path, image: ImageReference) -> None:
    with pytest.raises(HubtoolError, match="is made for linux/amd64; the hubs run on linux/arm64"):
        bump(hubs, image, Group.of(["base"]), platform="linux/arm64")
