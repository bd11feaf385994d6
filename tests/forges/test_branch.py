"""What every Branch promises, held by each kind of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import pytest

from hubtool.errors import HubtoolError
from hubtool.forges import Branch, BranchMoved, Forge, Remote
from hubtool.forges.checkout import Checkout
from hubtool.forges.local import LocalForge
from hubtool.forges.objects import blob_id
from hubtool.process import run
from tests.forges.conftest import FILE, forge_at
from tests.forges.github_server import GitHubServer
from tests.forges.repositories import bare, commit, commit_many, git, has_branch, sha, show

Open = Callable[[], Branch]
PROGRAM = b"#!/bin/sh\nexit 1\n"


@pytest.fixture(params=["local", "clone", "api"])
def forge(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Forge:
    if request.param == "local":
        return LocalForge(request.getfixturevalue("hubs"))
    github: GitHubServer = request.getfixturevalue("github")
    monkeypatch.setenv("GITHUB_TOKEN", github.token())
    if request.param == "clone":
        monkeypatch.setenv("HUBTOOL_GITHUB_CLONE", "1")
    return forge_at(github.api)


@pytest.fixture
def opened(forge: Forge) -> Iterator[Open]:
    """Opens staging as it is when it is called."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(forge.open_branch("staging"))


ODD = {
    "crlf.yaml": b"tag: a\r\nb: 1\r\n",
    "bom.yaml": b"\xef\xbb\xbftag: a\n",
    "no end.yaml": b"tag: a",
    "empty.yaml": b"",
    "latin 1/\u00fc.yaml": b"tag: a # \xfc\n",
    "{{ cookiecutter.hub }}/values.yaml": b"tag: a\n{{ x }}\n",
    "secret.bin": bytes(range(256)) * 40,
    "-x": b"tag: a\n",
    'quo"te\\.yaml': b"tag: a\n\n \n\n",
    "a.b/c.yaml": b"tag: a\n",
    "a/c.yaml": b"tag: a\n",
    "a-b/c.yaml": b"tag: a\n",
}


def special(hubs: Path) -> None:
    """A program, a link and a submodule on staging."""
    program, link = (git(hubs, "hash-object", "-w", "--stdin", input=text) for text in ("#!/bin/sh\n", "/etc/passwd"))
    head = sha(hubs, "staging")
    more = f"\n100755 blob {program}\trun.sh\n120000 blob {link}\tlink.yaml\n160000 commit {head}\tsub\n"
    tree = git(hubs, "mktree", "--missing", input=git(hubs, "ls-tree", head) + more)
    git(hubs, "update-ref", "refs/heads/staging", git(hubs, "commit-tree", tree, "-p", head, "-m", "special"))


# ---- reading and writing


def test_bytes_and_names_are_exact_both_ways(opened: Open, hubs: Path) -> None:
    commit(hubs, "staging", ODD)
    branch = opened()
    files = [file for file in branch.files() if file.path in ODD]
    assert dict(branch.read(files)) == ODD
    assert [path for path, _ in branch.read(files[::-1])] == [file.path for file in files[::-1]]
    moved = {path: data.replace(b"tag: a", b"tag: bb") for path, data in ODD.items()}
    branch.push(branch.commit(branch.write_tree(moved), "move\n"), "hubtool/x", None)
    assert {path: show(hubs, "hubtool/x", path) for path in ODD} == moved
    changed = run("git", "-C", hubs, "diff-tree", "-r", "-z", "--name-only", "staging", "hubtool/x").stdout.split("\0")
    assert set(changed) - {""} == {path for path in ODD if moved[path] != ODD[path]}


def test_only_the_files_that_were_given_change_and_modes_stay(opened: Open, hubs: Path) -> None:
    special(hubs)
    branch = opened()
    made = branch.commit(branch.write_tree({"run.sh": PROGRAM}), "m\n")
    branch.push(made, "hubtool/x", None)
    before, after = (git(hubs, "ls-tree", "-r", name).splitlines() for name in ("staging", "hubtool/x"))
    assert [line for line in after if line not in before] == [f"100755 blob {blob_id(PROGRAM)}\trun.sh"]
    assert len(before) == len(after)
    assert git(hubs, "rev-list", "--parents", "-1", "hubtool/x").split() == [made, branch.base]


def test_links_and_submodules_are_no_files(opened: Open, hubs: Path) -> None:
    special(hubs)
    assert sorted((file.mode, file.path) for file in opened().files()) == [
        ("100644", "README.md"),
        ("100644", FILE),
        ("100755", "run.sh"),
    ]


def test_nothing_is_seen_by_others_before_the_push(opened: Open, hubs: Path) -> None:
    before = git(hubs, "for-each-ref")
    branch = opened()
    branch.commit(branch.write_tree({FILE: b"a: 2\n"}), "m\n")
    assert git(hubs, "for-each-ref") == before


def test_no_changes_are_the_tree_that_is_there(opened: Open, hubs: Path) -> None:
    branch = opened()
    assert branch.write_tree({}) == branch.write_tree(dict(branch.read(branch.files()))) == _tree(hubs, "staging")


