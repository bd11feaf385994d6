"""A branch at GitHub, read and written without a clone, through GitHub's Git data API.

Whatever comes is held against git's own id of it, and so is the tree that is made: what is pushed is the branch with
the files that were given, and nothing else.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from typing import Any, Protocol
from urllib.parse import quote

from hubtool.errors import HubtoolError
from hubtool.forges import BranchMoved, Commit, File, Revision
from hubtool.forges.checkout import Checkout, check_branch
from hubtool.forges.github_wire import AT_ONCE, UnknownMutation, Wire
from hubtool.forges.objects import blob_id, tree_id

# Beyond this, one fetch by git is less than a request a file.
MOST_BLOBS = 60
# GitHub gives no blob of more than 100 MB.
LARGE = 50_000_000
NOTHING = "0" * 40
UPDATE_REFS = "mutation ($input: UpdateRefsInput!) { updateRefs(input: $input) { clientMutationId } }"


class NotListed(Exception):
    """GitHub does not tell all of the branch's files; a clone has them."""


class OpenClone(Protocol):
    def __call__(self, at: str | None = None) -> Checkout: ...


class GitHubBranch:
    """Satisfies Branch. ``clone`` opens the same branch by git, for what is better done so."""

    def __init__(self, wire: Wire, branch: str, clone: OpenClone) -> None:
        """Raises HubtoolError where there is no BRANCH, NotListed where GitHub does not list it exactly."""
        self._wire = wire
        self._open_clone = clone
        self._blobs: dict[str, bytes] = {}
        self._unwritten: dict[str, Mapping[str, bytes]] = {}
        self.name = check_branch(branch)
        tip = self.tip(branch)
        if tip is None:
            raise HubtoolError(f"no branch '{branch}' in {wire.repository}", hint="name another with --branch")
        self.base, self._tree = tip.sha, tip.tree
        self._leaves = self._list(tip.tree)
        self._files = [
            File(path, mode, blob)
            for path, (mode, blob) in self._leaves.items()
            if mode not in ("120000", "160000")  # links, submodules
        ]

    def files(self) -> list[File]:
        """As Branch.files."""
        return self._files

    def read(self, files: Sequence[File]) -> Iterator[tuple[str, bytes]]:
        """As Branch.read: a request a file, a few at once; by git where that is less."""
        wanted = {file.blob: file for file in files if file.blob not in self._blobs}
        if len(self._blobs) + len(wanted) > MOST_BLOBS or self._large & wanted.keys():
            yield from self._clone.read(files)
            return
        with ThreadPoolExecutor(AT_ONCE) as pool:
            self._blobs.update(zip(wanted, pool.map(self._blob, wanted.values()), strict=True))
        yield from ((file.path, self._blobs[file.blob]) for file in files)

    def tip(self, branch: str) -> Commit | None:
        """As Branch.tip."""
        # GitHub redirects from a branch's old name: not the branch that was asked for.
        path = f"branches/{quote(check_branch(branch), safe='')}"
        found = self._get(path, absent=(301, 404))
        if found is None:
            return None
        commit = found["commit"]
        parents = tuple(parent["sha"] for parent in commit["parents"])
        return Commit(commit["sha"], commit["commit"]["tree"]["sha"], parents, commit["commit"]["message"])

    def write_tree(self, contents: Mapping[str, bytes]) -> str:
        """As Branch.write_tree. Nothing travels before commit()."""
        changed = {path: (self._leaves[path][0], blob_id(data)) for path, data in contents.items()}
        tree = tree_id({**self._leaves, **changed})
        self._unwritten[tree] = contents
        return tree

    def commit(self, tree: str, message: str) -> str:
        """As Branch.commit. GitHub names the author, and signs for Apps."""
        contents = self._unwritten.get(tree)
        if contents:
            self._upload(tree, contents)
            del self._unwritten[tree]
        made = self._post("git/commits", {"message": message, "tree": tree, "parents": [self.base]})
        sha: str = made["sha"]
        return sha

    def push(self, commit: str, branch: str, expected: Commit | None) -> None:
        """As Branch.push."""
        before = expected.sha if expected else NOTHING
        name = f"refs/heads/{check_branch(branch)}"
        update = {"name": name, "beforeOid": before, "afterOid": commit, "force": True}
        values = {"repositoryId": self._wire.home.node_id, "refUpdates": [update]}
        try:
            self._wire.graphql(f"push the branch {branch} to", UPDATE_REFS, {"input": values})
        except UnknownMutation:
            self._clone.fetch(commit)
            self._clone.push(commit, branch, expected)
        except HubtoolError as error:
            # GitHub's words for it are written down nowhere, and a lost answer may have been a yes: look.
            tip = self.tip(branch)
            now = tip.sha if tip else NOTHING
            if now == before:
                raise
            if now != commit:
                raise BranchMoved(branch) from error

    def history(self, path: str) -> Iterator[Revision]:
        """As Branch.history. GitHub's own list knows nothing of first parents, so git tells it."""
        return self._clone.history(path)

    def read_at(self, revision: str, paths: Sequence[str]) -> dict[str, bytes]:
        """As Branch.read_at."""
        return self._clone.read_at(revision, paths)

    # ---- the Git data API

    @cached_property
    def _clone(self) -> Checkout:
        return self._open_clone(self.base)

    def _list(self, tree: str) -> dict[str, tuple[str, str]]:
        """Mode and id of each file, link and submodule."""
        listed = self._get(f"git/trees/{tree}?recursive=1")
        self._large = {one["sha"] for one in listed["tree"] if one.get("size", 0) > LARGE}
        leaves = {one["path"]: (one["mode"], one["sha"]) for one in listed["tree"] if one["type"] != "tree"}
        try:
            exact = not listed["truncated"] and tree_id(leaves) == tree
        except ValueError:
            exact = False
        if not exact:
            # More than 100,000 entries, or names that JSON can't hold.
            raise NotListed
        return leaves

    def _blob(self, file: File) -> bytes:
        found = self._get(f"git/blobs/{file.blob}")
        try:
            data = base64.b64decode(found["content"]) if found["encoding"] == "base64" else found["content"].encode()
        except binascii.Error:
            data = b""
        if blob_id(data) != file.blob:
            raise HubtoolError(f"GitHub gave other bytes than those of {file.path}", hint="run the same command again")
        return data

    def _upload(self, tree: str, contents: Mapping[str, bytes]) -> None:
        """Have GitHub make TREE: in one request, where what it makes of the text is what was meant."""
        for as_text in (True, False):
            entries = [self._entry(path, data, as_text) for path, data in contents.items()]
            if self._post("git/trees", {"base_tree": self._tree, "tree": entries})["sha"] == tree:
                return
        raise HubtoolError(
            f"GitHub made another tree than '{self.name}' with other bytes in {', '.join(contents)}",
            hint="nothing was pushed; set HUBTOOL_GITHUB_CLONE=1 to have git do it",
        )

    def _entry(self, path: str, data: bytes, as_text: bool) -> dict[str, str]:
        entry = {"path": path, "mode": self._leaves[path][0], "type": "blob"}
        if as_text and b"\0" not in data:
            with suppress(UnicodeDecodeError):
                return {**entry, "content": data.decode()}
        made = self._post("git/blobs", {"content": base64.b64encode(data).decode(), "encoding": "base64"})
        return {**entry, "sha": made["sha"]}

    def _get(self, path: str, absent: Sequence[int] = ()) -> Any:
        return self._wire.get("read", f"/repos/{self._wire.home.full_name}/{path}", absent)

    def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        return self._wire.post("write to", f"/repos/{self._wire.home.full_name}/{path}", body)
