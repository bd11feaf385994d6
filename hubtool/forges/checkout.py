"""A deployment repository's branch, read and written through git's own objects.

No work tree: hooks, filters, line-end settings and links of the repository can't touch what is read or written.
Shallow, and without blobs where the server allows: only the files that are asked for travel.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from hubtool.errors import HubtoolError
from hubtool.forges import BranchMoved, Commit, File, Remote, Revision
from hubtool.process import Completed, ProcessError, run

# Who commits where neither git's configuration nor the environment says; .invalid belongs to nobody (RFC 2606).
NAME, EMAIL = "hubtool", "noreply@hubtool.invalid"
TIMEOUT = 600.0
# How many commits of history travel first; each further step is four times as long.
FIRST_DEPTH = 50

_BRANCH = re.compile(r"(?![-./@])(?!.*(?:\.\.|//|/\.|@\{|\.lock(?:/|\Z)))[A-Za-z0-9._/+@=,-]{1,200}(?<![./])\Z")
_MOVED = ("stale info", "fetch first", "non-fast-forward", "cannot lock ref", "failed to update ref", "already exists")
_DENIED = ("403", "401", "Authentication failed", "could not read Username", "Permission", "denied", "not granted")
_MISSING = ("not found", "does not exist", "does not appear to be a git repository", "404")


@contextmanager
def open_checkout(remote: Remote, branch: str, at: str | None = None) -> Iterator[Checkout]:
    """A Checkout of BRANCH in a folder of its own, which goes afterwards; as the branch was at commit AT."""
    with tempfile.TemporaryDirectory(prefix="hubtool-") as folder:
        checkout = Checkout(remote, branch, Path(folder) / "deployment.git")
        if at is not None and at != checkout.base:
            checkout.fetch(at, "--depth=1", "--filter=blob:none")
            checkout.base = at
        yield checkout


class Checkout:
    """One branch of a repository, in a bare clone at ``folder``."""

    def __init__(self, remote: Remote, branch: str, folder: Path) -> None:
        """Clone BRANCH into FOLDER, which is made. Raises HubtoolError where there is no such repository or
        branch, or it may not be read."""
        self.remote = remote
        self.folder = folder
        self.name = check_branch(branch)
        options = ("--bare", "--depth=1", "--single-branch", "--no-tags", "--filter=blob:none", "--quiet")
        try:
            self._run("clone", *options, f"--branch={branch}", "--", remote.url, str(folder), inside=False)
        except ProcessError as error:
            raise self._explain(error, "read") from error
        self.base = self._text("rev-parse", "--verify", f"refs/heads/{branch}")

    def files(self) -> list[File]:
        """The regular files of the branch; links and submodules are left out."""
        return self._files(self.base)

    def read(self, files: Sequence[File]) -> Iterator[tuple[str, bytes]]:
        """The bytes of FILES, fetched in one request."""
        wanted = "".join(f"{file.blob}\n" for file in files)
        if not wanted:
            return
        fetch = ("-c", "fetch.negotiationAlgorithm=noop", "fetch", "--quiet", "--no-tags", "--no-write-fetch-head")
        # Where this fails, or the clone has all blobs already, cat-file gets what is missing by itself.
        self._run(*fetch, "--filter=blob:none", "--stdin", "origin", input=wanted, check=False)
        try:
            output = self._run("cat-file", "--batch", input=wanted).raw
        except ProcessError as error:
            raise self._explain(error, "read") from error
        yield from zip((file.path for file in files), _split_batch(output), strict=True)

    def tip(self, branch: str) -> Commit | None:
        """The commit that BRANCH stands at in the repository, or None."""
        reference = f"refs/heads/{check_branch(branch)}"
        try:
            listed = self._text("ls-remote", "--refs", self.remote.url, reference)
            if not listed:
                return None
            fetch = ("fetch", "--quiet", "--depth=1", "--no-tags", "--filter=blob:none", self.remote.url)
            self._run(*fetch, f"+{reference}:refs/hubtool/tip")
        except ProcessError as error:
            raise self._explain(error, "read") from error
        return self._commit(self._text("rev-parse", "--verify", "refs/hubtool/tip"))

    def write_tree(self, contents: Mapping[str, bytes]) -> str:
        """The tree of the branch with CONTENTS (paths that files() listed) in place of what it holds."""
        modes = {file.path: file.mode for file in self.files() if file.path in contents}
        index = {"GIT_INDEX_FILE": str(self.folder / "hubtool-index")}
        self._run("read-tree", self.base, env=index)
        lines = []
        for path, data in contents.items():
            blob = self._run("hash-object", "-w", "--stdin", input=data).stdout.strip()
            lines.append(f"{modes[path]} {blob}\t{path}\0")
        entries = "".join(lines).encode("utf-8", "surrogateescape")
        self._run("update-index", "-z", "--index-info", input=entries, env=index)
        return self._run("write-tree", "--missing-ok", env=index).stdout.strip()

    def commit(self, tree: str, message: str) -> str:
        """A commit of TREE on top of the branch; nothing is pushed."""
        return self._run("commit-tree", tree, "-p", self.base, input=message, env=self._identity()).stdout.strip()

    def push(self, commit: str, branch: str, expected: Commit | None) -> None:
        """Set BRANCH to COMMIT where it still stands at EXPECTED (None: where it does not exist).

        Raises BranchMoved where it does not, HubtoolError where hubtool may not push.
        """
        reference = f"refs/heads/{check_branch(branch)}"
        lease = f"--force-with-lease={reference}:{expected.sha if expected else ''}"
        try:
            self._run("push", "--porcelain", "--no-verify", lease, self.remote.url, f"{commit}:{reference}")
        except ProcessError as error:
            if any(word in error.output for word in _MOVED) and "hook declined" not in error.output:
                raise BranchMoved(branch) from error
            raise self._explain(error, f"push the branch {branch} to") from error

    def history(self, path: str) -> Iterator[Revision]:
        """As Branch.history, as far back as the repository itself goes; renames are not followed."""
        at, depth = self.base, FIRST_DEPTH
        while True:
            # Where the clone ends, a commit looks as if it had brought every file.
            end = self._text("rev-list", "--first-parent", at).rpartition("\n")[2]
            cut = end in self._shallow()
            for line in self._changes(at, path):
                time, sha = line.split(" ")
                if not (cut and sha == end):
                    yield Revision(sha, int(time))
            if not cut or not self._deepen(end, depth):
                return
            at, depth = end, depth * 4

    def read_at(self, revision: str, paths: Sequence[str]) -> dict[str, bytes]:
        """As Branch.read_at."""
        wanted = frozenset(paths)
        return dict(self.read([file for file in self._files(revision) if file.path in wanted]))

    def fetch(self, commit: str, *options: str) -> None:
        """Get COMMIT from the repository, whether or not a branch leads there."""
        try:
            self._run("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", *options, self.remote.url, commit)
        except ProcessError as error:
            raise self._explain(error, "read") from error

    # ---- git

    def _files(self, revision: str) -> list[File]:
        listing = self._run("ls-tree", "-r", "-z", revision).raw.decode("utf-8", "surrogateescape")
        entries = (entry.split("\t", 1) for entry in listing.split("\0") if entry)
        found = [(meta.split(" "), path) for meta, path in entries]
        return [File(path, mode, blob) for (mode, kind, blob), path in found if kind == "blob" and mode != "120000"]

    def _changes(self, revision: str, path: str) -> list[str]:
        """The commits up to REVISION that changed PATH: the committer's time, a blank, the commit."""
        return self._text(
            "--literal-pathspecs", "rev-list", "--first-parent", "--timestamp", revision, "--", path
        ).splitlines()

    def _shallow(self) -> frozenset[str]:
        """The commits whose parents the clone left out."""
        file = self.folder / "shallow"
        return frozenset(file.read_text().split()) if file.exists() else frozenset()

    def _deepen(self, end: str, depth: int) -> bool:
        """Get DEPTH commits more below the commit END, where the clone ends; False where there are none."""
        fetch = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--filter=blob:none")
        try:
            self._run(*fetch, f"--deepen={depth}", "origin", self.base)
        except ProcessError as error:
            raise self._explain(error, "read the history of") from error
        return end not in self._shallow()

    def _commit(self, sha: str) -> Commit:
        head, _, message = self._run("cat-file", "commit", sha).stdout.partition("\n\n")
        lines = [line.split(" ", 1) for line in head.splitlines() if " " in line]
        tree = next(value for key, value in lines if key == "tree")
        return Commit(sha, tree, tuple(value for key, value in lines if key == "parent"), message)

    def _text(self, *argv: str) -> str:
        return self._run(*argv).stdout.strip()

    def _run(
        self,
        *argv: str,
        input: str | bytes | None = None,
        env: Mapping[str, str] | None = None,
        check: bool = True,
        inside: bool = True,
    ) -> Completed:
        where = ("--git-dir", str(self.folder)) if inside else ()
        full = {**_environment(self.remote), **(env or {})}
        return run("git", *where, *argv, env=full, input=input, check=check, timeout=TIMEOUT)

    def _identity(self) -> dict[str, str]:
        def known(key: str) -> bool:
            return self._run("config", key, check=False).returncode == 0

        name, email = ({}, {}) if known("user.name") and known("user.email") else ({"NAME": NAME}, {"EMAIL": EMAIL})
        roles = ("AUTHOR", "COMMITTER")
        wanted = {f"GIT_{role}_{key}": value for role in roles for key, value in {**name, **email}.items()}
        return {key: value for key, value in wanted.items() if not os.environ.get(key)}

    def _explain(self, error: ProcessError, doing: str) -> HubtoolError:
        output, url = error.output, self.remote.url
        if f"Remote branch {self.name} not found" in output:
            return HubtoolError(f"no branch '{self.name}' in {url}", hint="name another with --branch")
        if "hook declined" in output or "protected branch" in output:
            return HubtoolError(f"{url} does not take the branch:\n{_last(output)}")
        if any(word in output for word in _DENIED):
            return HubtoolError(
                f"no permission to {doing} {url}",
                hint="the token needs contents:write and pull_requests:write on the deployment repository",
            )
        if any(word in output for word in _MISSING):
            return HubtoolError(f"no git repository at {url}, or no permission to see it")
        return HubtoolError(f"git could not {doing} {url}:\n{_last(output)}", hint="run the same command again")


