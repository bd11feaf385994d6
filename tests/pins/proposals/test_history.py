from __future__ import annotations

from pathlib import Path

from hubtool.forges.local import LocalForge
from hubtool.pins import Pin
from hubtool.pins.finders.find import find_pins
from hubtool.pins.proposals.history import MOST, Live, live_tags
from tests.forges.repositories import bare, commit

FILE = "deployments/base/config/common.yaml"
TEXT = "singleuser:\n  image:\n    name: quay.io/team/x\n    tag: {}\n"


def tags(hubs: Path, pin: Pin) -> list[Live]:
    with LocalForge(hubs).open_branch("main") as branch:
        return list(live_tags(branch, pin))


def pin_of(text: str) -> Pin:
    return find_pins(text.encode(), FILE)[0]


def test_the_tags_come_newest_first_with_the_time_they_came(tmp_path: Path) -> None:
    hubs = bare(tmp_path / "h.git", {FILE: "a: 1\n"}, "main")
    made = [commit(hubs, "main", {FILE: TEXT.format(tag)}, time=at) for tag, at in (("A", 100), ("B", 200))]
    commit(hubs, "main", {FILE: TEXT.format("B") + "more: 1\n"}, time=300)
    commit(hubs, "main", {"README.md": "x"}, time=400)
    assert tags(hubs, pin_of(TEXT.format("B"))) == [Live("B", 200, made[1]), Live("A", 100, made[0])]


def test_a_pin_that_stood_elsewhere_in_the_file_is_followed_by_its_image(tmp_path: Path) -> None:
    hubs = bare(tmp_path / "h.git", {FILE: "image: quay.io/team/x:A\nother: {image: quay.io/team/y:Z}\n"}, "main")
    commit(hubs, "main", {FILE: TEXT.format("B")})
    assert [one.tag for one in tags(hubs, pin_of(TEXT.format("B")))] == ["B", "A"]


def test_a_commit_that_can_not_be_read_says_nothing(tmp_path: Path) -> None:
    hubs = bare(tmp_path / "h.git", {FILE: TEXT.format("A")}, "main")
    commit(hubs, "main", {FILE: "image: quay.io/team/x:A\na: [\n"})
    commit(hubs, "main", {FILE: "a:\n  image: quay.io/team/x:1\nb:\n  image: quay.io/team/x:2\n"})
    commit(hubs, "main", {FILE: TEXT.format("B")})
    assert [one.tag for one in tags(hubs, pin_of(TEXT.format("B")))] == ["B", None, "A"]


def test_a_long_history_is_read_no_further_than_needed(tmp_path: Path) -> None:
    hubs = bare(tmp_path / "h.git", {FILE: TEXT.format("t0")}, "main")
    for number in range(1, MOST + 5):
        commit(hubs, "main", {FILE: TEXT.format(f"t{number}")})
    found = tags(hubs, pin_of(TEXT.format(f"t{MOST + 4}")))
    assert len(found) == MOST
    assert (found[0].tag, found[-1].tag) == (f"t{MOST + 4}", "t5")
