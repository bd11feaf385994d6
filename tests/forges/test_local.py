from __future__ import annotations

import threading
from pathlib import Path

import pytest

from hubtool.errors import HubtoolError
from hubtool.forges import Proposal
from hubtool.forges.local import LocalForge
from hubtool.process import run
from tests.forges.repositories import commit, git, sha

FILE = "deployments/base/config/common.yaml"
HEAD = "hubtool/bump/base/x"
PROPOSAL = Proposal(HEAD, "staging", 'base: "x" 1 → 2', "Moves it.\n\n---\n\nfront: no\n", ("hub: base",))


@pytest.fixture
def branch(hubs: Path) -> str:
    git(hubs, "branch", HEAD, "staging")
    return commit(hubs, HEAD, {FILE: "a: 1\n"})


def test_a_request_is_a_ref_and_a_markdown_file(hubs: Path, branch: str) -> None:
    request = LocalForge(hubs).open_request(PROPOSAL)
    assert (request.number, request.state) == (1, "created")
    assert request.url == (hubs / "requests/1.md").as_uri()
    assert git(hubs, "rev-parse", "refs/requests/1/head") == branch
    assert (hubs / "requests/1.md").read_text() == (
        '---\nnumber: 1\nstate: "open"\nhead: "hubtool/bump/base/x"\nbase: "staging"\n'
        'title: "base: \\"x\\" 1 → 2"\nlabels: ["hub: base"]\n---\n\nMoves it.\n\n---\n\nfront: no\n'
    )


def test_opened_twice_there_is_one_request_and_the_file_is_not_written(hubs: Path, branch: str) -> None:
    forge = LocalForge(hubs)
    forge.open_request(PROPOSAL)
    before = (hubs / "requests/1.md").stat().st_ino
    assert forge.open_request(PROPOSAL).state == "unchanged"
    assert (hubs / "requests/1.md").stat().st_ino == before
    assert [file.name for file in (hubs / "requests").iterdir()] == ["1.md"]


def test_a_branch_that_moved_refreshes_the_request(hubs: Path, branch: str) -> None:
    forge = LocalForge(hubs)
    forge.open_request(PROPOSAL)
    moved = commit(hubs, HEAD, {FILE: "a: 2\n"})
    again = forge.open_request(PROPOSAL)
    assert (again.number, again.state) == (1, "refreshed")
    assert git(hubs, "rev-parse", "refs/requests/1/head") == moved


def test_a_request_that_was_merged_is_followed_by_a_new_one(hubs: Path, branch: str) -> None:
    forge = LocalForge(hubs)
    forge.open_request(PROPOSAL)
    git(hubs, "update-ref", "refs/heads/staging", branch)
    commit(hubs, HEAD, {FILE: "a: 3\n"})
    assert forge.open_request(PROPOSAL).number == 2
    assert 'state: "merged"' in (hubs / "requests/1.md").read_text()


def test_a_request_that_a_person_closed_is_followed_by_a_new_one(hubs: Path, branch: str) -> None:
    forge = LocalForge(hubs)
    forge.open_request(PROPOSAL)
    file = hubs / "requests/1.md"
    file.write_text(file.read_text().replace('"open"', '"closed"'))
    assert forge.open_request(PROPOSAL).number == 2


def test_a_request_file_that_was_broken_by_hand_is_named(hubs: Path, branch: str) -> None:
    forge = LocalForge(hubs)
    forge.open_request(PROPOSAL)
    (hubs / "requests/1.md").write_text("hello")
    with pytest.raises(HubtoolError, match="not a request that hubtool wrote") as caught:
        forge.open_request(PROPOSAL)
    assert caught.value.where is not None
    assert str(caught.value.where.file).endswith("requests/1.md")


def test_many_at_once_get_a_number_each(hubs: Path) -> None:
    heads = [f"hubtool/bump/hub{n}/x" for n in range(8)]
    for head in heads:
        git(hubs, "branch", head, "staging")
        commit(hubs, head, {FILE: f"a: {head}\n"})
    numbers: list[int] = []
    ready = threading.Barrier(8)

    def open_one(head: str) -> None:
        ready.wait()
        numbers.append(LocalForge(hubs).open_request(Proposal(head, "staging", head, "b")).number)

    threads = [threading.Thread(target=open_one, args=(head,)) for head in heads]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(1, 9))


def test_a_repository_with_a_work_tree_keeps_its_requests_in_its_git_folder(tmp_path: Path) -> None:
    work = tmp_path / "work"
    run("git", "init", "--quiet", "--initial-branch=main", work)
    commit(work / ".git", "main", {FILE: "a: 0\n"})
    commit(work / ".git", HEAD, {FILE: "a: 1\n"})
    request = LocalForge(work).open_request(Proposal(HEAD, "main", "t", "b"))
    assert request.url == (work / ".git/requests/1.md").as_uri()
    assert LocalForge(work).default_branch() == "main"


@pytest.mark.parametrize("make", [False, True])
def test_a_folder_that_is_no_repository_is_an_error(tmp_path: Path, make: bool) -> None:
    if make:
        (tmp_path / "x").mkdir()
    with pytest.raises(HubtoolError, match="git repository"):
        LocalForge(tmp_path / "x").open_request(PROPOSAL)


def test_may_open_says_who(hubs: Path) -> None:
    assert str(hubs) in LocalForge(hubs).may_open()


# ---- requests


def test_open_requests_are_those_for_the_base_that_are_not_merged(hubs: Path, branch: str) -> None:
    forge = LocalForge(hubs)
    for head, base in [(HEAD, "staging"), ("merged", "staging"), ("other", "prod")]:
        commit(hubs, head, {FILE: f"a: {head}\n"})
        forge.open_request(Proposal(head, base, f"title of {head}", "b\n"))
    git(hubs, "update-ref", "refs/heads/staging", sha(hubs, "merged"))
    found = forge.requests("staging")
    assert [(one.number, one.head, one.title, one.body) for one in found] == [(1, HEAD, f"title of {HEAD}", "b\n")]
    assert found[0].url == (hubs / "requests/1.md").as_uri()
    assert forge.requests("nowhere") == []


def test_a_closed_request_says_why_and_keeps_its_branch(hubs: Path, branch: str) -> None:
    forge = LocalForge(hubs)
    forge.open_request(PROPOSAL)
    forge.close_request(1, 'Superseded by\n[2](file:///x) → "two".')
    text = (hubs / "requests/1.md").read_text()
    assert 'state: "closed"' in text
    assert 'comment: "Superseded by\\n[2](file:///x) → \\"two\\"."' in text
    assert text.endswith("\n\n" + PROPOSAL.body)
    assert forge.requests("staging") == []
    assert sha(hubs, HEAD) == branch
    assert forge.open_request(PROPOSAL).number == 2


def test_closed_twice_the_first_reason_stays(hubs: Path, branch: str) -> None:
    forge = LocalForge(hubs)
    forge.open_request(PROPOSAL)
    forge.close_request(1, "first")
    forge.close_request(1, "second")
    assert 'comment: "first"' in (hubs / "requests/1.md").read_text()


def test_a_request_that_is_not_there_can_not_be_closed(hubs: Path) -> None:
    with pytest.raises(HubtoolError, match="has no request 7"):
        LocalForge(hubs).close_request(7, "x")


def test_where_nothing_was_ever_requested_there_are_no_requests(hubs: Path) -> None:
    assert LocalForge(hubs).requests("staging") == []
