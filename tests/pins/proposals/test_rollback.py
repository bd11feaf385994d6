"""Back to the tag before: real git history, a real registry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hubtool.config import Deployment
from hubtool.errors import HubtoolError
from hubtool.pins.proposals.job import Bump
from hubtool.pins.proposals.rollback import previous_tags, roll_back
from hubtool.reference import ImageReference
from tests.forges.github_server import GitHubServer
from tests.forges.repositories import commit, git, sha, show
from tests.pins.bumping import FILE, NAME, NEW, NEWER, OLD, description, github, hubs, image, nobody, pin, run

__all__ = ["description", "github", "hubs", "image", "nobody", "pin"]


def back(hubs: Path, image: ImageReference | None, **settings: Any) -> Bump:
    return roll_back(["base"], image, Deployment(repository=str(hubs), **settings))[0]


def live(hubs: Path, pin: str, *tags: str) -> None:
    """Each of TAGS goes live, one after the other."""
    for tag in tags:
        commit(hubs, "staging", {FILE: pin.replace(f"tag: {OLD}", f'tag: "{tag}"')}, f"to {tag}")


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        (["C", "B", "A"], ["B", "A"]),
        (["A", "B", "A", "Z"], ["Z"]),
        (["A", "B", "A"], []),
        (["C", None, "B"], ["B"]),
        (["C", "B", "A", "B"], ["B", "A"]),
        (["A"], []),
        ([], []),
    ],
    ids=str,
)
def test_what_was_left_by_a_rollback_is_not_gone_back_to(runs: list[str | None], expected: list[str]) -> None:
    assert previous_tags(runs) == expected


def test_the_hub_goes_back_to_the_tag_that_was_live_before(hubs: Path, image: ImageReference, pin: str) -> None:
    live(hubs, pin, NEW, NEWER)
    done = back(hubs, image)
    assert done.request is not None
    assert (done.choice.old_tags, done.new.tag, done.branch) == (
        (NEWER,),
        NEW,
        "hubtool/rollback/base/team-base-user-image",
    )
    assert f'tag: "{NEW}" # at the release' in show(hubs, done.branch, FILE).decode()
    text = (hubs / "requests/1.md").read_text()
    assert f"Rollback: `{NEWER}` is live on `staging`, `{NEW}` was before it." in text


def test_run_twice_there_is_one_request(hubs: Path, image: ImageReference, pin: str) -> None:
    live(hubs, pin, NEW)
    first, second = back(hubs, image), back(hubs, image)
    assert (first.commit, second.request and second.request.state) == (second.commit, "unchanged")


def test_an_open_bump_is_another_request(hubs: Path, image: ImageReference, pin: str) -> None:
    live(hubs, pin, NEW)
    bump = run(hubs, image, NEWER)
    done = back(hubs, image)
    assert done.request is not None
    assert bump.request is not None
    assert done.request.number != bump.request.number
    assert f'tag: "{NEWER}" #' in show(hubs, bump.branch, FILE).decode()


def test_after_a_rollback_the_next_goes_further_back_and_not_forth(hubs: Path, image: ImageReference, pin: str) -> None:
    live(hubs, pin, NEW, NEWER)
    first = back(hubs, image)
    git(hubs, "update-ref", "refs/heads/staging", str(first.commit))
    assert back(hubs, image).new.tag == OLD


def test_commits_that_move_no_tag_are_passed_over(hubs: Path, image: ImageReference, pin: str) -> None:
    live(hubs, pin, NEW)
    commit(hubs, "staging", {FILE: pin.replace(f"tag: {OLD}", f"tag: '{NEW}'") + "more: 1\n"})
    commit(hubs, "staging", {"README.md": "other\n"})
    assert back(hubs, image).new.tag == OLD


def test_a_tag_that_is_gone_or_on_hold_is_passed_over(
    hubs: Path, image: ImageReference, pin: str, capsys: pytest.CaptureFixture[str]
) -> None:
    live(hubs, pin, NEW, "gone", NEWER)
    assert back(hubs, image, hold=[f"{image.name}:{NEW}"]).new.tag == OLD
    told = capsys.readouterr().err
    assert "passed over: gone is not in the registry any more" in told
    assert f"passed over: {NEW} is on hold" in told


def test_without_a_tag_before_it_the_error_says_where_it_looked(hubs: Path, image: ImageReference, pin: str) -> None:
    with pytest.raises(HubtoolError, match=f"no earlier tag of {image.name} to go back to in the history of {FILE}"):
        back(hubs, image)
    live(hubs, pin, "gone", NEW)
    with pytest.raises(HubtoolError, match="gone is not in the registry any more"):
        back(hubs, image, hold=[OLD])
    assert sha(hubs, "staging")
    assert git(hubs, "for-each-ref", "refs/heads/hubtool") == ""


def test_the_image_may_be_left_out_where_the_hub_has_one(hubs: Path, image: ImageReference, pin: str) -> None:
    live(hubs, pin, NEW)
    assert back(hubs, None).new.tag == OLD
    commit(hubs, "staging", {"deployments/base/config/x.yaml": "image: quay.io/an/other:1\n"})
    with pytest.raises(HubtoolError, match=r"hub base pins 2 images:\n.*team/base-user-image\n  quay.io/an/other"):
        back(hubs, None)


def test_pins_at_two_tags_need_to_be_told_apart(hubs: Path, image: ImageReference, pin: str) -> None:
    live(hubs, pin, NEW)
    commit(hubs, "staging", {"deployments/base/config/x.yaml": f"image: {image.name}:{NEWER}\n"})
    with pytest.raises(HubtoolError, match="stand at 2 tags"):
        back(hubs, image)
    done = roll_back(["base"], image, Deployment(repository=str(hubs)), from_tag=NEW)[0]
    assert (done.new.tag, [change.file for change in done.changes]) == (OLD, [FILE])


def test_a_dry_run_pushes_nothing(hubs: Path, image: ImageReference, pin: str) -> None:
    live(hubs, pin, NEW)
    before = git(hubs, "for-each-ref")
    dry = roll_back(["base"], image, Deployment(repository=str(hubs)), dry_run=True)[0]
    assert dry.changes
    assert git(hubs, "for-each-ref") == before


def test_on_github_it_is_a_pull_request(github: GitHubServer, hubs: Path, image: ImageReference, pin: str) -> None:
    live(hubs, pin, NEW)
    done = roll_back(["base"], image, Deployment(repository=NAME))[0]
    assert github.pulls[NAME][0]["title"] == f"base: base-user-image {NEW} → {OLD}"
    assert f"tag: {OLD} #" not in show(hubs, "staging", FILE).decode()
    assert f'tag: "{OLD}" #' in show(hubs, done.branch, FILE).decode()
