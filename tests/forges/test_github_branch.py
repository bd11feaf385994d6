"""A branch at GitHub without a clone: what travels, what is proved, and what goes wrong on the way."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from hubtool.errors import HubtoolError
from hubtool.forges import Branch, BranchMoved
from hubtool.forges.github import GitHubForge
from tests.forges.conftest import FILE, NAME, forge_at
from tests.forges.github_server import Fault, GitHubServer
from tests.forges.repositories import commit, git, has_branch, sha, show

HEAD = "hubtool/bump/base/x"
AFTER = b"a: 2\r\n\xc3\xa9"
REPOS = f"/repos/{NAME}"
Open = Callable[[], Branch]


@pytest.fixture
def forge(github: GitHubServer, monkeypatch: pytest.MonkeyPatch) -> GitHubForge:
    monkeypatch.setenv("GITHUB_TOKEN", github.token())
    return forge_at(github.api)


@pytest.fixture
def opened(forge: GitHubForge) -> Iterator[Open]:
    with ExitStack() as stack:
        yield lambda: stack.enter_context(forge.open_branch("staging"))


def bump(branch: Branch, data: bytes = AFTER) -> str:
    """Read the file, change it, push it; the commit."""
    assert dict(branch.read([file for file in branch.files() if file.path == FILE]))
    made = branch.commit(branch.write_tree({FILE: data}), "move\n\nHubtool-Tree: x\n")
    branch.push(made, HEAD, branch.tip(HEAD))
    return made


# ---- what travels


def test_a_bump_is_a_request_for_each_of_its_parts_and_no_clone(opened: Open, github: GitHubServer, hubs: Path) -> None:
    made = bump(opened())
    assert (sha(hubs, HEAD), show(hubs, HEAD, FILE)) == (made, AFTER)
    assert github.git_seen == []
    tree, blob = git(hubs, "rev-parse", "staging^{tree}"), git(hubs, "rev-parse", f"staging:{FILE}")
    assert github.seen == [
        ("GET", REPOS),
        ("GET", f"{REPOS}/branches/staging"),
        ("GET", f"{REPOS}/git/trees/{tree}"),
        ("GET", f"{REPOS}/git/blobs/{blob}"),
        ("POST", f"{REPOS}/git/trees"),
        ("POST", f"{REPOS}/git/commits"),
        ("GET", f"{REPOS}/branches/hubtool%2Fbump%2Fbase%2Fx"),
        ("POST", "/api/graphql"),
    ]


def test_until_there_is_something_to_commit_nothing_is_written(opened: Open, github: GitHubServer) -> None:
    branch = opened()
    branch.write_tree({FILE: AFTER})
    assert github.writes() == []


def test_a_file_that_is_read_again_does_not_travel_again(opened: Open, github: GitHubServer) -> None:
    branch = opened()
    first = dict(branch.read(branch.files()))
    before = len(github.seen)
    assert dict(branch.read(branch.files())) == first
    assert len(github.seen) == before


def test_many_files_are_read_by_git(opened: Open, github: GitHubServer, hubs: Path) -> None:
    many = {f"deployments/h{number}/a.yaml": f"a: {number}\n".encode() for number in range(70)}
    commit(hubs, "staging", many)
    branch = opened()
    files = [file for file in branch.files() if file.path in many]
    assert dict(branch.read(files[:40])) == {file.path: many[file.path] for file in files[:40]}
    assert github.git_seen == []
    assert dict(branch.read(files)) == many
    assert sum("/git/blobs/" in path for _, path in github.seen) == 40


def test_files_are_read_a_few_at_once(opened: Open, github: GitHubServer, hubs: Path) -> None:
    commit(hubs, "staging", {f"deployments/h{number}/a.yaml": f"a: {number}\n" for number in range(50)})
    branch = opened()
    assert len(dict(branch.read(branch.files()))) == 52
    assert 1 < github.most_busy <= 4


def test_a_file_that_is_more_than_github_gives_is_read_by_git(opened: Open, github: GitHubServer, hubs: Path) -> None:
    commit(hubs, "staging", {"large.yaml": bytes(50_000_001)})
    branch = opened()
    read = dict(branch.read([file for file in branch.files() if file.path == "large.yaml"]))
    assert read == {"large.yaml": bytes(50_000_001)}
    assert not any("/git/blobs/" in path for _, path in github.seen)


def test_that_many_files_are_read_as_they_were_when_it_was_opened(opened: Open, hubs: Path) -> None:
    many = {f"deployments/h{number}/a.yaml": f"a: {number}\n".encode() for number in range(70)}
    commit(hubs, "staging", many)
    branch = opened()
    commit(hubs, "staging", dict.fromkeys(many, "later\n"))
    assert {path: data for path, data in branch.read(branch.files()) if path in many} == many


def test_the_token_stands_in_no_address_and_no_log(
    opened: Open, github: GitHubServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    bump(opened())
    token = next(iter(github.tokens))
    assert "/git/blobs/" in caplog.text
    assert token not in caplog.text
    assert token not in str(github.seen)


# ---- where git does it


def assert_cloned(github: GitHubServer) -> None:
    assert ("POST", f"/{NAME}.git/git-upload-pack") in github.git_seen


@pytest.mark.parametrize("name", [b"caf\xe9.yaml", b"\xff/x.yaml"])
def test_a_name_that_json_can_not_hold_is_read_from_a_clone(
    opened: Open, github: GitHubServer, hubs: Path, name: bytes
) -> None:
    commit(hubs, "staging", {name.decode("utf-8", "surrogateescape"): "a: 1\n"})
    branch = opened()
    assert_cloned(github)
    assert name.decode("utf-8", "surrogateescape") in [file.path for file in branch.files()]
    bump(branch)
    assert git(hubs, "diff-tree", "-r", "--name-only", "staging", HEAD) == FILE


def test_a_list_that_is_cut_is_read_from_a_clone(opened: Open, github: GitHubServer, hubs: Path) -> None:
    github.most_entries = 1
    branch = opened()
    assert_cloned(github)
    bump(branch)
    assert git(hubs, "diff-tree", "-r", "--name-only", "staging", HEAD) == FILE


def test_who_wants_it_has_git_do_all(opened: Open, github: GitHubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBTOOL_GITHUB_CLONE", "1")
    bump(opened())
    assert_cloned(github)
    assert github.seen == []


def test_a_server_that_lacks_the_mutation_is_pushed_to_by_git(opened: Open, github: GitHubServer, hubs: Path) -> None:
    github.knows_update_refs = False
    branch = opened()
    first = bump(branch)
    assert sha(hubs, HEAD) == first
    second = bump(branch, b"a: 3\n")
    assert (sha(hubs, HEAD), show(hubs, HEAD, FILE)) == (second, b"a: 3\n")
    seen = branch.tip(HEAD)
    theirs = commit(hubs, HEAD, {FILE: "a: 9\n"})
    with pytest.raises(BranchMoved):
        branch.push(second, HEAD, seen)
    assert sha(hubs, HEAD) == theirs


# ---- what is proved


def test_other_bytes_than_those_of_the_file_are_refused(opened: Open, github: GitHubServer) -> None:
    github.spoilt = True
    branch = opened()
    with pytest.raises(HubtoolError, match=f"other bytes than those of {FILE}"):
        list(branch.read([file for file in branch.files() if file.path == FILE]))


def test_text_that_comes_out_otherwise_is_sent_as_bytes(opened: Open, github: GitHubServer, hubs: Path) -> None:
    github.mangle = lambda text: text.replace("\r\n", "\n")
    bump(opened())
    assert show(hubs, HEAD, FILE) == AFTER
    assert ("POST", f"{REPOS}/git/blobs") in github.seen


def test_another_tree_than_was_meant_is_never_committed(opened: Open, github: GitHubServer, hubs: Path) -> None:
    github.mangle = lambda text: text + "!"
    github.faults.append(Fault("POST", "/git/blobs$", 201, body={"sha": sha(hubs, "staging"), "url": "https://x"}))
    branch = opened()
    tree = branch.write_tree({FILE: AFTER})
    with pytest.raises(HubtoolError, match="GitHub made another tree"):
        branch.commit(tree, "m\n")
    assert not any("/git/commits" in path for _, path in github.seen)


# ---- what goes wrong on the way

PARTS = [
    ("GET", "/some-hubs$"),
    ("GET", "/branches/staging$"),
    ("GET", "/git/trees/"),
    ("GET", "/git/blobs/"),
    ("POST", "/git/trees$"),
    ("POST", "/git/commits$"),
    ("GET", "/branches/hubtool"),
    ("POST", "/graphql$"),
]
FAULTS = {
    "502": Fault("", "", 502, times=2),
    "429": Fault("", "", 429, "slow down", {"Retry-After": "0"}),
    "secondary limit": Fault("", "", 403, "You have exceeded a secondary rate limit.", {"Retry-After": "0"}),
    "cut, though it was done": Fault("", "", 0, then_do=True),
}


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize(("method", "pattern"), PARTS)
def test_what_passes_is_waited_for_and_the_bump_lands_once(
    opened: Open, github: GitHubServer, hubs: Path, method: str, pattern: str, kind: str
) -> None:
    github.faults.append(replace(FAULTS[kind], method=method, pattern=pattern))
    made = bump(opened())
    assert github.faults[0].times == 0
    assert (sha(hubs, HEAD), show(hubs, HEAD, FILE)) == (made, AFTER)
    assert git(hubs, "for-each-ref", "--format=%(refname:short)").split() == [HEAD, "staging"]


def test_a_limit_of_graphqls_own_is_waited_for(opened: Open, github: GitHubServer, hubs: Path) -> None:
    limit = {"errors": [{"type": "RATE_LIMITED", "message": "API rate limit exceeded"}]}
    github.faults.append(Fault("POST", "/graphql$", 200, headers={"Retry-After": "1"}, body=limit))
    started = time.monotonic()
    assert bump(opened()) == sha(hubs, HEAD)
    assert time.monotonic() - started > 1


def test_a_limit_that_lasts_too_long_says_how_long_and_later_it_goes_on(
    opened: Open, github: GitHubServer, hubs: Path
) -> None:
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + 3000)}
    github.faults.append(Fault("POST", "/git/commits$", 403, "API rate limit exceeded", headers))
    with pytest.raises(HubtoolError, match=r"rate limit is used up for (2999|300\d) s"):
        bump(opened())
    assert bump(opened()) == sha(hubs, HEAD)


def test_an_answer_that_says_nothing_is_no_push(opened: Open, github: GitHubServer, hubs: Path) -> None:
    github.faults.append(Fault("POST", "/graphql$", 200, body={}))
    with pytest.raises(HubtoolError, match="gave no answer"):
        bump(opened())
    assert not has_branch(hubs, HEAD)


def test_a_branch_that_the_repository_does_not_take_is_githubs_own_word(opened: Open, hubs: Path) -> None:
    hook = hubs / "hooks/reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(HubtoolError, match=rf"GitHub refused to push the branch {HEAD} to .*Reference refs/heads"):
        bump(opened())


@pytest.mark.parametrize(("contents", "doing"), [("read", "write to"), ("none", "read")])
def test_a_token_that_may_not_is_told_what_it_needs(
    github: GitHubServer, monkeypatch: pytest.MonkeyPatch, contents: str, doing: str
) -> None:
    token = github.token(contents=contents, metadata="read", pull_requests="write")
    monkeypatch.setenv("GITHUB_TOKEN", token)
    with pytest.raises(HubtoolError) as caught, forge_at(github.api).open_branch("staging") as branch:
        bump(branch)
    assert f"no permission to {doing} an-org/some-hubs with the token in $GITHUB_TOKEN" in str(caught.value)
    assert "contents:write" in str(caught.value)
    assert token not in str(caught.value)


def test_a_branch_by_its_old_name_is_not_there(forge: GitHubForge, github: GitHubServer) -> None:
    github.renamed["master"] = "staging"
    with pytest.raises(HubtoolError, match="no branch 'master'"), forge.open_branch("master"):
        pass
