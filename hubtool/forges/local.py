"""The local forge: a git repository on disk. A pull request is a ref and a Markdown file in the repository.

``refs/requests/N/head`` is the proposed commit; ``requests/N.md`` (in the bare repository, or in .git) holds number,
state, branches, title and labels above the body, and why it was closed. One writer at a time, by a lock on the
repository.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from hubtool.errors import HubtoolError, Where
from hubtool.files import write_whole
from hubtool.forges import Branch, OpenRequest, Proposal, PullRequest, Remote, SourceCommit
from hubtool.forges.checkout import open_checkout
from hubtool.process import Completed, ProcessError, run

OPEN, MERGED, CLOSED = "open", "merged", "closed"


@dataclass(frozen=True)
class _Request:
    number: int
    state: str
    head: str
    base: str
    title: str
    labels: tuple[str, ...]
    body: str
    comment: str = ""

    def as_markdown(self) -> str:
        values = {
            key: value for key, value in asdict(self).items() if key != "body" and (key, value) != ("comment", "")
        }
        front = "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items())
        return f"---\n{front}---\n\n{self.body.rstrip()}\n"

    @classmethod
    def read(cls, file: Path) -> _Request:
        try:
            front, _, body = file.read_text(encoding="utf-8").removeprefix("---\n").partition("---\n\n")
            values = {key: json.loads(value) for key, value in (line.split(": ", 1) for line in front.splitlines())}
            return cls(**{**values, "labels": tuple(values["labels"])}, body=body)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise HubtoolError(
                "not a request that hubtool wrote", where=Where(file), hint="mend it or remove it"
            ) from error


class LocalForge:
    """A repository on disk. Nobody but the file system decides who may write."""

    name = "local"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.repository = str(path)

    def default_branch(self) -> str:
        head = self._git("symbolic-ref", "--short", "HEAD", check=False)
        if head.returncode != 0:
            raise HubtoolError(f"{self.path} has no branch checked out", hint="name the branch with --branch")
        return head.stdout.strip()

    def remote(self) -> Remote:
        # Not a bare path: git would copy all of it and leave out neither history nor blobs.
        return Remote(self._git_dir().as_uri())

    def open_request(self, proposal: Proposal) -> PullRequest:
        with self._locked() as folder:
            head = self._git("rev-parse", "--verify", f"refs/heads/{proposal.head}").stdout.strip()
            requests = _read_all(folder)
            found = next((one for one in requests if self._is_for(one, proposal)), None)
            if found is not None and self._is_merged(found):
                write_whole(folder / f"{found.number}.md", replace(found, state=MERGED).as_markdown())
                found = None
            number = found.number if found else max((one.number for one in requests), default=0) + 1
            wanted = _Request(
                number,
                OPEN,
                proposal.head,
                proposal.base,
                proposal.title,
                tuple(sorted({*(found.labels if found else ()), *proposal.labels})),
                proposal.body.rstrip() + "\n",
            )
            moved = self._set_head(number, head)
            file = folder / f"{number}.md"
            if wanted != found:
                write_whole(file, wanted.as_markdown())
            state = "created" if found is None else "refreshed" if moved or wanted != found else "unchanged"
            return PullRequest(number, file.as_uri(), state)

    def may_open(self) -> str:
        folder = self._git_dir()
        if not os.access(folder, os.W_OK):
            raise HubtoolError(f"{folder} can't be written to")
        return f"whoever may write to {folder}"

    def open_branch(self, branch: str) -> AbstractContextManager[Branch]:
        return open_checkout(self.remote(), branch)

    def requests(self, base: str) -> list[OpenRequest]:
        folder = self._git_dir() / "requests"
        there = [one for one in _read_all(folder) if (one.state, one.base) == (OPEN, base)]
        return [
            OpenRequest(one.number, (folder / f"{one.number}.md").as_uri(), one.head, one.title, one.body)
            for one in there
            if not self._is_merged(one)
        ]

    def close_request(self, number: int, comment: str) -> None:
        with self._locked() as folder:
            file = folder / f"{number}.md"
            if not file.exists():
                raise HubtoolError(f"{self.path} has no request {number}")
            request = _Request.read(file)
            if request.state == OPEN:
                write_whole(file, replace(request, state=CLOSED, comment=comment).as_markdown())

    def commits_between(self, source: str, old: str, new: str) -> list[SourceCommit] | None:
        return None

    def merged_request(self, source: str, revision: str) -> int | None:
        return None

    def _is_for(self, request: _Request, proposal: Proposal) -> bool:
        return request.state == OPEN and (request.head, request.base) == (proposal.head, proposal.base)

    def _is_merged(self, request: _Request) -> bool:
        mark = f"refs/requests/{request.number}/head"
        done = self._git("merge-base", "--is-ancestor", mark, f"refs/heads/{request.base}", check=False)
        return done.returncode == 0

    def _set_head(self, number: int, head: str) -> bool:
        mark = f"refs/requests/{number}/head"
        before = self._git("rev-parse", "--verify", "--quiet", mark, check=False).stdout.strip()
        if before != head:
            self._git("update-ref", mark, head)
        return before != head

    @contextmanager
    def _locked(self) -> Iterator[Path]:
        """The folder of the requests, which no other hubtool writes to meanwhile."""
        root = self._git_dir()
        try:
            (root / "requests").mkdir(exist_ok=True)
            stream = (root / "requests.lock").open("w")
        except OSError as error:
            raise HubtoolError(f"no permission to open a pull request in {root}: {error.strerror}") from error
        with stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield root / "requests"

    def _git_dir(self) -> Path:
        return Path(self._git("rev-parse", "--absolute-git-dir").stdout.strip())

    def _git(self, *argv: str, check: bool = True) -> Completed:
        if not self.path.is_dir():
            raise HubtoolError(f"no git repository at {self.path}", hint="name the deployment repository's folder")
        ours = dict.fromkeys(("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"))
        try:
            return run("git", "-C", self.path, *argv, env={"LC_ALL": "C", **ours}, check=check)
        except ProcessError as error:
            reason = error.output.strip().splitlines()[-1:] or ["git says no more"]
            raise HubtoolError(f"{self.path} is not a git repository that hubtool can use: {reason[0]}") from error


def _read_all(folder: Path) -> list[_Request]:
    return sorted((_Request.read(file) for file in folder.glob("*.md")), key=lambda request: request.number)
