"""Git data at the stand-in for GitHub, out of a real bare repository."""

from __future__ import annotations

import base64
import textwrap
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from hubtool.process import Completed, run
from tests.forges.description import Description
from tests.forges.github_answers import Answer, error
from tests.forges.repositories import WHO, git, has_branch, sha

MOST_COMPARED = 250


class GitData:
    """The repository at ``path``, whose addresses begin with ``url``."""

    def __init__(self, description: Description, path: Path, url: str) -> None:
        self.description = description
        self.path = path
        self.url = url

    def answer(
        self, method: str, rest: str, body: Any, most_entries: int, mangle: Callable[[str], str], spoil: bool
    ) -> Answer | None:
        """The answer to METHOD on REST (below the repository's address), or None where it is not about git data.
        A tree's list is cut after MOST_ENTRIES; MANGLE is what becomes of text; SPOIL gives blobs other bytes."""
        kind, _, name = rest.removeprefix("/").removeprefix("git/").partition("/")
        found = (method, kind, bool(name))
        if found == ("GET", "branches", True):
            return self._branch(unquote(name))
        if found == ("GET", "trees", True):
            return self._tree(name, most_entries)
        if found == ("GET", "blobs", True):
            return self._blob(name, spoil)
        if found == ("GET", "compare", True):
            return self._compare(*name.split("..."))
        if found == ("POST", "blobs", False):
            data = base64.b64decode(body["content"], validate=True)
            return Answer(201, self._named(git(self.path, "hash-object", "-w", "--stdin", input=data), "blobs"))
        if found == ("POST", "trees", False):
            return self._make_tree(body, mangle)
        if found == ("POST", "commits", False):
            return self._make_commit(body)
        return None

    # ---- reading

    def _branch(self, name: str) -> Answer:
        if not has_branch(self.path, name):
            return error(404, "Branch not found")
        answer = self.description.example("branch-get")
        return Answer(200, {**answer, "name": name, "commit": self.commit(sha(self.path, name))})

    def commit(self, revision: str) -> dict[str, Any]:
        """A commit, as lists of commits have it."""
        answer = self.description.example("branch-get")["commit"]
        tree, parents, when, message = self._run("log", "-1", "--format=%T%x00%P%x00%cI%x00%B", revision).stdout.split(
            "\0"
        )
        answer["commit"].update(message=message.rstrip("\n"), tree=self._named(tree, "trees"))
        answer["commit"]["committer"]["date"] = when
        return {**answer, "sha": revision, "parents": [self._parent(one) for one in parents.split()]}

    def _tree(self, revision: str, most_entries: int) -> Answer:
        if self._run("cat-file", "-e", f"{revision}^{{tree}}", check=False).returncode != 0:
            return error(404, "Not Found")
        entries = self._listing("-r", "-t", revision)
        tree = git(self.path, "rev-parse", f"{revision}^{{tree}}")
        cut = len(entries) > most_entries
        return Answer(200, {**self._named(tree, "trees"), "tree": entries[:most_entries], "truncated": cut})

    def _listing(self, *words: str) -> list[dict[str, Any]]:
        # As JSON has it: a name that is not UTF-8 does not come through.
        lines = self._run("ls-tree", "-z", "-l", *words).raw.decode("utf-8", "replace").split("\0")
        return [self._listed(*line.split("\t", 1)) for line in lines if line]

    def _listed(self, about: str, path: str) -> dict[str, Any]:
        mode, kind, name, size = about.split()
        entry: dict[str, Any] = {"path": path, "mode": mode, "type": kind, "sha": name}
        if kind == "blob":
            entry["size"] = int(size)
        return entry if kind == "commit" else {**entry, "url": f"{self.url}/git/{kind}s/{name}"}

    def _blob(self, name: str, spoil: bool) -> Answer:
        done = self._run("cat-file", "blob", name, check=False)
        if done.returncode != 0:
            return error(404, "Not Found")
        content = "".join(f"{line}\n" for line in textwrap.wrap(base64.b64encode(done.raw).decode(), 60))
        if spoil:
            content = base64.b64encode(done.raw[:-1] + b"?").decode()
        answer = {**self._named(name, "blobs"), "node_id": "B_1", "size": len(done.raw)}
        return Answer(200, {**answer, "content": content, "encoding": "base64"})

    def _compare(self, old: str, new: str) -> Answer:
        if any(
            self._run("rev-parse", "-q", "--verify", f"{one}^{{commit}}", check=False).returncode for one in (old, new)
        ):
            return error(404, "Not Found")
        ahead = git(self.path, "rev-list", "--reverse", f"{old}..{new}").split()
        behind = len(git(self.path, "rev-list", f"{new}..{old}").split())
        answer = self.description.example("commit-comparison")
        status = {(0, 0): "identical", (1, 0): "ahead", (0, 1): "behind"}.get((bool(ahead), bool(behind)), "diverged")
        commits = [self.commit(one) for one in ahead[-MOST_COMPARED:]]
        counts = {"ahead_by": len(ahead), "behind_by": behind, "total_commits": len(ahead)}
        return Answer(200, {**answer, **counts, "status": status, "commits": commits})

    # ---- writing

    def _make_tree(self, body: Any, mangle: Callable[[str], str]) -> Answer:
        index = {**WHO, "GIT_INDEX_FILE": str(self.path / f"api-{datetime.now(UTC).timestamp()}")}
        self._run("read-tree", body["base_tree"], env=index)
        for entry in body["tree"]:
            blob = entry.get("sha")
            if "content" in entry:
                blob = git(self.path, "hash-object", "-w", "--stdin", input=mangle(entry["content"]).encode())
            line = f"{entry['mode']} {blob}\t{entry['path']}\0".encode()
            self._run("update-index", "-z", "--add", "--index-info", env=index, input=line)
        made = self._run("write-tree", env=index).stdout.strip()
        Path(index["GIT_INDEX_FILE"]).unlink()
        return Answer(201, {**self._named(made, "trees"), "tree": self._listing(made), "truncated": False})

    def _make_commit(self, body: Any) -> Answer:
        parents = [word for one in body["parents"] for word in ("-p", one)]
        made = git(self.path, "commit-tree", body["tree"], *parents, input=body["message"])
        answer = {**self.description.example("git-commit"), **self._named(made, "commits")}
        parts = {"message": body["message"], "tree": self._named(body["tree"], "trees")}
        return Answer(201, {**answer, **parts, "parents": [self._parent(one) for one in body["parents"]]})

    def update(self, name: str, before: str | None, after: str, force: bool) -> str | None:
        """Move a reference; what is wrong with that, or None."""
        now = self._run("rev-parse", "-q", "--verify", name, check=False).stdout.strip() or "0" * 40
        forward = now == "0" * 40 or not self._run("merge-base", "--is-ancestor", now, after, check=False).returncode
        if not force and not forward:
            return "Update is not a fast forward"
        done = self._run("update-ref", name, after, now if before is None else before, check=False)
        return None if done.returncode == 0 else f"Reference {name} is not where it was expected"

    # ---- parts

    def _named(self, name: str, kind: str) -> dict[str, str]:
        return {"sha": name, "url": f"{self.url}/git/{kind}/{name}"}

    def _parent(self, name: str) -> dict[str, str]:
        return {**self._named(name, "commits"), "html_url": f"{self.url}/commit/{name}"}

    def _run(
        self, *argv: str, env: Mapping[str, str] | None = None, input: bytes | None = None, check: bool = True
    ) -> Completed:
        return run("git", "-C", self.path, *argv, env=env, input=input, check=check)