def check_branch(branch: str) -> str:
    """BRANCH, where git takes it as a branch's name; else HubtoolError."""
    if not _BRANCH.match(branch):
        raise HubtoolError(f"'{branch}' is not a branch's name")
    return branch


def _environment(remote: Remote) -> dict[str, str | None]:
    config = [("core.hooksPath", os.devnull), ("protocol.ext.allow", "never"), ("gc.auto", "0"), *remote.config]
    first = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
    environment: dict[str, str | None] = {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    # Set where hubtool itself runs from a git hook; they would name another repository.
    environment |= dict.fromkeys(("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"))
    environment["GIT_CONFIG_COUNT"] = str(first + len(config))
    for number, (key, value) in enumerate(config, first):
        environment[f"GIT_CONFIG_KEY_{number}"] = key
        environment[f"GIT_CONFIG_VALUE_{number}"] = value
    return environment


def _split_batch(output: bytes) -> Iterable[bytes]:
    """The contents in the output of cat-file --batch: "SHA TYPE SIZE", line end, SIZE bytes, line end."""
    at = 0
    while at < len(output):
        end = output.index(b"\n", at)
        words = output[at:end].split(b" ")
        if len(words) != 3:
            raise HubtoolError(f"git can't read {output[at:end].decode(errors='replace')}")
        size = int(words[2])
        yield output[end + 1 : end + 1 + size]
        at = end + 2 + size


def _last(output: str) -> str:
    return "\n".join(output.strip().splitlines()[-5:])
