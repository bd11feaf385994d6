from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from hubtool.errors import HubtoolError
from hubtool.forges import Proposal, open_forge
from hubtool.forges.checkout import Checkout
from hubtool.forges.github import GitHubForge
from hubtool.forges.github_wire import web_host
from tests.forges.conftest import FILE, NAME, PROPOSAL, forge_at
from tests.forges.github_server import Fault, GitHubServer
from tests.forges.repositories import commit, sha


@pytest.fixture
def forge(github: GitHubServer, monkeypatch: pytest.MonkeyPatch) -> GitHubForge:
    """The forge with a token that may do all, and waits that are short."""
    monkeypatch.setenv("GITHUB_TOKEN", github.token())
    return forge_at(github.api, pause=0.01)


def test_a_request_is_opened_with_title_body_and_labels(forge: GitHubForge, github: GitHubServer, branch: str) -> None:
    request = forge.open_request(PROPOSAL)
    assert (request.number, request.state) == (1, "created")
    assert request.url == f"{github.url}/{NAME}/pull/1"
    pull = github.pulls[NAME][0]
    assert (pull["title"], pull["body"], pull["base"]["ref"]) == (PROPOSAL.title, PROPOSAL.body, "staging")
    assert [label["name"] for label in pull["labels"]] == ["hub: base"]


def test_opened_twice_there_is_one_request_and_nothing_is_written(
    forge: GitHubForge, github: GitHubServer, branch: str
) -> None:
    forge.open_request(PROPOSAL)
    before = github.writes()
    assert forge.open_request(PROPOSAL).state == "unchanged"
    assert github.writes() == before
    assert len(github.pulls[NAME]) == 1


def test_a_body_that_came_back_with_other_line_ends_is_the_same(
    forge: GitHubForge, github: GitHubServer, branch: str
) -> None:
    forge.open_request(PROPOSAL)
    github.pulls[NAME][0]["body"] = "Moves it.\r\n"
    assert forge.open_request(PROPOSAL).state == "unchanged"


def test_a_new_title_or_body_refreshes_the_request_in_place(
    forge: GitHubForge, github: GitHubServer, branch: str
) -> None:
    forge.open_request(PROPOSAL)
    again = forge.open_request(Proposal(PROPOSAL.head, "staging", "base: x 1 → 3", "Moves it on.\n", ("hub: base",)))
    assert (again.number, again.state) == (1, "refreshed")
    assert github.pulls[NAME][0]["title"] == "base: x 1 → 3"


def test_labels_of_a_person_stay(forge: GitHubForge, github: GitHubServer, branch: str) -> None:
    forge.open_request(PROPOSAL)
    github.pulls[NAME][0]["labels"][0]["name"] = "keep me"
    assert forge.open_request(PROPOSAL).state == "refreshed"
    assert {label["name"] for label in github.pulls[NAME][0]["labels"]} == {"keep me", "hub: base"}


def test_a_closed_request_is_not_reopened_but_followed_by_a_new_one(
    forge: GitHubForge, github: GitHubServer, branch: str
) -> None:
    forge.open_request(PROPOSAL)
    github.pulls[NAME][0]["state"] = "closed"
    assert forge.open_request(PROPOSAL).number == 2


def test_a_request_for_another_base_is_another_request(
    forge: GitHubForge, github: GitHubServer, branch: str, hubs: Path
) -> None:
    forge.open_request(PROPOSAL)
    commit(hubs, "prod", {FILE: "a: 0\n"})
    assert forge.open_request(Proposal(PROPOSAL.head, "prod", "t", "b")).number == 2


def test_labels_that_may_not_be_set_do_not_fail_the_request(
    forge: GitHubForge, github: GitHubServer, branch: str, capsys: pytest.CaptureFixture[str]
) -> None:
    github.faults.append(Fault("POST", "/labels$", 404, "Not Found"))
    assert forge.open_request(PROPOSAL).state == "created"
    assert "has no label hub: base" in capsys.readouterr().err


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_server_error_that_passes_is_waited_for(
    forge: GitHubForge, github: GitHubServer, branch: str, status: int
) -> None:
    github.faults.append(Fault("GET", "/pulls$", status, times=2))
    assert forge.open_request(PROPOSAL).state == "created"


def test_a_request_that_was_made_though_the_answer_was_502_is_found(
    forge: GitHubForge, github: GitHubServer, branch: str
) -> None:
    github.faults.append(Fault("POST", "/pulls$", 502, then_do=True))
    assert forge.open_request(PROPOSAL).number == 1
    assert len(github.pulls[NAME]) == 1


