"""Real git repositories for tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from hubtool.process import run

WHO = {
    "GIT_AUTHOR_NAME": "Somebody",
    "GIT_AUTHOR_EMAIL": "somebody@example.org",
    "GIT_COMMITTER_NAME": "Somebody",
    "GIT_COMMITTER_EMAIL": "somebody@example.org",
}


def git(repository: Path, *argv: str, input: str | bytes | None = None) -> str:
    return run("git", "-C", repository, *argv, env=WHO, input=input).stdout.strip()


def show(repository: Path, revision: str, file: str) -> bytes:
    return run("git", "-C", repository, "cat-file", "blob", f"{revision}:{file}").raw


def sha(repository: Path, branch: str) -> str:
    return git(repository, "rev-parse", f"refs/heads/{branch}")


def has_branch(repository: Path, branch: str) -> bool:
    return (
        run("git", "-C", repository, "rev-parse", "-q", "--verify", f"refs/heads/{branch}", check=False).returncode == 0
    )


def commit(
    repository: Path,
    branch: str,
    files: Mapping[str, bytes | str | None],
    message: str = "change",
    time: int | None = None,
    merge: str | None = None,
) -> str:
    """Commit FILES (None: removed) on BRANCH of a bare repository, as somebody would from a clone; made where there
    is none. TIME is the committer's clock, MERGE another branch that is merged with it."""
    parent = [sha(repository, branch)] if has_branch(repository, branch) else []
    index = {**WHO, "GIT_INDEX_FILE": str(repository / "test-index")}
    run("git", "-C", repository, "read-tree", *(parent or ["--empty"]), env=index)
    for path, content in files.items():
        _put(repository, path, content, index)
    tree = run("git", "-C", repository, "write-tree", env=index).stdout.strip()
    parents = [*parent, *([sha(repository, merge)] if merge else [])]
    words = (tree, *(word for one in parents for word in ("-p", one)), "-m", message)
    clock = {} if time is None else {"GIT_COMMITTER_DATE": f"@{time} +0000"}
    made = run("git", "-C", repository, "commit-tree", *words, env={**WHO, **clock}).stdout.strip()
    git(repository, "update-ref", f"refs/heads/{branch}", made)
    return made


def _put(repository: Path, path: str, content: bytes | str | None, index: Mapping[str, str]) -> None:
    mode, blob = "0", "0" * 40
    if content is not None:
        data = content if isinstance(content, bytes) else content.encode()
        mode, blob = "100644", git(repository, "hash-object", "-w", "--stdin", input=data)
    entry = f"{mode} {blob}\t{path}\0".encode("utf-8", "surrogateescape")
    run("git", "-C", repository, "update-index", "-z", "--add", "--index-info", env=index, input=entry)


def commit_many(repository: Path, branch: str, changes: Iterable[Mapping[str, str]], start: int = 2000) -> None:
    """A commit on BRANCH for each of CHANGES, fast; the committer's clock is at START and goes a second each."""
    stream = []
    for number, files in enumerate(changes, start):
        stream.append(f"commit refs/heads/{branch}\ncommitter S <s@example.org> {number} +0000\ndata 6\nchange\n")
        if number == start and has_branch(repository, branch):
            stream.append(f"from refs/heads/{branch}^0\n")
        for path, content in files.items():
            stream.append(f"M 100644 inline {path}\ndata {len(content.encode())}\n{content}\n")
    git(repository, "fast-import", "--quiet", input="".join(stream))


def bare(path: Path, files: Mapping[str, bytes | str], branch: str = "staging") -> Path:
    """A bare repository at PATH with one commit of FILES on BRANCH."""
    run("git", "init", "--quiet", "--bare", f"--initial-branch={branch}", path)
    git(path, "config", "uploadpack.allowFilter", "true")
    git(path, "config", "uploadpack.allowAnySHA1InWant", "true")
    commit(path, branch, files, "first")
    return path
