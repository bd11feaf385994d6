"""What a region of Onyxia has that an init script asks for, served on this machine: a Vault, init scripts, and git
repositories over git's dumb HTTP protocol (git-scm.com, "HTTP transfer protocols").

Each container has an address of its own, which nobody can guess, so that what it asked for is told apart.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

BRANCH = "work"
MAIN = "main"
PROJECT = "project"
RAN = "/tmp/hubtool-"
Answer = tuple[int, bytes]
NOT_FOUND: Answer = (404, b"")


def git_object(kind: str, content: bytes) -> tuple[str, bytes]:
    """Name and file of a loose git object."""
    whole = f"{kind} {len(content)}\0".encode() + content
    return hashlib.sha1(whole).hexdigest(), zlib.compress(whole)


def bare_repository() -> dict[str, bytes]:
    """The files of a bare repository with the branches main and work, each with one file that holds its name."""
    files, refs = {"HEAD": f"ref: refs/heads/{MAIN}\n".encode(), "objects/info/packs": b"\n"}, b""
    for branch in (MAIN, BRANCH):
        blob, stored = git_object("blob", branch.encode())
        objects = {blob: stored}
        tree, objects_tree = git_object("tree", b"100644 branch\0" + bytes.fromhex(blob))
        who = "hubtool <hubtool@localhost> 0 +0000"
        text = f"tree {tree}\nauthor {who}\ncommitter {who}\n\n{branch}\n"
        commit, stored = git_object("commit", text.encode())
        objects |= {tree: objects_tree, commit: stored}
        files |= {f"objects/{name[:2]}/{name[2:]}": content for name, content in objects.items()}
        refs += f"{commit}\trefs/heads/{branch}\n".encode()
    return {**files, "info/refs": refs}


REPOSITORY: Mapping[str, bytes] = bare_repository()


@dataclass
class Site:
    """What one container gets. ``secrets`` are in its Vault below ``secret_path``, for who has ``vault_token``; ``pat``
    opens its private repository. ``asked`` are the paths that it asked for, ``sent`` the passwords for git."""

    secrets: Mapping[str, str]
    pat: str = ""
    key: str = field(default_factory=lambda: secrets.token_hex(8))
    vault_token: str = field(default_factory=lambda: secrets.token_hex(12))
    secret_path: str = "v1/onyxia-kv/data/user-ada/.onyxia/env"
    asked: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)

    def script(self, name: str) -> bytes:
        """The script NAME: it leaves its arguments in a file inside the container, and exports a variable."""
        mark = f"{RAN}{name}-{self.key}"
        return f"printf '%s\\n' \"$@\" > {mark}\nexport HUBTOOL_LEAKED_{name.upper()}=1\n".encode()

    def answer(self, path: str, headers: Mapping[str, str]) -> Answer:
        """What is served at PATH, which is relative to the site."""
        self.asked.append(path)
        name, _, rest = path.partition("/")
        if path in ("region.sh", "personal.sh"):
            return 200, self.script(name.partition(".")[0])
        if path == self.secret_path:
            return self._vault(headers.get("X-Vault-Token", ""))
        if name in ("open", "private") and rest.startswith((f"{PROJECT}.git/", f"{PROJECT}/")):
            if name == "private" and not self._may_clone(headers.get("Authorization", "")):
                return 401, b""
            content = REPOSITORY.get(rest.partition("/")[2])
            return NOT_FOUND if content is None else (200, content)
        return NOT_FOUND

    def _vault(self, token: str) -> Answer:
        if token != self.vault_token:
            return 403, b'{"errors":["permission denied"]}'
        return 200, json.dumps({"data": {"data": self.secrets, "metadata": {"version": 1}}}).encode()

    def _may_clone(self, authorization: str) -> bool:
        """Whether the personal access token was sent, as the user's name or as the password."""
        if not authorization.startswith("Basic "):
            return False
        told = base64.b64decode(authorization[6:] + "==").decode("utf-8", "replace")
        self.sent.append(told)
        user, _, password = told.partition(":")
        return self.pat in (user, password)


class Region:
    """Serves SITES on every address of this machine, since containers reach it at none that is known before."""

    def __init__(self, machine: str) -> None:
        self.machine = machine
        self._sites: dict[str, Site] = {}
        self._server = ThreadingHTTPServer(("0.0.0.0", 0), _handler(self._sites))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def add(self, site: Site) -> str:
        """The address of SITE, as containers call it."""
        self._sites[site.key] = site
        return f"http://{self.machine}:{self.port}/{site.key}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(sites: Mapping[str, Site]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 30

        def do_GET(self) -> None:
            key, _, path = urlsplit(self.path).path.lstrip("/").partition("/")
            site = sites.get(key)
            code, content = site.answer(path, dict(self.headers.items())) if site is not None else NOT_FOUND
            self.send_response(code)
            if code == 401:
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Type", "application/json" if content.startswith(b"{") else "text/plain")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