def test_a_server_error_that_stays_ends_in_an_error(forge: GitHubForge, github: GitHubServer) -> None:
    github.faults.append(Fault("GET", "/pulls$", 502, "Bad gateway", times=99))
    with pytest.raises(HubtoolError, match=r"\(502\): Bad gateway"):
        forge.open_request(PROPOSAL)
    assert github.seen.count(("GET", f"/repos/{NAME}/pulls")) == 5


def test_retry_after_is_honoured(forge: GitHubForge, github: GitHubServer, branch: str) -> None:
    github.faults.append(Fault("POST", "/pulls$", 403, "secondary rate limit", {"Retry-After": "1"}))
    started = time.monotonic()
    assert forge.open_request(PROPOSAL).state == "created"
    assert 1 < time.monotonic() - started < 20


def test_a_rate_limit_that_lasts_too_long_is_an_error_that_says_how_long(
    forge: GitHubForge, github: GitHubServer
) -> None:
    reset = str(int(time.time()) + 3000)
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
    github.faults.append(Fault("GET", f"{NAME}$", 403, "API rate limit exceeded", headers))
    with pytest.raises(HubtoolError, match=r"rate limit is used up for (2999|300\d) s"):
        forge.default_branch()


def test_no_permission_to_open_a_request_says_which_are_needed(
    github: GitHubServer, branch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = github.token(contents="write", metadata="read")
    monkeypatch.setenv("GH_TOKEN", token)
    forge = forge_at(github.api)
    with pytest.raises(HubtoolError) as caught:
        forge.open_request(PROPOSAL)
    assert "no permission to open a pull request on an-org/some-hubs with the token in $GH_TOKEN" in str(caught.value)
    assert "contents:write and pull_requests:write" in str(caught.value)
    assert token not in str(caught.value)


def test_a_token_that_github_does_not_know_is_named_by_its_variable(
    github: GitHubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBTOOL_GITHUB_TOKEN", "ghp_revoked")
    with pytest.raises(HubtoolError, match=r"does not accept the token in \$HUBTOOL_GITHUB_TOKEN") as caught:
        forge_at(github.api).default_branch()
    assert "ghp_revoked" not in str(caught.value)


def test_no_token_at_all_says_what_to_set(github: GitHubServer) -> None:
    with pytest.raises(HubtoolError, match="HUBTOOL_GITHUB_APP_ID"):
        forge_at(github.api).default_branch()


def test_a_repository_that_is_not_there_is_named(github: GitHubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", github.token())
    with pytest.raises(HubtoolError, match="no repository an-org/other on 127\\.0\\.0\\.1"):
        GitHubForge("an-org", "other", github.api).default_branch()


def test_a_server_that_is_not_there_is_an_error_without_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_x")
    with pytest.raises(HubtoolError, match="can't be reached"):
        GitHubForge("a", "b", "http://127.0.0.1:1/api/v3", pause=0.001).default_branch()


def test_a_base_branch_that_is_missing_is_githubs_own_word(
    forge: GitHubForge, github: GitHubServer, branch: str
) -> None:
    with pytest.raises(HubtoolError, match=r"\(422\): Validation Failed; invalid"):
        forge.open_request(Proposal(branch, "nowhere", "t", "b"))


# ---- may_open


def test_may_open_names_who_hubtool_is(forge: GitHubForge) -> None:
    assert forge.may_open() == "the token in $GITHUB_TOKEN"


def test_may_open_refuses_a_token_that_may_only_read(github: GitHubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", github.token(contents="read", metadata="read"))
    with pytest.raises(HubtoolError, match="may not push to an-org/some-hubs"):
        forge_at(github.api).may_open()


def test_may_open_refuses_an_archived_repository(forge: GitHubForge, github: GitHubServer) -> None:
    github.archived = True
    with pytest.raises(HubtoolError, match="archived"):
        forge.may_open()


# ---- where an image came from


def test_the_pull_request_that_brought_a_commit_is_found(forge: GitHubForge, github: GitHubServer) -> None:
    github.commit_pulls["a" * 40] = [17]
    assert forge.merged_request(f"{github.url}/{NAME}", "a" * 40) == 17


@pytest.mark.parametrize(
    ("source", "revision"),
    [
        ("https://elsewhere.example/a/b", "a" * 40),
        ("{url}/an-org/some-hubs", "not-a-commit"),
        ("{url}/an-org/some-hubs", "b" * 40),
        ("{url}/an-org/private", "a" * 40),
        ("{url}/an-org", "a" * 40),
    ],
)
def test_where_it_can_not_be_told_there_is_none(
    forge: GitHubForge, github: GitHubServer, source: str, revision: str
) -> None:
    github.commit_pulls["a" * 40] = [17]
    assert forge.merged_request(source.format(url=github.url), revision) is None


# ---- git over HTTP


def test_git_reads_and_pushes_with_the_token(forge: GitHubForge, hubs: Path, tmp_path: Path) -> None:
    checkout = Checkout(forge.remote(), "staging", tmp_path / "clone")
    data = dict(checkout.read(checkout.files()))[FILE]
    tree = checkout.write_tree({FILE: data.replace(b"aaaa1111", b"bbbb2222")})
    made = checkout.commit(tree, "move\n")
    checkout.push(made, "hubtool/x", None)
    assert sha(hubs, "hubtool/x") == made


def test_the_token_stands_in_no_file_of_the_clone_and_in_no_remote(
    forge: GitHubForge, github: GitHubServer, tmp_path: Path
) -> None:
    remote = forge.remote()
    Checkout(remote, "staging", tmp_path / "clone")
    token = next(iter(github.tokens))
    header = next(value for key, value in remote.config if value.startswith("Authorization")).split()[-1]
    assert token not in repr(remote)
    assert header not in repr(remote)
    for file in (tmp_path / "clone").rglob("*"):
        if file.is_file():
            assert token.encode() not in file.read_bytes()
            assert header.encode() not in file.read_bytes()


def test_the_token_stands_in_no_programs_arguments(
    forge: GitHubForge, github: GitHubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A git that writes its arguments down, then does its work."""
    log, real = tmp_path / "argv", shutil.which("git")
    (tmp_path / "bin").mkdir()
    recorder = tmp_path / "bin/git"
    recorder.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {log}\nexec {real} "$@"\n')
    recorder.chmod(0o755)
    monkeypatch.setenv("PATH", f"{recorder.parent}:{os.environ['PATH']}")
    checkout = Checkout(forge.remote(), "staging", tmp_path / "clone")
    checkout.push(checkout.commit(checkout.write_tree({FILE: b"a: 1\n"}), "m\n"), "hubtool/x", None)
    words = log.read_text()
    assert "push" in words.split()
    assert next(iter(github.tokens)) not in words
    assert "Basic" not in words
    assert "x-access-token" not in words


def test_a_header_of_the_machines_own_does_not_stand_beside_ours(
    forge: GitHubForge, github: GitHubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GitHub refuses two Authorization headers; actions/checkout and others leave one in git's configuration."""
    header = f'[http "{github.url}/"]\n\textraHeader = Authorization: Basic c29tZTpib2R5\n'
    (tmp_path / "gitconfig").write_text(header)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    assert Checkout(forge.remote(), "staging", tmp_path / "clone").files()


def test_a_token_that_may_not_push_is_said_so(
    github: GitHubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = github.token(contents="read", metadata="read")
    monkeypatch.setenv("GITHUB_TOKEN", token)
    checkout = Checkout(forge_at(github.api).remote(), "staging", tmp_path / "clone")
    made = checkout.commit(checkout.write_tree({FILE: b"a: 1\n"}), "move\n")
    with pytest.raises(HubtoolError, match="no permission to push the branch hubtool/x") as caught:
        checkout.push(made, "hubtool/x", None)
    assert token not in str(caught.value)


# ---- addresses


@pytest.mark.parametrize(
    ("api", "host"),
    [
        ("https://api.github.com", "github.com"),
        ("https://api.team.ghe.com", "team.ghe.com"),
        ("https://git.example.org/api/v3", "git.example.org"),
        ("http://127.0.0.1:8000/api/v3", "127.0.0.1:8000"),
    ],
)
def test_the_web_host_follows_from_the_api(api: str, host: str) -> None:
    assert web_host(api) == host


def test_an_enterprise_server_is_reached_by_its_url(github: GitHubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", github.token())
    monkeypatch.setenv("GITHUB_API_URL", github.api)
    assert open_forge(f"{github.url}/{NAME}.git").default_branch() == "staging"


def test_the_server_itself_notices_what_github_does_not_have(github: GitHubServer) -> None:
    """The check that all tests here rest on."""
    github.answer("GET", "/repos/an-org/some-hubs/pulls", "state=open&colour=red", "", None)
    github.answer("POST", "/repos/an-org/some-hubs/pulls", "", "", {"title": "x"})
    github.answer("GET", "/no/such/path", "", "", None)
    found = json.dumps(github.problems)
    assert "unknown parameter colour" in found
    assert "'head' is a required property" in found
    assert "/no/such/path is not in GitHub's description" in found
    github.problems.clear()
