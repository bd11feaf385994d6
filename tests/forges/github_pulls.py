"""Pull requests of the stand-in for GitHub: their rules and their memory."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.forges.description import Description
from tests.forges.github_answers import Answer, error, invalid, page
from tests.forges.repositories import has_branch, sha


class Pulls:
    """The pull requests of repository NAME, at ``path``."""

    pulls: list[dict[str, Any]]
    comments: dict[int, list[str]]

    def __init__(self, description: Description, web: str, api: str, name: str, path: Path) -> None:
        self.description = description
        self.web, self.api = web, f"{api}/repos/{name}"
        self.name, self.path = name, path

    def answer(self, method: str, rest: str, query: Mapping[str, str], may_write: bool, body: Any) -> Answer:
        found = re.fullmatch(r"/(?:pulls|issues)(?:/(\d+))?(/labels|/comments)?", rest)
        if not found or (found[1] and int(found[1]) > len(self.pulls)):
            return error(404, "Not Found")
        if method != "GET" and not may_write:
            return error(403, "Resource not accessible by personal access token")
        number, part = int(found[1] or 0), found[2] or ""
        pull = self.pulls[number - 1] if number else {}
        if number == 0:
            return self._create(body) if method == "POST" else self._list(query)
        if part == "/comments":
            return self._comment(number, body) if method == "POST" else self._comments(number, query)
        if part == "/labels":
            return self._label(pull, body)
        if method == "PATCH":
            pull.update(body)
        return Answer(200, pull)

    def _list(self, query: Mapping[str, str]) -> Answer:
        return page([self._simple(one) for one in self._matching(query)], query, f"{self.api}/pulls")

    def _matching(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        state = query.get("state", "open")
        return [
            pull
            for pull in self.pulls
            if state in ("all", pull["state"])
            and query.get("base", pull["base"]["ref"]) == pull["base"]["ref"]
            and query.get("head", pull["head"]["label"]) == pull["head"]["label"]
        ]

    def _simple(self, pull: Mapping[str, Any]) -> Any:
        simple = self.description.example("pull-request-simple-items")[0]
        return {key: pull.get(key, value) for key, value in simple.items()}

    def of_commit(self, numbers: list[int]) -> Answer:
        """The merged pull requests with NUMBERS, as a commit lists them."""
        found = [self._simple({**self._pull(n, "h", "main", "t", ""), "merged_at": _WHEN}) for n in numbers]
        return Answer(200, found)

    def _create(self, body: Mapping[str, Any]) -> Answer:
        head, base = body["head"], body["base"]
        owner = self.name.split("/")[0]
        wrong = [key for key, branch in (("head", head), ("base", base)) if not has_branch(self.path, branch)]
        if wrong:
            details = [{"resource": "PullRequest", "field": key, "code": "invalid"} for key in wrong]
            return error(422, "Validation Failed", details)
        if len(body.get("body", "")) > 65536:
            return invalid("body is too long (maximum is 65536 characters)")
        if self._matching({"head": f"{owner}:{head}", "base": base}):
            return invalid(f"A pull request already exists for {owner}:{head}.")
        if sha(self.path, head) == sha(self.path, base):
            return invalid(f"No commits between {base} and {head}")
        self.pulls.append(self._pull(len(self.pulls) + 1, head, base, body["title"], body.get("body", "")))
        return Answer(201, self.pulls[-1])

    def _pull(self, number: int, head: str, base: str, title: str, body: str) -> dict[str, Any]:
        pull: dict[str, Any] = self.description.example("pull-request")
        owner = self.name.split("/")[0]
        for side, ref in (("head", head), ("base", base)):
            pull[side].update(ref=ref, label=f"{owner}:{ref}")
            pull[side]["repo"].update(full_name=self.name, url=self.api)
        return {
            **pull,
            "number": number,
            "state": "open",
            "title": title,
            "body": body,
            "labels": [],
            "requested_teams": [],
            "merged_at": None,
            "url": f"{self.api}/pulls/{number}",
            "issue_url": f"{self.api}/issues/{number}",
            "html_url": f"{self.web}/{self.name}/pull/{number}",
        }

    def _label(self, pull: dict[str, Any], body: Any) -> Answer:
        names = body["labels"] if isinstance(body, dict) else body
        known = {label["name"] for label in pull["labels"]}
        example = self.description.example("label-items")[0]
        pull["labels"] += [{**example, "name": name} for name in names if name not in known]
        return Answer(200, pull["labels"])

    def _comments(self, number: int, query: Mapping[str, str]) -> Answer:
        texts = self.comments.get(number, [])
        return page([self._comment_of(text) for text in texts], query, f"{self.api}/issues/{number}/comments")

    def _comment(self, number: int, body: Mapping[str, str]) -> Answer:
        self.comments.setdefault(number, []).append(body["body"])
        return Answer(201, self._comment_of(body["body"]))

    def _comment_of(self, text: str) -> Any:
        return {**self.description.example("issue-comment"), "body": text}


_WHEN = "2026-01-01T00:00:00Z"
