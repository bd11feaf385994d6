"""Forges hold deployment repositories and their pull requests: GitHub, or a bare repository on disk.
Each is a module that satisfies Protocol Forge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Proposal:
    """The pull request that shall exist: ``head`` is its branch, ``base`` the branch it is for."""

    head: str
    base: str
    title: str
    body: str
    labels: Sequence[str] = ()


@dataclass(frozen=True)
class PullRequest:
    """A pull request as the forge holds it. ``state`` is "created", "refreshed" or "unchanged"."""

    number: int
    url: str
    state: str


class Forge(Protocol):
    name: str

    def default_branch(self) -> str: ...

    def clone(self, branch: str, target: Path) -> None:
        """A shallow checkout of BRANCH at TARGET, from which push_branch can push."""
        ...

    def push_branch(self, checkout: Path, branch: str) -> None:
        """Publish the checkout's HEAD as BRANCH; a branch that hubtool pushed before is replaced, but never
        one that moved since it was looked at."""
        ...

    def open_request(self, proposal: Proposal) -> PullRequest:
        """Open the pull request, or refresh the open one of the same branches in place."""
        ...

    def may_open(self) -> str:
        """Who hubtool is there, for `doctor`; raises HubtoolError where it may not open pull requests."""
        ...
