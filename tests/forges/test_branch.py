"""What every Branch promises, held by each kind of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import pytest

from hubtool.forges import Branch, Forge, Remote
from hubtool.forges.checkout import Checkout
from hubtool.forges.local import LocalForge
from tests.forges.conftest import FILE, forge_at
from tests.forges.github_server import GitHubServer
from tests.forges.repositories import bare, commit, git

Open = Callable[[], Branch]


@pytest.fixture(params=["local", "clone"])
def forge(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Forge:
    if request.param == "local":
        return LocalForge(request.getfixturevalue("hubs"))
    github: GitHubServer = request.getfixturevalue("github")
    monkeypatch.setenv("GITHUB_TOKEN", github.token())
    monkeypatch.setenv("HUBTOOL_GITHUB_CLONE", "1")
    return forge_at(github.api)


@pytest.fixture
def opened(forge: Forge) -> Iterator[Open]:
    """Opens staging as it is when it is called."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(forge.open_branch("staging"))


# ---- history


def test_history_is_the_commits_that_changed_a_file_newest_first(opened: Open, hubs: Path) -> None:
    first = commit(hubs, "staging", {FILE: "tag: a\n"}, time=1000)
    commit(hubs, "staging", {"README.md": "other\n"}, time=2000)
    second = commit(hubs, "staging", {FILE: "tag: b\n"}, time=3000)
    found = [(one.sha, one.time) for one in opened().history(FILE)]
    assert found[:2] == [(second, 3000), (first, 1000)]
    assert len(found) == 3


def test_history_goes_back_beyond_what_travels_first(opened: Open, hubs: Path) -> None:
    old = commit(hubs, "staging", {FILE: "tag: old\n"}, time=1000)
    for number in range(230):
        commit(hubs, "staging", {"README.md": f"{number}\n"}, time=2000 + number)
    found = list(opened().history(FILE))
    assert [one.sha for one in found] == [old, git(hubs, "rev-list", "--max-parents=0", "staging")]


def test_where_a_clone_ends_is_no_change(forge: Forge, opened: Open, hubs: Path) -> None:
    for number in range(60):
        commit(hubs, "staging", {"README.md": f"{number}\n"})
    root = git(hubs, "rev-list", "--max-parents=0", "staging")
    assert [one.sha for one in opened().history(FILE)] == [root]
    assert list(opened().history("not/there.yaml")) == []


def test_a_file_that_was_removed_and_came_back_has_all_of_its_history(opened: Open, hubs: Path) -> None:
    gone = commit(hubs, "staging", {FILE: None})
    back = commit(hubs, "staging", {FILE: "tag: c\n"})
    branch = opened()
    assert [one.sha for one in branch.history(FILE)][:2] == [back, gone]
    assert branch.read_at(gone, [FILE, "README.md"]) == {"README.md": b"hubs\n"}


def test_a_path_with_signs_of_patterns_is_that_path(opened: Open, hubs: Path) -> None:
    odd = "deployments/{{ hub }}/*.yaml"
    commit(hubs, "staging", {"deployments/{{ hub }}/x.yaml": "a: 1\n"})
    made = commit(hubs, "staging", {odd: "a: 1\n"})
    assert [one.sha for one in opened().history(odd)] == [made]


def test_a_files_bytes_at_an_earlier_commit_are_exact(opened: Open, hubs: Path) -> None:
    then = {FILE: b"\xef\xbb\xbftag: a\r\nb: \xc3\xa9", "bin": bytes(range(256)), "a b/ü.yaml": b""}
    commit(hubs, "staging", then)
    commit(hubs, "staging", dict.fromkeys(then, b"x: later\n"))
    branch = opened()
    earlier = list(islice(branch.history("bin"), 2))[1].sha
    assert branch.read_at(earlier, [*then, "not there"]) == then


def test_a_clones_history_is_that_of_first_parents(hubs: Path) -> None:
    git(hubs, "branch", "topic", "staging")
    commit(hubs, "topic", {FILE: "tag: t1\n"})
    commit(hubs, "topic", {FILE: "tag: t2\n"})
    commit(hubs, "staging", {"README.md": "on\n"})
    merged = commit(hubs, "staging", {FILE: "tag: t2\n"}, merge="topic")
    with LocalForge(hubs).open_branch("staging") as branch:
        found = [one.sha for one in branch.history(FILE)]
    assert found == [merged, git(hubs, "rev-list", "--max-parents=0", "staging")]


def test_a_repository_that_is_shallow_itself_gives_the_history_it_has(hubs: Path, tmp_path: Path) -> None:
    for number in range(5):
        commit(hubs, "staging", {FILE: f"tag: {number}\n"})
    git(tmp_path, "clone", "--quiet", "--bare", "--depth=3", hubs.as_uri(), "shallow.git")
    with LocalForge(tmp_path / "shallow.git").open_branch("staging") as branch:
        assert len(list(branch.history(FILE))) == 2


def test_history_travels_as_it_is_asked_for(tmp_path: Path) -> None:
    hubs = bare(tmp_path / "long.git", {FILE: "tag: 0\n"})
    for number in range(100):
        commit(hubs, "staging", {FILE: f"tag: {number}\n"})
    checkout = Checkout(Remote(hubs.as_uri()), "staging", tmp_path / "clone")
    here = ("rev-list", "--count", "staging")
    assert git(checkout.folder, *here) == "1"
    next(checkout.history(FILE))
    assert git(checkout.folder, *here) == "51"
