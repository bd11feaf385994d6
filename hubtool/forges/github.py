"""GitHub and GitHub Enterprise, through PyGithub: pull requests as a user's token or as a GitHub App."""

from __future__ import annotations

import base64
import os
import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import github
import jwt
import requests
from github.PullRequest import PullRequest as GitHubPullRequest
from github.Repository import Repository

from hubtool.console import warn
from hubtool.errors import HubtoolError
from hubtool.forges import GITHUB_API, Branch, OpenRequest, Proposal, PullRequest, Remote, SourceCommit
from hubtool.forges.checkout import open_checkout

TOKENS = ("HUBTOOL_GITHUB_TOKEN", "GH_TOKEN", "GITHUB_TOKEN")
APP_ID, APP_KEY, APP_KEY_FILE = (
    "HUBTOOL_GITHUB_APP_ID",
    "HUBTOOL_GITHUB_APP_PRIVATE_KEY",
    "HUBTOOL_GITHUB_APP_PRIVATE_KEY_FILE",
)
NEEDED = {"contents": "write", "pull_requests": "write"}
NEEDS = "it needs contents:write and pull_requests:write on the deployment repository"
FIND = "find the App's installation"
ATTEMPTS = 5
LONGEST_WAIT = 120.0
TIMEOUT = 30

_NAME = re.compile(r"[A-Za-z0-9-]+/(?!\.\.?\Z)[A-Za-z0-9_.-]+")

T = TypeVar("T")


def api_url(given: str | None) -> str:
    """The API's address: GIVEN, else $GITHUB_API_URL (which Actions sets), else github.com's."""
    return (given or os.environ.get("GITHUB_API_URL") or GITHUB_API).rstrip("/")


def web_host(api: str) -> str:
    """The host of the web pages and of git. github.com's API (and ghe.com's) has a host of its own, api.HOST;
    Enterprise servers have theirs under HOST/api/v3."""
    url = urlsplit(api)
    return url.netloc if url.path.startswith("/api/") else url.netloc.removeprefix("api.")


