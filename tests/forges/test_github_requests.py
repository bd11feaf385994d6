"""Pull requests that others opened before, and commits of the repository that an image came from."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest

from hubtool.errors import HubtoolError
from hubtool.forges.github import GitHubForge
from tests.forges.conftest import NAME, PROPOSAL, forge_at
from tests.forges.github_server import Fault, GitHubServer
from tests.forges.repositories import bare, commit, commit_many, git, sha


@pytest.fixture
def forge(github: GitHubServer, monkeypatch: pytest.MonkeyPatch) -> GitHubForge:
    monkeypatch.setenv("GITHUB_TOKEN", github.token())
    return forge_at(github.api)


def open_many(forge: GitHubForge, github: GitHubServer, count: int) -> None:
    """COUNT pull requests, all of the one branch."""
    forge.open_request(PROPOSAL)
    first = github.pulls[NAME][0]
    github.pulls[NAME] += [{**deepcopy(first), "number": number} for number in range(2, count + 1)]


# ---- requests


def test_all_open_requests_for_a_base_are_listed(forge: GitHubForge, github: GitHubServer, branch: str) -> None:
    forge.open_request(PROPOSAL)
    found = forge.requests("staging")
    assert [(one.number, one.head, one.title, one.body) for one in found] == [
        (1, PROPOSAL.head, PROPOSAL.title, PROPOSAL.body)
    ]
    assert found[0].url == f"{github.url}/{NAME}/pull/1"
    assert forge.requests("prod") == []


def test_requests_on_later_pages_are_listed_too(forge: GitHubForge, github: GitHubServer, branch: str) -> None:
    open_many(forge, github, 103)
    assert [one.number for one in forge.requests("staging")] == list(range(1, 104))


def test_requests_from_forks_and_closed_ones_are_left_out(
    forge: GitHubForge, github: GitHubServer, branch: str
) -> None:
    open_many(forge, github, 4)
    fork, gone, closed, _ = github.pulls[NAME]
    fork["head"]["repo"]["full_name"] = "somebody/some-hubs"
    gone["head"]["repo"] = None
    closed["state"] = "closed"
    assert [one.number for one in forge.requests("staging")] == [4]
    # GitHub gives null for the repository of a fork that was deleted; its description does not say so.
    assert {one.split("$")[1].split(":")[0] for one in github.problems} == {"[1].head.repo"}
    github.problems.clear()


def test_a_request_without_a_body_has_an_empty_one(forge: GitHubForge, github: GitHubServer, branch: str) -> None:
    forge.open_request(PROPOSAL)
    github.pulls[NAME][0]["body"] = None
    assert forge.requests("staging")[0].body == ""


def test_a_request_is_closed_with_the_reason_and_keeps_its_branch(
    forge: GitHubForge, github: GitHubServer, branch: str, hubs: Path
) -> None:
    forge.open_request(PROPOSAL)
    forge.close_request(1, "Superseded by #2.")
    assert github.pulls[NAME][0]["state"] == "closed"
    assert github.comments[NAME] == {1: ["Superseded by #2."]}
    assert sha(hubs, PROPOSAL.head)
    assert forge.requests("staging") == []


def test_a_request_that_is_closed_already_is_left_alone(forge: GitHubForge, github: GitHubServer, branch: str) -> None:
    forge.open_request(PROPOSAL)
    forge.close_request(1, "first")
    before = github.writes()
    forge.close_request(1, "second")
    assert github.writes() == before


@pytest.mark.parametrize("status", [0, 502])
def test_a_reason_that_got_there_though_the_answer_did_not_is_given_once(
    forge: GitHubForge, github: GitHubServer, branch: str, status: int
) -> None:
    forge.open_request(PROPOSAL)
    github.faults.append(Fault("POST", "/comments$", status, then_do=True))
    forge.close_request(1, "Superseded by #2.\n")
    assert github.comments[NAME] == {1: ["Superseded by #2.\n"]}
    assert github.pulls[NAME][0]["state"] == "closed"


def test_killed_between_reason_and_end_it_is_closed_by_the_next_run(
    forge: GitHubForge, github: GitHubServer, branch: str
) -> None:
    forge.open_request(PROPOSAL)
    github.faults.append(Fault("PATCH", "/pulls/1$", 404, "Not Found"))
    with pytest.raises(HubtoolError, match="no permission to close a pull request of an-org/some-hubs"):
        forge.close_request(1, "why")
    forge.close_request(1, "why")
    assert github.comments[NAME] == {1: ["why"]}
    assert github.pulls[NAME][0]["state"] == "closed"


def test_a_request_that_is_not_there_can_not_be_closed(forge: GitHubForge) -> None:
    with pytest.raises(HubtoolError, match="pull requests of an-org/some-hubs"):
        forge.close_request(7, "why")


# ---- commits of the image's source


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return bare(tmp_path / "an-org/image.git", {"environment.yml": "a"}, "main")


def subjects(forge: GitHubForge, github: GitHubServer, old: str, new: str) -> list[str] | None:
    found = forge.commits_between(f"{github.url}/an-org/image", old, new)
    return None if found is None else [one.subject for one in found]


def test_commits_between_two_revisions_are_the_newest_first_by_their_first_lines(
    forge: GitHubForge, github: GitHubServer, source: Path
) -> None:
    old = sha(source, "main")
    first = commit(source, "main", {"environment.yml": "b"}, "Add numpy\n\nBecause.")
    new = commit(source, "main", {"environment.yml": "c"}, "Add <b>|pandas| @team")
    assert subjects(forge, github, old, new) == ["Add <b>|pandas| @team", "Add numpy"]
    assert subjects(forge, github, old[:12], new[:12]) == ["Add <b>|pandas| @team", "Add numpy"]
    found = forge.commits_between(f"{github.url}/an-org/image.git", old, new)
    assert [one.sha for one in found or ()] == [new, first]


def test_of_many_commits_the_newest_hundred_are_told(forge: GitHubForge, github: GitHubServer, source: Path) -> None:
    old = sha(source, "main")
    commit_many(source, "main", ({"environment.yml": f"{number}\n"} for number in range(300)))
    found = forge.commits_between(f"{github.url}/an-org/image", old, sha(source, "main"))
    assert [one.sha for one in found or ()] == git(source, "rev-list", "-100", "main").split()


def test_back_to_an_older_revision_there_are_none(forge: GitHubForge, github: GitHubServer, source: Path) -> None:
    old, new = sha(source, "main"), commit(source, "main", {"environment.yml": "b"})
    assert subjects(forge, github, new, old) == []
    assert subjects(forge, github, new, new) == []


def test_where_two_revisions_have_parted_those_of_the_new_one_are_told(
    forge: GitHubForge, github: GitHubServer, source: Path
) -> None:
    git(source, "branch", "topic")
    left = commit(source, "main", {"environment.yml": "b"}, "left")
    right = commit(source, "topic", {"environment.yml": "c"}, "right")
    assert subjects(forge, github, left, right) == ["right"]


@pytest.mark.parametrize(
    ("address", "old"),
    [
        ("https://elsewhere.example/an-org/image", "{old}"),
        ("{url}/an-org/image", "0123456789"),
        ("{url}/an-org/image", "main"),
        ("{url}/an-org/image", "../../x"),
        ("{url}/an-org/none", "{old}"),
        ("{url}/an-org/image/tree/main", "{old}"),
        ("{url}/an-org/..", "{old}"),
        ("", "{old}"),
        ("http://[", "{old}"),
    ],
)
def test_where_commits_can_not_be_told_there_are_none(
    forge: GitHubForge, github: GitHubServer, source: Path, address: str, old: str
) -> None:
    known = sha(source, "main")
    assert forge.commits_between(address.format(url=github.url), old.format(old=known), known) is None
