"""A GitHub of our own on loopback: pull requests with a memory, git over HTTP, tokens and Apps.

Every request and answer is held against GitHub's OpenAPI description; what breaks it is kept in ``problems``,
which the fixture wants empty.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt

from tests.forges.description import Description
from tests.forges.git_backend import serve_git
from tests.forges.repositories import git, has_branch, sha

PREFIX = "/api/v3"
ALL = {"contents": "write", "pull_requests": "write", "issues": "write", "metadata": "read"}
INSTALLATION = 42


@dataclass
class Fault:
    """Answers the next TIMES requests of METHOD to a path that PATTERN finds."""

    method: str
    pattern: str
    status: int
    message: str = "fault"
    headers: Mapping[str, str] = field(default_factory=dict)
    times: int = 1
    then_do: bool = False


@dataclass
class App:
    """A GitHub App: its public key, and what its installation was granted (None: not installed)."""

    public_key: str
    granted: Mapping[str, str] | None = field(default_factory=lambda: dict(ALL))


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any


class GitHubServer:
    """State and rules; ``url`` is the web address, ``api`` that of the API."""

    def __init__(self, description: Description, root: Path) -> None:
        self.description = description
        self.root = root
        self.tokens: dict[str, Mapping[str, str]] = {}
        self.apps: dict[str, App] = {}
        self.pulls: dict[str, list[dict[str, Any]]] = {}
        self.commit_pulls: dict[str, list[int]] = {}
        self.faults: list[Fault] = []
        self.seen: list[tuple[str, str]] = []
        self.problems: list[str] = []
        self.archived = False
        self.url = ""
        self.lock = threading.Lock()

    @property
    def api(self) -> str:
        return self.url + PREFIX

    def token(self, kind: str = "ghp_", **permissions: str) -> str:
        """A new token with PERMISSIONS; all of them, where none is named."""
        made = kind + secrets.token_hex(18)
        self.tokens[made] = permissions or ALL
        return made

    def writes(self) -> list[tuple[str, str]]:
        return [(method, path) for method, path in self.seen if method in ("POST", "PATCH", "PUT", "DELETE")]

    # ---- one request

    def answer(
        self, method: str, path: str, query: str, authorization: str, body: Any
    ) -> tuple[Answer, Mapping[str, str]]:
        self.seen.append((method, path))
        self.problems += self.description.problems_of_request(method, path, query, body)
        fault = self._fault(method, path)
        if fault is not None:
            if fault.then_do:
                self._act(method, path, query, authorization, body)
            return Answer(
                fault.status, {"message": fault.message, "documentation_url": "https://docs.github.com"}
            ), fault.headers
        answer = self._act(method, path, query, authorization, body)
        if answer.status != 401:
            self.problems += self.description.problems_of_answer(method, path, answer.status, answer.body)
        return answer, {}

    def _fault(self, method: str, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.times > 0 and fault.method == method and re.search(fault.pattern, path):
                fault.times -= 1
                return fault
        return None

    def _act(self, method: str, path: str, query: str, authorization: str, body: Any) -> Answer:
        kind, _, secret = authorization.partition(" ")
        if path == f"/app/installations/{INSTALLATION}/access_tokens" or path.endswith("/installation"):
            return self._app(path, secret, body)
        if secret not in self.tokens or kind.lower() not in ("token", "bearer"):
            return _error(401, "Bad credentials")
        may = self.tokens[secret]
        found = re.fullmatch(r"/repos/([^/]+/[^/]+)(/.*)?", path)
        if not found or not (self.root / f"{found[1]}.git").is_dir() or not may.get("metadata", "read"):
            return _error(404, "Not Found")
        name, rest = found[1], found[2] or ""
        with self.lock:
            return self._repository(method, name, rest, {k: v[0] for k, v in parse_qs(query).items()}, may, body)

    def _repository(
        self, method: str, name: str, rest: str, query: Mapping[str, str], may: Mapping[str, str], body: Any
    ) -> Answer:
        if (method, rest) == ("GET", ""):
            return Answer(200, self._full_repository(name, may))
        if (method, rest) == ("GET", "/pulls"):
            return Answer(200, [self._simple(one) for one in self._matching(name, query)])
        commit = re.fullmatch(r"/commits/([0-9a-f]+)(/pulls)?", rest)
        if commit and method == "GET":
            return self._commit(name, commit[1], bool(commit[2]))
        number = re.fullmatch(r"/(?:pulls|issues)/(\d+)(/labels)?", rest)
        if may.get("pull_requests") != "write":
            return _error(403, "Resource not accessible by personal access token")
        if (method, rest) == ("POST", "/pulls"):
            return self._create(name, body)
        if number and method == "PATCH":
            pull = self.pulls[name][int(number[1]) - 1]
            pull.update(body)
            return Answer(200, pull)
        if number and number[2] and method == "POST":
            return self._label(self.pulls[name][int(number[1]) - 1], body)
        return _error(404, "Not Found")

    # ---- GitHub Apps

    def _app(self, path: str, token: str, body: Any) -> Answer:
        try:
            issuer = jwt.decode(token, options={"verify_signature": False})["iss"]
            app = self.apps[issuer]
            claims = jwt.decode(token, app.public_key, algorithms=["RS256"], options={"require": ["exp", "iat", "iss"]})
        except (jwt.InvalidTokenError, KeyError):
            return _error(401, "A JSON web token could not be decoded")
        if claims["exp"] - claims["iat"] > 660:
            return _error(401, "'Expiration time' claim ('exp') is too far in the future")
        if app.granted is None:
            return _error(404, "Not Found")
        if path.endswith("/installation"):
            return Answer(200, {**self.description.example("installation"), "id": INSTALLATION})
        wanted = (body or {}).get("permissions", {})
        if any(app.granted.get(key) != value for key, value in wanted.items()):
            return _error(422, "The permissions requested are not granted to this installation.", [])
        made = self.token("ghs_", **{**wanted, "metadata": "read"})
        return Answer(201, {**self.description.example("installation-token"), "token": made, "permissions": wanted})

    # ---- what it knows

    def _full_repository(self, name: str, may: Mapping[str, str]) -> Any:
        answer = self.description.example("full-repository-default-response")
        for one in (answer, answer["source"]):
            one["language"] = None
        push = may.get("contents") == "write"
        permissions = {"admin": False, "maintain": False, "push": push, "triage": push, "pull": True}
        head = git(self.root / f"{name}.git", "symbolic-ref", "--short", "HEAD")
        return {
            **answer,
            "full_name": name,
            "name": name.split("/")[1],
            "default_branch": head,
            "archived": self.archived,
            "permissions": permissions,
            "url": f"{self.api}/repos/{name}",
        }

    def _matching(self, name: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        state = query.get("state", "open")
        return [
            pull
            for pull in self.pulls.get(name, [])
            if state in ("all", pull["state"])
            and query.get("base", pull["base"]["ref"]) == pull["base"]["ref"]
            and query.get("head", pull["head"]["label"]) == pull["head"]["label"]
        ]

    def _simple(self, pull: Mapping[str, Any]) -> Any:
        simple = self.description.example("pull-request-simple-items")[0]
        return {key: pull.get(key, value) for key, value in simple.items()}

    def _commit(self, name: str, revision: str, pulls: bool) -> Answer:
        if pulls:
            numbers = self.commit_pulls.get(revision, [])
            return Answer(
                200,
                [
                    self._simple({**self._pull(name, n, "h", "main", "t", ""), "merged_at": "2026-01-01T00:00:00Z"})
                    for n in numbers
                ],
            )
        answer = self.description.example("commit")
        url = f"{self.api}/repos/{name}/commits/{revision}"
        return Answer(200, {**answer, "sha": revision, "url": url, "files": []})

    def _create(self, name: str, body: Mapping[str, Any]) -> Answer:
        repository, head, base = self.root / f"{name}.git", body["head"], body["base"]
        owner = name.split("/")[0]
        wrong = [key for key, branch in (("head", head), ("base", base)) if not has_branch(repository, branch)]
        if wrong:
            details = [{"resource": "PullRequest", "field": key, "code": "invalid"} for key in wrong]
            return _error(422, "Validation Failed", details)
        if len(body.get("body", "")) > 65536:
            return _error(422, "Validation Failed", [_custom("body is too long (maximum is 65536 characters)")])
        if self._matching(name, {"head": f"{owner}:{head}", "base": base}):
            return _error(422, "Validation Failed", [_custom(f"A pull request already exists for {owner}:{head}.")])
        if sha(repository, head) == sha(repository, base):
            return _error(422, "Validation Failed", [_custom(f"No commits between {base} and {head}")])
        pulls = self.pulls.setdefault(name, [])
        pulls.append(self._pull(name, len(pulls) + 1, head, base, body["title"], body.get("body", "")))
        return Answer(201, pulls[-1])

    def _pull(self, name: str, number: int, head: str, base: str, title: str, body: str) -> dict[str, Any]:
        pull: dict[str, Any] = self.description.example("pull-request")
        pull["head"].update(ref=head, label=f"{name.split('/')[0]}:{head}")
        pull["base"].update(ref=base, label=f"{name.split('/')[0]}:{base}")
        return {
            **pull,
            "number": number,
            "state": "open",
            "title": title,
            "body": body,
            "labels": [],
            "requested_teams": [],
            "merged_at": None,
            "url": f"{self.api}/repos/{name}/pulls/{number}",
            "issue_url": f"{self.api}/repos/{name}/issues/{number}",
            "html_url": f"{self.url}/{name}/pull/{number}",
        }

    def _label(self, pull: dict[str, Any], body: Any) -> Answer:
        names = body["labels"] if isinstance(body, dict) else body
        known = {label["name"] for label in pull["labels"]}
        example = self.description.example("label-items")[0]
        pull["labels"] += [{**example, "name": name} for name in names if name not in known]
        return Answer(200, pull["labels"])


def _custom(message: str) -> dict[str, str]:
    return {"resource": "PullRequest", "code": "custom", "message": message}


def _error(status: int, message: str, details: list[dict[str, str]] | None = None) -> Answer:
    body: dict[str, Any] = {"message": message, "documentation_url": "https://docs.github.com/rest"}
    return Answer(status, body if details is None else {**body, "errors": details})


@contextmanager
def serve(server: GitHubServer) -> Iterator[GitHubServer]:
    """SERVER on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            url = urlsplit(self.path)
            if not url.path.startswith(PREFIX):
                serve_git(self, server.root, server.tokens)
                return
            length = int(self.headers.get("Content-Length") or 0)
            raw = self.rfile.read(length)
            body = json.loads(raw) if raw else None
            given = self.headers.get("Authorization", "")
            answer, headers = server.answer(self.command, url.path.removeprefix(PREFIX), url.query, given, body)
            data = json.dumps(answer.body).encode()
            self.send_response(answer.status)
            for key, value in {**headers, "Content-Type": "application/json", "Content-Length": str(len(data))}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_any

        def log_message(self, format: str, *args: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{httpd.server_address[1]}"
    thread = threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()