class GitHubForge:
    """The repository OWNER/NAME at the GitHub whose API is at API. ``pause`` is the first wait, in seconds,
    after a failure that passes."""

    name = "github"

    def __init__(self, owner: str, name: str, api: str = GITHUB_API, pause: float = 1.0) -> None:
        self.owner = owner
        self.repository = f"{owner}/{name}"
        self.api = api
        self.pause = pause

    def default_branch(self) -> str:
        return self._repository.default_branch

    def remote(self) -> Remote:
        web = f"{urlsplit(self.api).scheme}://{web_host(self.api)}"
        basic = base64.b64encode(f"x-access-token:{self._auth.token}".encode()).decode()
        # For this host alone, so that a redirect can't carry it off; the empty value drops a header of the
        # machine's own, which GitHub would refuse beside ours; no helper may answer or store it.
        header = f"http.{web}/.extraHeader"
        config = ((header, ""), (header, f"Authorization: Basic {basic}"), ("credential.helper", ""))
        return Remote(f"{web}/{self.repository}.git", config)

    def open_request(self, proposal: Proposal) -> PullRequest:
        existing = self._find(proposal)
        if existing is None:
            try:
                created = self._call("open a pull request", lambda: self._create(proposal))
            except _Exists:
                existing = self._find(proposal)
            else:
                self._label(created, proposal)
                return PullRequest(created.number, created.html_url, "created")
        if existing is None:
            raise HubtoolError(f"{self.repository} has a pull request of {proposal.head} that can't be found")
        changed = self._refresh(existing, proposal)
        return PullRequest(existing.number, existing.html_url, "refreshed" if changed else "unchanged")

    def may_open(self) -> str:
        repository = self._repository
        if repository.archived:
            raise HubtoolError(f"{self.repository} is archived: it takes no pull requests")
        # What a user may do stands with the repository; what an App may (tokens ghs_…) was asked with its token.
        may = repository.permissions
        if not self._auth.token.startswith("ghs_") and not (may and may.push):
            raise HubtoolError(f"{self._who} may not push to {self.repository}", hint=NEEDS)
        return self._who

    def open_branch(self, branch: str) -> AbstractContextManager[Branch]:
        return open_checkout(self.remote(), branch)

    def requests(self, base: str) -> list[OpenRequest]:
        raise NotImplementedError(base)

    def close_request(self, number: int, comment: str) -> None:
        raise NotImplementedError(number, comment)

    def commits_between(self, source: str, old: str, new: str) -> list[SourceCommit] | None:
        return None

    def merged_request(self, source: str, revision: str) -> int | None:
        url = urlsplit(source)
        name = url.path.strip("/").removesuffix(".git")
        if (
            url.netloc != web_host(self.api)
            or not _NAME.fullmatch(name)
            or not re.fullmatch("[0-9a-f]{7,64}", revision)
        ):
            return None
        try:
            repository = self._call("read", lambda: self._client.get_repo(name))
            found: list[GitHubPullRequest] = self._call(
                "read", lambda: list(islice(repository.get_commit(revision).get_pulls(), 5))
            )
        except HubtoolError:
            return None  # another repository, which this token need not see
        return next((pull.number for pull in found if pull.merged_at), None)

    # ---- who

    @cached_property
    def _who(self) -> str:
        return "the GitHub App" if os.environ.get(APP_ID) else f"the token in ${_token()[0]}"

    @cached_property
    def _auth(self) -> github.Auth.Token:
        """A token: given, or the one that the App's installation on the repository gets for an hour."""
        app = os.environ.get(APP_ID)
        if not app:
            return github.Auth.Token(_token()[1])
        integration = github.GithubIntegration(
            auth=github.Auth.AppAuth(app, _private_key()), base_url=self.api, timeout=TIMEOUT, retry=0
        )
        owner, name = self.repository.split("/")
        try:
            installation = self._call(FIND, lambda: integration.get_repo_installation(owner, name))
            granted = self._call(
                "get a token", lambda: integration.get_access_token(installation.id, permissions=NEEDED)
            )
        except (ValueError, jwt.PyJWTError) as error:
            raise HubtoolError(f"${APP_KEY} is not a private key", hint="a PEM file, as GitHub gave it out") from error
        return github.Auth.Token(granted.token)

    @cached_property
    def _client(self) -> github.Github:
        return github.Github(
            auth=self._auth,
            base_url=self.api,
            timeout=TIMEOUT,
            retry=0,
            seconds_between_requests=None,
            seconds_between_writes=None,
        )

    @cached_property
    def _repository(self) -> Repository:
        return self._call("read", lambda: self._client.get_repo(self.repository))

    # ---- pull requests

    def _find(self, proposal: Proposal) -> GitHubPullRequest | None:
        head = f"{self.owner}:{proposal.head}"
        found: list[GitHubPullRequest] = self._call(
            "read pull requests of",
            lambda: list(islice(self._repository.get_pulls(state="open", head=head, base=proposal.base), 1)),
        )
        return found[0] if found else None

    def _create(self, proposal: Proposal) -> GitHubPullRequest:
        return self._repository.create_pull(
            proposal.base, proposal.head, title=proposal.title, body=proposal.body, maintainer_can_modify=True
        )

    def _refresh(self, existing: GitHubPullRequest, proposal: Proposal) -> bool:
        # GitHub gives text back with \r\n where a person edited it on the web.
        same_body = (existing.body or "").replace("\r\n", "\n").strip() == proposal.body.strip()
        changed = existing.title != proposal.title or not same_body
        if changed:
            self._call("refresh a pull request", lambda: existing.edit(title=proposal.title, body=proposal.body))
        return self._label(existing, proposal) or changed

    def _label(self, request: GitHubPullRequest, proposal: Proposal) -> bool:
        """Add the labels that the request lacks; labels are not worth failing for."""
        missing = sorted(set(proposal.labels) - {label.name for label in request.labels})
        if not missing:
            return False
        try:
            self._call("label a pull request", lambda: request.add_to_labels(*missing))
        except HubtoolError as error:
            warn(f"the pull request has no label {', '.join(missing)}: {error.message}")
            return False
        return True

    # ---- the wire

    def _call(self, doing: str, call: Callable[[], T]) -> T:
        """Do CALL; again, a few times, where GitHub says that it passes and for how long it lasts."""
        for attempt in range(ATTEMPTS):
            last = attempt + 1 == ATTEMPTS
            try:
                return call()
            except github.GithubException as error:
                wait = _wait(error, self.pause * 2**attempt)
                if wait is None or wait > LONGEST_WAIT or last:
                    raise self._explain(doing, error, wait) from error
            except requests.RequestException as error:
                wait = self.pause * 2**attempt
                if last:
                    raise HubtoolError(f"{self.api} can't be reached: {type(error).__name__}") from error
            time.sleep(wait)
        raise AssertionError("unreachable")

    def _explain(self, doing: str, error: github.GithubException, wait: float | None) -> Exception:
        said, status = _said(error), error.status
        if wait is not None and status in (403, 429):
            return HubtoolError(
                f"GitHub's rate limit is used up for {wait:.0f} s more", hint="run the same command again then"
            )
        if status == 401:
            return HubtoolError(f"GitHub does not accept {self._who}: {said}", hint="is it expired or revoked?")
        if status == 422 and "already exists" in said:
            return _Exists()
        if status == 422 and "permissions requested" in said:
            return HubtoolError(f"the GitHub App ${APP_ID} lacks permissions on {self.repository}", hint=NEEDS)
        if doing == FIND and status == 404:
            return HubtoolError(f"the GitHub App ${APP_ID} is not installed on {self.repository}", hint=NEEDS)
        if status in (403, 404) and doing != "read":
            return HubtoolError(f"no permission to {doing} on {self.repository} with {self._who}: {said}", hint=NEEDS)
        if status == 404:
            return HubtoolError(f"no repository {self.repository} on {web_host(self.api)} that {self._who} may see")
        return HubtoolError(f"GitHub refused to {doing} {self.repository} ({status}): {said}")


