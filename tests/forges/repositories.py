"""Real git repositories for tests."""

from __future__ import annotations

from collections.abc import Mapping
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


def commit(repository: Path, branch: str, files: Mapping[str, bytes | str], message: str = "change") -> str:
    """Commit FILES on BRANCH of a bare repository, as somebody would from a clone; made where there is none."""
    parent = [sha(repository, branch)] if has_branch(repository, branch) else []
    index = {**WHO, "GIT_INDEX_FILE": str(repository / "test-index")}
    run("git", "-C", repository, "read-tree", *(parent or ["--empty"]), env=index)
    for path, content in files.items():
        data = content if isinstance(content, bytes) else content.encode()
        blob = git(repository, "hash-object", "-w", "--stdin", input=data)
        run("git", "-C", repository, "update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", env=index)
    tree = run("git", "-C", repository, "write-tree", env=index).stdout.strip()
    made = git(repository, "commit-tree", tree, *(word for one in parent for word in ("-p", one)), "-m", message)
    git(repository, "update-ref", f"refs/heads/{branch}", made)
    return made


def bare(path: Path, files: Mapping[str, bytes | str], branch: str = "staging") -> Path:
    """A bare repository at PATH with one commit of FILES on BRANCH."""
    run("git", "init", "--quiet", "--bare", f"--initial-branch={branch}", path)
    git(path, "config", "uploadpack.allowFilter", "true")
    git(path, "config", "uploadpack.allowAnySHA1InWant", "true")
    commit(path, branch, files, "first")
    return path
