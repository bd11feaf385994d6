from __future__ import annotations

from dataclasses import replace

import pytest

from hubtool.forges import SourceCommit
from hubtool.pins import Skipped
from hubtool.pins.choose import choose
from hubtool.pins.proposals.request import (
    Facts,
    Group,
    Origin,
    body,
    branch_name,
    commit_message,
    is_superseded,
    is_untouched,
    mark,
    note,
    rollback,
    title,
)
from hubtool.pins.proposals.request import trailers as trailers_of
from hubtool.pins.scan import Change, move, scan
from hubtool.reference import ImageReference

NOWHERE = Origin()
BASE = Group.of(["base"])
IMAGE = ImageReference("quay.io", "team/base-image", "U", "sha256:" + "b" * 64)


def facts(
    text: str = "image: quay.io/team/base-image:T\n", *, now: Origin = NOWHERE, was: Origin = NOWHERE, **options: bool
) -> Facts:
    found = scan([("deployments/base/x.yaml", text.encode())])
    choice = choose(found.pins, IMAGE, "U", **options)  # type: ignore[arg-type]
    changes = move(found.files, choice.moving, "U")
    return Facts(BASE, "an-org/hubs", IMAGE, choice, changes, (), ("linux/amd64",), was, now)


def test_the_body_of_a_bump_reads_like_this() -> None:
    now = Origin("https://github.com/an-org/base-image", "b" * 40, 17)
    was = Origin("https://github.com/an-org/base-image", "a" * 40)
    assert body(facts(now=now, was=was)) == (
        "Moves hub `base` to `quay.io/team/base-image:U`. 1 tag in 1 file; nothing else changes.\n\n"
        "| file | pin | old | new |\n| --- | --- | --- | --- |\n"
        "| `deployments/base/x.yaml:1` | `image` | `T` | `U` |\n\n"
        f"- digest: `sha256:{'b' * 64}`\n"
        "- platforms: `linux/amd64`\n"
        "- source commit: [`bbbbbbbbbbbb`](https://github.com/an-org/base-image/commit/" + "b" * 40 + ")"
        " (pull request [`#17`](https://github.com/an-org/base-image/pull/17))\n"
        "- source commit before: [`aaaaaaaaaaaa`](https://github.com/an-org/base-image/commit/" + "a" * 40 + ")\n"
        "- changes between: [`aaaaaaaaaaaa...bbbbbbbbbbbb`]"
        "(https://github.com/an-org/base-image/compare/aaaaaaaaaaaa...bbbbbbbbbbbb)\n\n"
        "To go back after the merge:\n\n```sh\n"
        "hubtool rollback --hub base --image quay.io/team/base-image --deployment an-org/hubs\n```\n\n"
        "<!-- Hubtool-Bump: base quay.io/team/base-image -->\n"
    )


def test_labels_that_want_to_be_markup_are_not() -> None:
    evil = Origin("javascript:alert(1)", "x](http://evil) @everyone\n# big `|`", None)
    text = body(facts(now=evil))
    line = next(line for line in text.split("\n") if line.startswith("- source commit"))
    assert line == "- source commit: `` x](http://evil) @everyone # big `\\|` ``"
    assert "(javascript" not in text


def test_what_is_left_alone_is_listed() -> None:
    tags = {"a": ":T", "b": ":S", "c": ""}
    text = "".join(f"{key}:\n  image: quay.io/team/base-image{tag}\n" for key, tag in tags.items())
    found = scan([("deployments/base/x.yaml", text.encode())])
    choice = choose(found.pins, IMAGE, "U", from_tag="T")
    changes = move(found.files, choice.moving, "U")
    made = Facts(BASE, "h", IMAGE, choice, changes, [Skipped("deployments/base/y.yaml", "is not YAML")])
    assert "| `deployments/base/x.yaml:4` | `b.image` | `stands at S` |" in body(made)
    assert "| `deployments/base/x.yaml:6` | `c.image` | `has no tag` |" in body(made)
    assert "| `deployments/base/y.yaml` |  | `file is not YAML` |" in body(made)


def test_a_huge_bump_stays_below_githubs_limit() -> None:
    text = "".join(f"{'k' * 90}{n}:\n  image: quay.io/team/base-image:T\n" for n in range(3000))
    made = facts(text)
    assert len(body(made)) < 65_536
    assert "… and 2900 more." in body(made)
    assert "3000 tags in 1 file" in body(made)
    assert len(commit_message(made)) < 65_536


def test_the_way_back_of_many_tags_is_gits() -> None:
    text = "a:\n  image: quay.io/team/base-image:T\nb:\n  image: quay.io/team/base-image:S\n"
    made = facts(text, all_tags=True)
    assert rollback(made) == "git revert -m 1 MERGE_COMMIT"
    assert title(made) == "base: base-image 2 tags → U"


@pytest.mark.parametrize(
    ("hub", "repository", "base", "expected"),
    [
        ("base", "team/base-image", "staging", "hubtool/bump/base/team-base-image"),
        ("base", "team/base-image", "prod", "hubtool/bump/base/team-base-image@prod"),
        ("base", "team/base-image", "release/1", "hubtool/bump/base/team-base-image@release-1"),
        ("b..x.lock", "team/x.lock", "staging", "hubtool/bump/b-x/team-x-lock"),
    ],
)
def test_the_branch_is_named_for_hub_and_image(hub: str, repository: str, base: str, expected: str) -> None:
    assert branch_name(Group.of([hub]), ImageReference("quay.io", repository), base, "staging") == expected


