"""GitHub and GitHub Enterprise, through PyGithub: pull requests as a user's token or as a GitHub App."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from github.PullRequest import PullRequest as GitHubPullRequest

from hubtool.console import warn
from hubtool.errors import HubtoolError
from hubtool.forges import GITHUB_API, Branch, OpenRequest, Proposal, PullRequest, Remote, SourceCommit, github_auth
from hubtool.forges.checkout import Checkout, open_checkout
from hubtool.forges.github_auth import NEEDS
from hubtool.forges.github_branch import GitHubBranch, NotListed
from hubtool.forges.github_wire import Exists, Wire, web_host

# Set to 1, deployment repositories are read and written through git alone.
CLONE = "HUBTOOL_GITHUB_CLONE"

MOST_COMMITS = 100

_NAME = re.compile(r"[A-Za-z0-9-]+/(?!\.\.?\Z)[A-Za-z0-9_.-]+")
_REVISION = re.compile("[0-9a-f]{7,64}")


class GitHubForge:
    """The repository OWNER/NAME at the GitHub whose API is at API. ``pause`` is the first wait, in seconds,
    after a failure that passes."""

    name = "github"

    def __init__(self, owner: str, name: str, api: str = GITHUB_API, pause: float = 1.0) -> None:
        self.owner = owner
        self.repository = f"{owner}/{name}"
        self.api = api
        self._wire = Wire(api, self.repository, pause)

    def default_branch(self) -> str:
        return self._wire.home.default_branch

    def remote(self) -> Remote:
        web = f"{urlsplit(self.api).scheme}://{web_host(self.api)}"
        basic = base64.b64encode(f"x-access-token:{self._wire.auth.token}".encode()).decode()
        # For this host alone, so that a redirect can't carry it off; the empty value drops a header of the
        # machine's own, which GitHub would refuse beside ours; no helper may answer or store it.
        header = f"http.{web}/.extraHeader"
        config = ((header, ""), (header, f"Authorization: Basic {basic}"), ("credential.helper", ""))
        return Remote(f"{web}/{self.repository}.git", config)

    def open_request(self, proposal: Proposal) -> PullRequest:
        existing = self._find(proposal)
        if existing is None:
            try:
                created = self._wire.call("open a pull request on", lambda: self._create(proposal))
            except Exists:
                existing = self._find(proposal)
            else:
                self._label(created, proposal)
                return PullRequest(created.number, created.html_url, "created")
        if existing is None:
            raise HubtoolError(f"{self.repository} has a pull request of {proposal.head} that can't be found")
        changed = self._refresh(existing, proposal)
        return PullRequest(existing.number, existing.html_url, "refreshed" if changed else "unchanged")

    def may_open(self) -> str:
        repository = self._wire.home
        if repository.archived:
            raise HubtoolError(f"{self.repository} is archived: it takes no pull requests")
        # What a user may do stands with the repository; what an App may (tokens ghs_…) was asked with its token.
        may = repository.permissions
        if not self._wire.auth.token.startswith("ghs_") and not (may and may.push):
            raise HubtoolError(f"{github_auth.who()} may not push to {self.repository}", hint=NEEDS)
        return github_auth.who()

    @contextmanager
    def open_branch(self, branch: str) -> Iterator[Branch]:
        """As Forge.open_branch: without a clone, where GitHub lists the branch whole; $HUBTOOL_GITHUB_CLONE=1 has
        git do it."""
        with ExitStack() as stack:

            def clone(at: str | None = None) -> Checkout:
                return stack.enter_context(open_checkout(self.remote(), branch, at))

            try:
                opened = None if os.environ.get(CLONE) == "1" else GitHubBranch(self._wire, branch, clone)
            except NotListed:
                opened = None
            yield opened or clone()

    def requests(self, base: str) -> list[OpenRequest]:
        found: list[GitHubPullRequest] = self._wire.call(
            "read pull requests of", lambda: list(self._wire.home.get_pulls(state="open", base=base))
        )
        # A fork that was deleted is None.
        own = [pull for pull in found if pull.head.repo and pull.head.repo.full_name == pull.base.repo.full_name]
        return [OpenRequest(one.number, one.html_url, one.head.ref, one.title, one.body or "") for one in own]

    def close_request(self, number: int, comment: str) -> None:
        request = self._wire.call("read pull requests of", lambda: self._wire.home.get_pull(number))
        if request.state == "open":
            self._wire.call("comment on a pull request of", lambda: _comment(request, comment))
            self._wire.call("close a pull request of", lambda: request.edit(state="closed"))

    def commits_between(self, source: str, old: str, new: str) -> list[SourceCommit] | None:
        """As Forge.commits_between: git's OLD..NEW, so none where NEW is the older one, and NEW's side alone where
        the two have parted."""
        name = self._source(source, old, new)
        # Without paging: of more than 250, the newest. With it, the oldest would come first.
        compared = name and self._read(f"/repos/{name}/compare/{old}...{new}")
        if not compared:
            return None
        newest = reversed(compared["commits"][-MOST_COMMITS:])
        return [SourceCommit(one["sha"], (one["commit"]["message"].splitlines() or [""])[0]) for one in newest]

    def merged_request(self, source: str, revision: str) -> int | None:
        name = self._source(source, revision)
        found = (name and self._read(f"/repos/{name}/commits/{revision}/pulls?per_page=5")) or ()
        return next((pull["number"] for pull in found if pull["merged_at"]), None)

    def _source(self, source: str, *revisions: str) -> str | None:
        """Owner and name of the repository at SOURCE; None where it, or one of REVISIONS, can't be at this GitHub."""
        try:
            url = urlsplit(source)
        except ValueError:
            return None
        name = url.path.strip("/").removesuffix(".git")
        known = url.netloc == web_host(self.api) and _NAME.fullmatch(name)
        return name if known and all(_REVISION.fullmatch(one) for one in revisions) else None

    def _read(self, path: str) -> Any:
        try:
            return self._wire.get("read", path)
        except HubtoolError:
            return None  # another repository, which this token need not see

    # ---- pull requests

    def _find(self, proposal: Proposal) -> GitHubPullRequest | None:
        head = f"{self.owner}:{proposal.head}"
        found: list[GitHubPullRequest] = self._wire.call(
            "read pull requests of",
            lambda: list(islice(self._wire.home.get_pulls(state="open", head=head, base=proposal.base), 1)),
        )
        return found[0] if found else None

    def _create(self, proposal: Proposal) -> GitHubPullRequest:
        return self._wire.home.create_pull(
            proposal.base, proposal.head, title=proposal.title, body=proposal.body, maintainer_can_modify=True
        )

    def _refresh(self, existing: GitHubPullRequest, proposal: Proposal) -> bool:
        # GitHub gives text back with \r\n where a person edited it on the web.
        same_body = (existing.body or "").replace("\r\n", "\n").strip() == proposal.body.strip()
        changed = existing.title != proposal.title or not same_body
        if changed:
            self._wire.call(
                "refresh a pull request of", lambda: existing.edit(title=proposal.title, body=proposal.body)
            )
        return self._label(existing, proposal) or changed

    def _label(self, request: GitHubPullRequest, proposal: Proposal) -> bool:
        """Add the labels that the request lacks; labels are not worth failing for."""
        missing = sorted(set(proposal.labels) - {label.name for label in request.labels})
        if not missing:
            return False
        try:
            self._wire.call("label a pull request of", lambda: request.add_to_labels(*missing))
        except HubtoolError as error:
            warn(f"the pull request has no label {', '.join(missing)}: {error.message}")
            return False
        return True


def _comment(request: GitHubPullRequest, text: str) -> None:
    """Comment, once: what was tried before may have got there."""
    comments = request.get_issue_comments()
    if not any((one.body or "").replace("\r\n", "\n").strip() == text.strip() for one in comments):
        request.create_issue_comment(text)
