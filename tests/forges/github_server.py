"""A GitHub of our own on loopback: pull requests with a memory, git over HTTP, tokens and Apps.

Every request and answer is held against GitHub's OpenAPI description; what breaks it is kept in ``problems``,
which the fixture wants empty.
"""

from __future__ import annotations

import gzip
import json
import re
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt

from tests.forges import github_graphql
from tests.forges.description import Description
from tests.forges.git_backend import serve_git
from tests.forges.github_answers import Answer, error
from tests.forges.github_git import GitData
from tests.forges.github_pulls import Pulls
from tests.forges.repositories import git

PREFIX, GRAPHQL = "/api/v3", "/api/graphql"
ALL = {"contents": "write", "pull_requests": "write", "issues": "write", "metadata": "read"}
INSTALLATION = 42


@dataclass
class Fault:
    """Answers the next TIMES requests of METHOD to a path that PATTERN finds; a STATUS of 0 cuts the connection in
    the middle of the answer."""

    method: str
    pattern: str
    status: int
    message: str = "fault"
    headers: Mapping[str, str] = field(default_factory=dict)
    times: int = 1
    then_do: bool = False
    body: Any = None


@dataclass
class App:
    """A GitHub App: its public key, and what its installation was granted (None: not installed)."""

    public_key: str
    granted: Mapping[str, str] | None = field(default_factory=lambda: dict(ALL))


class GitHubServer:
    """State and rules; ``url`` is the web address, ``api`` that of the API."""

    def __init__(self, description: Description, root: Path) -> None:
        self.description = description
        self.root = root
        self.tokens: dict[str, Mapping[str, str]] = {}
        self.apps: dict[str, App] = {}
        self.pulls: dict[str, list[dict[str, Any]]] = {}
        self.comments: dict[str, dict[int, list[str]]] = {}
        self.commit_pulls: dict[str, list[int]] = {}
        self.faults: list[Fault] = []
        self.seen: list[tuple[str, str]] = []
        self.git_seen: list[tuple[str, str]] = []
        self.problems: list[str] = []
        self.archived = False
        # Branches by their old names; how many entries a tree's list has at most; a server before updateRefs; what
        # becomes of text; blobs that come with other bytes.
        self.renamed: dict[str, str] = {}
        self.most_entries = 100_000
        self.knows_update_refs = True
        self.mangle: Callable[[str], str] = str
        self.spoilt = False
        self.received = self.sent = 0
        self.busy = self.most_busy = 0
        self.url = ""
        self.lock, self.counting = threading.Lock(), threading.Lock()

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

    def answer(self, method: str, path: str, query: str, authorization: str, body: Any) -> Answer:
        self.seen.append((method, path))
        self.problems += self._problems_of_request(method, path, query, body)
        fault = self._fault(method, path)
        if fault is not None:
            if fault.then_do:
                self._act(method, path, query, authorization, body)
            said = (
                fault.body
                if fault.body is not None
                else {"message": fault.message, "documentation_url": "https://docs.github.com"}
            )
            return Answer(fault.status, said, fault.headers)
        answer = self._act(method, path, query, authorization, body)
        if answer.status != 401 and path != GRAPHQL:
            self.problems += self.description.problems_of_answer(method, path, answer.status, answer.body)
        return answer

    def _problems_of_request(self, method: str, path: str, query: str, body: Any) -> list[str]:
        if (method, path) == ("POST", GRAPHQL):
            return github_graphql.problems_of_query(self.description.schema, body["query"])
        return self.description.problems_of_request(method, path, query, body)

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
            return error(401, "Bad credentials")
        may = self.tokens[secret]
        if path == GRAPHQL:
            with self.lock:
                return self._graphql(may, body)
        found = re.fullmatch(r"/repos/([^/]+/[^/]+)(/.*)?", path)
        if not found or not (self.root / f"{found[1]}.git").is_dir() or not may.get("metadata", "read"):
            return error(404, "Not Found")
        name, rest = found[1], found[2] or ""
        with self.lock:
            return self._repository(method, name, rest, {k: v[0] for k, v in parse_qs(query).items()}, may, body)

    def _repository(
        self, method: str, name: str, rest: str, query: Mapping[str, str], may: Mapping[str, str], body: Any
    ) -> Answer:
        if (method, rest) == ("GET", ""):
            return Answer(200, self._full_repository(name, may))
        if rest.startswith(("/pulls", "/issues")):
            return self._pulls(name).answer(method, rest, query, may.get("pull_requests") == "write", body)
        commit = re.fullmatch(r"/commits/([0-9a-f]+)/pulls", rest)
        if commit and method == "GET":
            return self._pulls(name).of_commit(self.commit_pulls.get(commit[1], []))
        if may.get("contents") not in (("write",) if method == "POST" else ("read", "write")):
            return error(403, "Resource not accessible by personal access token")
        return self._git_data(method, name, rest, body) or error(404, "Not Found")

    def _git_data(self, method: str, name: str, rest: str, body: Any) -> Answer | None:
        if method == "GET" and rest.removeprefix("/branches/") in self.renamed:
            to = f"{self.api}/repos/{name}/branches/{self.renamed[rest.removeprefix('/branches/')]}"
            return Answer(301, {"message": "Moved Permanently", "url": to}, {"Location": to})
        return self._git(name).answer(method, rest, body, self.most_entries, self.mangle, self.spoilt)

    def _graphql(self, may: Mapping[str, str], body: Any) -> Answer:
        if not self.knows_update_refs:
            return Answer(200, github_graphql.unknown())

        def update(repository: str, one: Mapping[str, Any]) -> str | None:
            data = self._git(repository.removeprefix("R_"))
            return data.update(one["name"], one.get("beforeOid"), one["afterOid"], one.get("force", False))

        write = may.get("contents") == "write"
        schema, query = self.description.schema, body["query"]
        return Answer(200, github_graphql.answer(schema, query, body.get("variables") or {}, update, write))

    def _pulls(self, name: str) -> Pulls:
        pulls = Pulls(self.description, self.url, self.api, name, self.root / f"{name}.git")
        pulls.pulls, pulls.comments = self.pulls.setdefault(name, []), self.comments.setdefault(name, {})
        return pulls

    def _git(self, name: str) -> GitData:
        return GitData(self.description, self.root / f"{name}.git", f"{self.api}/repos/{name}")

    # ---- GitHub Apps

    def _app(self, path: str, token: str, body: Any) -> Answer:
        try:
            issuer = jwt.decode(token, options={"verify_signature": False})["iss"]
            app = self.apps[issuer]
            claims = jwt.decode(token, app.public_key, algorithms=["RS256"], options={"require": ["exp", "iat", "iss"]})
        except (jwt.InvalidTokenError, KeyError):
            return error(401, "A JSON web token could not be decoded")
        if claims["exp"] - claims["iat"] > 660:
            return error(401, "'Expiration time' claim ('exp') is too far in the future")
        if app.granted is None:
            return error(404, "Not Found")
        if path.endswith("/installation"):
            return Answer(200, {**self.description.example("installation"), "id": INSTALLATION})
        wanted = (body or {}).get("permissions", {})
        if any(app.granted.get(key) != value for key, value in wanted.items()):
            return error(422, "The permissions requested are not granted to this installation.", [])
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
            "node_id": f"R_{name}",
            "default_branch": head,
            "archived": self.archived,
            "permissions": permissions,
            "url": f"{self.api}/repos/{name}",
        }