class _Exists(Exception):
    """There is a pull request of these branches already."""


def _wait(error: github.GithubException, pause: float) -> float | None:
    """Seconds until a try may succeed, None where it won't: GitHub's words (docs.github.com, "Rate limits for
    the REST API") in retry-after and x-ratelimit-reset; a minute where a secondary limit says neither."""
    headers = {key.lower(): value for key, value in (error.headers or {}).items()}
    if error.status >= 500:
        return pause
    if error.status not in (403, 429):
        return None
    after = headers.get("retry-after", "")
    if after.isdigit():
        return float(after)
    if headers.get("x-ratelimit-remaining") == "0" and headers.get("x-ratelimit-reset", "").isdigit():
        return max(0.0, float(headers["x-ratelimit-reset"]) - time.time()) + 1
    return 60.0 if error.status == 429 or "rate limit" in _said(error).lower() else None


def _said(error: github.GithubException) -> str:
    """GitHub's own words, in one line of bounded length."""
    data = error.data if isinstance(error.data, dict) else {"message": str(error.data or "")}
    parts = [str(data.get("message", ""))]
    details = data.get("errors")
    for detail in details if isinstance(details, list) else []:
        parts.append(
            str(detail.get("message") or detail.get("code") or "") if isinstance(detail, dict) else str(detail)
        )
    return " ".join("; ".join(part for part in parts if part).split())[:300]


def _token() -> tuple[str, str]:
    for name in TOKENS:
        value = os.environ.get(name, "").strip()
        if value:
            return name, value
    raise HubtoolError(
        "no GitHub token to open pull requests with",
        hint=f"set one of {', '.join(TOKENS)}, or {APP_ID} and {APP_KEY} (or {APP_KEY_FILE}); {NEEDS}",
    )


def _private_key() -> str:
    key = os.environ.get(APP_KEY, "")
    file = os.environ.get(APP_KEY_FILE)
    if not key and file:
        try:
            key = Path(file).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise HubtoolError(f"${APP_KEY_FILE}: no private key can be read from {file}") from error
    if not key.strip():
        raise HubtoolError(f"${APP_ID} is set, but no private key", hint=f"set {APP_KEY} or {APP_KEY_FILE}")
    return key
