"""Forges hold deployment repositories and their pull requests: GitHub, or a repository on disk.
Each is a module that satisfies Protocol Forge."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from hubtool.errors import HubtoolError

GITHUB_API = "https://api.github.com"

_OWNER_NAME = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)/([A-Za-z0-9_.-]+)\Z")
_HTTPS = re.compile(r"https?://(?:[^@/]*@)?([^/@]+)/([^/]+)/([^/]+?)(?:\.git)?/?\Z")
_SSH = re.compile(r"(?:ssh://)?[\w.-]+@([\w.-]+?)(?::\d+/|[:/])([^/]+)/([^/]+?)(?:\.git)?/?\Z")


@dataclass(frozen=True)
class Proposal:
    """The pull request that shall exist: ``head`` is its branch, ``base`` the branch it is for."""

    head: str
    base: str
    title: str
    body: str
    labels: Sequence[str] = ()


@dataclass(frozen=True)
class OpenRequest:
    """An open pull request whose branch is in the repository itself, as the forge lists it."""

    number: int
    url: str
    head: str
    title: str
    body: str


@dataclass(frozen=True)
class SourceCommit:
    """A commit of the repository that an image is built from; ``subject`` is its message's first line."""

    sha: str
    subject: str


@dataclass(frozen=True)
class PullRequest:
    """A pull request as the forge holds it. ``state`` is "created", "refreshed" or "unchanged"."""

    number: int
    url: str
    state: str


@dataclass(frozen=True)
class Remote:
    """Where git fetches from and pushes to. ``config`` is git configuration (key and value; a key may stand there
    again), secrets in it: it reaches git through the environment, and nothing else."""

    url: str
    config: Sequence[tuple[str, str]] = field(default=(), repr=False)


@dataclass(frozen=True)
class Commit:
    """A commit as git stores it."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    message: str


@dataclass(frozen=True)
class File:
    """An entry of a tree: a regular file, with its blob."""

    path: str
    mode: str
    blob: str


@dataclass(frozen=True)
class Revision:
    """A commit that was live on a branch: since ``time`` (seconds since 1970; the committer's clock)."""

    sha: str
    time: int


class BranchMoved(Exception):
    """Somebody else pushed the branch since it was looked at."""


class Branch(Protocol):
    """A branch of a deployment repository as it stood when it was opened: ``base`` is its commit.

    What is written goes to other branches; nothing is seen by others until ``push``. Every method raises
    HubtoolError where the forge refuses.
    """

    name: str
    base: str

    def files(self) -> Sequence[File]:
        """The regular files; links and submodules are left out."""
        ...

    def read(self, files: Sequence[File]) -> Iterable[tuple[str, bytes]]:
        """Path and bytes of each of FILES, in their order."""
        ...

    def tip(self, branch: str) -> Commit | None:
        """The commit that BRANCH stands at in the repository now, or None."""
        ...

    def write_tree(self, contents: Mapping[str, bytes]) -> str:
        """The tree of the branch with CONTENTS (paths that files() listed) in place of what it holds."""
        ...

    def commit(self, tree: str, message: str) -> str:
        """A commit of TREE on top of ``base``."""
        ...

    def push(self, commit: str, branch: str, expected: Commit | None) -> None:
        """Set BRANCH to COMMIT where it still stands at EXPECTED (None: where it does not exist); else raises
        BranchMoved. A commit that somebody pushed meanwhile is never lost."""
        ...

    def history(self, path: str) -> Iterator[Revision]:
        """The commits along the branch's first parents that changed PATH, newest first, as they are asked for."""
        ...

    def read_at(self, revision: str, paths: Sequence[str]) -> Mapping[str, bytes]:
        """The bytes of PATHS at a commit that history() gave; without those that were not there."""
        ...


class Forge(Protocol):
    name: str
    repository: str

    def default_branch(self) -> str: ...

    def open_branch(self, branch: str) -> AbstractContextManager[Branch]:
        """BRANCH to read from and to propose changes of; raises HubtoolError where there is none."""
        ...

    def open_request(self, proposal: Proposal) -> PullRequest:
        """Open the pull request, or refresh the open one of the same branches in place; its title, body and
        labels are written only where they changed."""
        ...

    def may_open(self) -> str:
        """Who hubtool is there, for `doctor`; raises HubtoolError where it may not open pull requests."""
        ...

    def requests(self, base: str) -> Sequence[OpenRequest]:
        """The open pull requests for BASE from branches of the repository itself, none from forks."""
        ...

    def close_request(self, number: int, comment: str) -> None:
        """Close a pull request, with COMMENT (Markdown) to say why. Its branch stays."""
        ...

    def commits_between(self, source: str, old: str, new: str) -> Sequence[SourceCommit] | None:
        """The commits after revision OLD up to NEW in the repository at SOURCE (a web address), newest first and
        at most 100; None where the forge can't tell."""
        ...

    def merged_request(self, source: str, revision: str) -> int | None:
        """The number of the pull request that brought commit REVISION into the repository at SOURCE (a web
        address); None where the forge can't tell."""
        ...


def open_forge(repository: str, forge: str = "auto", api: str | None = None) -> Forge:
    """The forge that holds REPOSITORY: GitHub owner/name, a git URL, or a path.

    FORGE is auto, github or local. API is the API's address at a GitHub Enterprise server (default:
    $GITHUB_API_URL, then github.com's). A repository on disk, bare or not, is the local forge. Raises
    HubtoolError for a repository that is on neither.
    """
    path = _local_path(repository)
    if forge == "local" or (forge == "auto" and path is not None):
        from hubtool.forges.local import LocalForge

        return LocalForge(path or Path(repository))
    from hubtool.forges.github import GitHubForge
    from hubtool.forges.github_wire import api_url, web_host

    address = api_url(api)
    host, owner, name = _split(repository)
    if host is not None and host != web_host(address):
        raise HubtoolError(
            f"no way to open pull requests at {host}",
            hint=f"pull requests go to {web_host(address)} or to a repository on disk; for a GitHub Enterprise "
            "server set deployment.api in hubtool.yaml to https://HOST/api/v3",
        )
    return GitHubForge(owner, name, address)


def is_repository(path: Path) -> bool:
    """Whether a git repository, bare or not, is at PATH."""
    return (path / "HEAD").is_file() or (path / ".git").exists()


def _local_path(repository: str) -> Path | None:
    """REPOSITORY as a path: written like one, or there is a git repository under that name."""
    if repository.startswith("file://"):
        return Path(repository.removeprefix("file://"))
    path = Path(repository).expanduser()
    if repository.startswith(("/", "./", "../", "~")) or repository in (".", ".."):
        return path
    return path if repository and is_repository(path) else None


def _split(repository: str) -> tuple[str | None, str, str]:
    """Host (None where not written), owner and name."""
    short = _OWNER_NAME.match(repository)
    if short:
        return None, short[1], short[2].removesuffix(".git")
    url = _HTTPS.match(repository) or _SSH.match(repository)
    if url:
        return url[1], url[2], url[3]
    raise HubtoolError(
        f"'{_without_user(repository)}' is not a deployment repository that hubtool knows",
        hint="expected GitHub owner/name, https://github.com/OWNER/NAME, or the path of a git repository",
    )


def _without_user(text: str) -> str:
    return re.sub(r"//[^/@]*@", "//", text)