class _Counted:
    """A stream of SERVER's, whose bytes are counted."""

    def __init__(self, stream: Any, server: GitHubServer) -> None:
        self.stream, self.server = stream, server

    def read(self, size: int = -1) -> bytes:
        return self._came(self.stream.read(size))

    def readline(self, size: int = -1) -> bytes:
        return self._came(self.stream.readline(size))

    def write(self, data: bytes) -> int:
        with self.server.counting:
            self.server.sent += len(data)
        return int(self.stream.write(data))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def _came(self, data: bytes) -> bytes:
        with self.server.counting:
            self.server.received += len(data)
        return data


def _counted(stream: Any, server: GitHubServer) -> Any:
    return _Counted(stream, server)


@contextmanager
def serve(server: GitHubServer) -> Iterator[GitHubServer]:
    """SERVER on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            self.rfile, self.wfile = _counted(self.rfile, server), _counted(self.wfile, server)

        def handle_any(self) -> None:
            with server.counting:
                server.busy += 1
                server.most_busy = max(server.most_busy, server.busy)
            self.handle_one()
            with server.counting:
                server.busy -= 1

        def handle_one(self) -> None:
            url = urlsplit(self.path)
            if not url.path.startswith((PREFIX, GRAPHQL)):
                server.git_seen.append((self.command, url.path))
                serve_git(self, server.root, server.tokens)
                return
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = json.loads(raw) if raw else None
            given = self.headers.get("Authorization", "")
            answer = server.answer(self.command, url.path.removeprefix(PREFIX), url.query, given, body)
            data, packed = json.dumps(answer.body).encode(), "gzip" in self.headers.get("Accept-Encoding", "")
            headers = {**answer.headers, "Content-Type": "application/json"}
            if packed:
                data, headers["Content-Encoding"] = gzip.compress(data, 6), "gzip"
            self.send_response(answer.status or 200)
            for key, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(data if answer.status else data[: len(data) // 2])
            self.close_connection = self.close_connection or not answer.status

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
