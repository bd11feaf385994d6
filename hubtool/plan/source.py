"""The git state of an image repository: commit, clean or dirty, where it came from."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from pathlib import Path

import git

from hubtool.config import TagStyle
from hubtool.errors import HubtoolError


@dataclass(frozen=True)
class Source:
    """The commit that an image is built from. ``url`` is the origin's web address, or ""."""

    commit: str
    committed: datetime.datetime
    dirty: tuple[str, ...]
    url: str

    def tag(self, style: TagStyle) -> str:
        """commit: the first 12 hexadecimal digits; date: YYYY.MM.DD-<7 digits> of the commit's UTC date.
        A dirty tree's tag ends in "-dirty"."""
        if style == "date":
            tag = f"{self.committed.astimezone(datetime.UTC):%Y.%m.%d}-{self.commit[:7]}"
        else:
            tag = self.commit[:12]
        return f"{tag}-dirty" if self.dirty else tag

    def labels(self) -> dict[str, str]:
        """The OCI annotations that say where an image came from
        (github.com/opencontainers/image-spec, annotations.md)."""
        labels = {
            "org.opencontainers.image.revision": self.commit + ("-dirty" if self.dirty else ""),
            "org.opencontainers.image.created": self.committed.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        if self.url:
            labels["org.opencontainers.image.source"] = self.url
        return labels


def read_source(root: Path, *, allow_dirty: bool = False) -> Source:
    """The state of the repository at ROOT.

    Raises HubtoolError where ROOT is not a git repository or has no commit, and for uncommitted changes
    unless ALLOW_DIRTY.
    """
    repo = _open(root)
    try:
        commit = repo.head.commit
    except ValueError as error:
        raise HubtoolError(f"{root} has no commit yet", hint="git add . && git commit") from error
    status = repo.git.execute(["git", "-C", str(root.resolve()), "status", "--porcelain", "-z", "--", "."])
    dirty = tuple(entry[3:] for entry in str(status).split("\0") if len(entry) > 3)
    if dirty and not allow_dirty:
        shown = ", ".join(dirty[:5]) + (f" and {len(dirty) - 5} more" if len(dirty) > 5 else "")
        raise HubtoolError(
            f"{root} has changes that are not committed: {shown}",
            hint="commit them, or build with --dirty (the tag then ends in -dirty)",
        )
    remote = repo.remotes["origin"].url if "origin" in [r.name for r in repo.remotes] else ""
    return Source(commit.hexsha, commit.committed_datetime, dirty, web_url(remote))


def _open(root: Path) -> git.Repo:
    try:
        return git.Repo(root, search_parent_directories=True)
    except git.NoSuchPathError as error:
        raise HubtoolError(f"no folder {root}") from error
    except git.InvalidGitRepositoryError as error:
        raise HubtoolError(f"{root} is not a git repository", hint="git init, then commit") from error


def web_url(remote: str) -> str:
    """A git remote as an https address without user, password and ".git"; "" where it has none."""
    ssh = re.fullmatch(r"(?:ssh://)?[\w.-]+@([\w.-]+)(?::\d+)?[:/](.+?)(?:\.git)?/?", remote)
    if ssh:
        return f"https://{ssh[1]}/{ssh[2]}"
    http = re.fullmatch(r"(https?)://(?:[^@/]*@)?([^/]+/.+?)(?:\.git)?/?", remote)
    return f"{http[1]}://{http[2]}" if http else ""