def test_the_branch_stays_as_it_was_when_it_was_opened(opened: Open, hubs: Path) -> None:
    branch = opened()
    commit(hubs, "staging", {FILE: "later\n", "new.yaml": "x\n"})
    assert b"aaaa1111" in dict(branch.read(branch.files()))[FILE]
    assert [one.sha for one in branch.history(FILE)] == [branch.base]


def test_a_branch_that_is_not_there_is_named(forge: Forge) -> None:
    with pytest.raises(HubtoolError, match="no branch 'nowhere' in"), forge.open_branch("nowhere"):
        pass


# ---- other branches


def test_a_tip_has_tree_parents_and_message(opened: Open, hubs: Path) -> None:
    branch = opened()
    text = "subject\n\nA line, \u201codd\u201d.\n\nHubtool-Tree: x"
    branch.push(branch.commit(branch.write_tree({FILE: b"a: 2\n"}), text + "\n"), "feature/x+y", None)
    tip = branch.tip("feature/x+y")
    assert tip is not None
    assert (tip.sha, tip.tree) == (sha(hubs, "feature/x+y"), _tree(hubs, "feature/x+y"))
    assert tip.parents == (branch.base,)
    assert tip.message.rstrip("\n") == text
    assert branch.tip("feature") is None


def test_a_branch_is_replaced_where_it_stands_as_expected(opened: Open, hubs: Path) -> None:
    branch = opened()
    branch.push(branch.commit(branch.write_tree({FILE: b"a: 2\n"}), "m\n"), "hubtool/x", None)
    second = branch.commit(branch.write_tree({FILE: b"a: 3\n"}), "m\n")
    branch.push(second, "hubtool/x", branch.tip("hubtool/x"))
    assert sha(hubs, "hubtool/x") == second


def test_what_somebody_pushed_meanwhile_is_not_lost(opened: Open, hubs: Path) -> None:
    branch = opened()
    mine = branch.commit(branch.write_tree({FILE: b"a: 2\n"}), "m\n")
    theirs = commit(hubs, "hubtool/x", {FILE: "a: 9\n"})
    with pytest.raises(BranchMoved):
        branch.push(mine, "hubtool/x", None)
    seen = branch.tip("hubtool/x")
    assert seen is not None
    assert seen.sha == theirs
    commit(hubs, "hubtool/x", {FILE: "a: 10\n"})
    with pytest.raises(BranchMoved):
        branch.push(mine, "hubtool/x", seen)
    git(hubs, "update-ref", "-d", "refs/heads/hubtool/x")
    with pytest.raises(BranchMoved):
        branch.push(mine, "hubtool/x", seen)
    assert not has_branch(hubs, "hubtool/x")


def test_of_two_that_push_one_branch_at_once_one_is_told(forge: Forge, hubs: Path) -> None:
    came = push_at_once(forge, ["hubtool/x"] * 4)
    assert sorted(came.values(), key=str) == ["moved"] * 3 + ["pushed"]
    assert came[sha(hubs, "hubtool/x")] == "pushed"


def test_different_branches_at_once_all_land(forge: Forge, hubs: Path) -> None:
    names = [f"hubtool/{number}" for number in range(4)]
    came = push_at_once(forge, names)
    assert set(came.values()) == {"pushed"}
    assert set(came) == {sha(hubs, name) for name in names}


def push_at_once(forge: Forge, names: list[str]) -> dict[str, str]:
    """What became of a commit for each of NAMES, pushed by as many at the same time."""
    ready, came = threading.Barrier(len(names)), dict[str, str]()

    def push(number: int) -> None:
        with forge.open_branch("staging") as branch:
            made = branch.commit(branch.write_tree({FILE: f"a: {number}\n".encode()}), "m\n")
            ready.wait()
            try:
                branch.push(made, names[number], None)
            except BranchMoved:
                came[made] = "moved"
            else:
                came[made] = "pushed"

    threads = [threading.Thread(target=push, args=(number,)) for number in range(len(names))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return came


def _tree(hubs: Path, branch: str) -> str:
    return git(hubs, "rev-parse", f"{branch}^{{tree}}")


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
    commit_many(hubs, "staging", ({"README.md": f"{number}\n"} for number in range(230)))
    found = list(opened().history(FILE))
    assert [one.sha for one in found] == [old, git(hubs, "rev-list", "--max-parents=0", "staging")]


def test_where_a_clone_ends_is_no_change(opened: Open, hubs: Path) -> None:
    commit_many(hubs, "staging", ({"README.md": f"{number}\n"} for number in range(60)))
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
    commit_many(hubs, "staging", ({FILE: f"tag: {number}\n"} for number in range(100)))
    checkout = Checkout(Remote(hubs.as_uri()), "staging", tmp_path / "clone")
    here = ("rev-list", "--count", "staging")
    assert git(checkout.folder, *here) == "1"
    next(checkout.history(FILE))
    assert git(checkout.folder, *here) == "51"