def test_a_long_name_is_cut_and_still_its_own() -> None:
    one, two = (branch_name(Group.of(["b"]), ImageReference("", f"team/{'x' * 200}{end}"), "m", "m") for end in "ab")
    assert one != two
    assert len(one) < 120


def test_hubtool_knows_its_own_commits_again() -> None:
    made = facts()
    message = commit_message(made) + trailers_of(BASE, IMAGE, "f" * 40)
    assert message.startswith(
        "base: base-image T → U\n\nquay.io/team/base-image\n\ndeployments/base/x.yaml: image: T → U\n"
    )
    ours = mark(BASE, IMAGE)
    assert is_untouched(message, "f" * 40, 1, ours)
    assert not is_untouched(message, "e" * 40, 1, ours)
    assert not is_untouched(message, "f" * 40, 2, ours)
    assert not is_untouched(message, "f" * 40, 1, mark(Group.of(["other"]), IMAGE))
    assert not is_untouched("by hand", "f" * 40, 1, ours)


SOURCE = "https://github.com/an-org/base-image"


def test_what_came_with_the_image_is_listed_with_its_pull_requests() -> None:
    subjects = ["Add polars (#17)", "Merge pull request #9 from x/y", "not #3 at all", "evil ](http://x) `@all`"]
    commits = [SourceCommit(f"{number:040x}", subject) for number, subject in enumerate(subjects)]
    text = body(replace(facts(now=Origin(SOURCE, "b" * 40)), commits=commits))
    lines = text.split("Commits of the image since `T`:\n\n")[1].split("\n\n")[0].splitlines()
    assert lines[0].endswith(f"`Add polars (#17)` ([`#17`]({SOURCE}/pull/17))")
    assert lines[1].endswith(f"`Merge pull request #9 from x/y` ([`#9`]({SOURCE}/pull/9))")
    assert lines[2].endswith("`not #3 at all`")
    assert lines[3].endswith("`` evil ](http://x) `@all` ``")


def test_a_long_list_of_commits_is_cut() -> None:
    commits = [SourceCommit(f"{number:040x}", "x" * 500) for number in range(100)]
    text = body(replace(facts(now=Origin(SOURCE, "b" * 40)), commits=commits))
    assert text.count(f"{SOURCE}/commit/0000") == 20
    assert "- … and 80 more" in text


def test_the_test_result_and_the_reason_are_told() -> None:
    text = body(replace(facts(), tests="contract jupyterhub: 14 passed", reason="Rollback: `U` was bad."))
    assert text.startswith("Rollback: `U` was bad.\n\nMoves hub")
    assert "- tests: `contract jupyterhub: 14 passed`\n" in text


def test_a_charts_version_is_a_row_of_its_own() -> None:
    made = facts()
    chart = Change("charts/x/Chart.yaml", b"version: 1.2.3\n", b"version: 1.2.4\n", (), "version 1.2.3 → 1.2.4")
    made = replace(made, changes=[*made.changes, chart])
    assert "| `charts/x/Chart.yaml` | `version` | `1.2.3` | `1.2.4` |" in body(made)
    assert "1 tag in 2 files, and the version of 1 chart; nothing else changes." in body(made)
    assert "charts/x/Chart.yaml: version 1.2.3 → 1.2.4\n" in commit_message(made)


@pytest.mark.parametrize(
    ("hubs", "image", "expected"),
    [
        (["base"], "quay.io/team/base-image", True),
        (["base"], "team/base-image", False),
        (["base", "other"], "quay.io/team/base-image", False),
        (["other"], "quay.io/team/base-image", False),
    ],
)
def test_a_request_is_superseded_where_it_moves_the_same_image_in_no_other_hub(
    hubs: list[str], image: str, expected: bool
) -> None:
    text = f"anything\n{note(Group.of(hubs), ImageReference.parse(image))}\n"
    assert is_superseded(text, BASE, IMAGE) == expected


@pytest.mark.parametrize("text", ["", "<!-- Hubtool-Bump:  -->", "<!-- Hubtool-Bump: x -->", "Hubtool-Bump: base"])
def test_a_body_that_is_not_ours_is_never_superseded(text: str) -> None:
    assert not is_superseded(text, BASE, IMAGE)


def test_a_group_is_known_by_its_hubs_or_its_ring() -> None:
    assert Group.of(["b", "a", "b"]) == Group("b+a", ("b", "a"))
    assert Group.of(["leap"]).renamed(["x/leap"]) == Group("x/leap", ("x/leap",))
    assert Group.of(["leap"], "canary").renamed(["x/leap"]) == Group("ring=canary", ("x/leap",))
    many = Group.of([f"hub{number}" for number in range(200)])
    assert title(replace(facts(), group=many)).startswith("hub0, hub1, hub2 and 197 more: base-image T → U")
    assert len(branch_name(many, IMAGE, "main", "main")) < 150
