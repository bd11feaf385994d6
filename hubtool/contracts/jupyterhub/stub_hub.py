"""A hub's API as a single-user server uses it, for one server and two people: version, activity, user, OAuth.

It runs inside the container, on the image's own Python (3.7 or later), beside the server as a sidecar would: so it is
at hand whatever network the engine has, and holds nothing but the standard library. Paths, models and codes are those
of JupyterHub's REST API (jupyterhub.readthedocs.io, "JupyterHub API"); a test lets a real hub judge the same images.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

API = "/hub/api"
SEEN = "/seen"
BAD_OAUTH = (400, {"error": "invalid_request"})


class Hub:
    """What the hub knows. SAID: user, port, version, token (the server's own), client_id, callback, people (a token
    each, and whom the hub says that it is)."""

    def __init__(self, said: dict[str, Any]) -> None:
        self.said = said
        self.version = said["version"] or own_version()
        self.codes: dict[str, str] = {}
        self.seen: list[str] = []

    def answer(self, method: str, path: str, query: dict[str, str], token: str, body: bytes) -> tuple[int, Any]:
        """Code and JSON; for a redirect the address."""
        if method == "GET" and path in (API, API + "/"):
            return 200, {"version": self.version}
        if method == "GET" and path == API + "/user":
            model = self.said["people"].get(token)
            return (200, model) if model else (403, {"status": 403, "message": "Missing or invalid credentials."})
        if method == "POST" and path == API + "/users/" + self.said["user"] + "/activity":
            return self.activity(token, body)
        if method == "GET" and path == API + "/oauth2/authorize":
            return self.authorize(query)
        if method == "POST" and path == API + "/oauth2/token":
            return self.token(form(body.decode("utf-8", "replace")))
        return 404, {"status": 404, "message": "Not Found"}

    def activity(self, token: str, body: bytes) -> tuple[int, Any]:
        if token != self.said["token"]:
            return 403, {"status": 403, "message": "Missing or invalid credentials."}
        try:
            told = json.loads(body)
        except ValueError:
            told = None
        if not isinstance(told, dict) or not isinstance(told.get("servers", {}), dict) or not told:
            return 400, {"status": 400, "message": "Invalid JSON in body of request"}
        return 200, {}

    def authorize(self, query: dict[str, str]) -> tuple[int, Any]:
        """As for somebody who is logged in and needs not confirm: a code, sent back at once."""
        wanted = (query.get("client_id"), query.get("redirect_uri"), query.get("response_type"))
        if wanted != (self.said["client_id"], self.said["callback"], "code"):
            return BAD_OAUTH
        code = secrets.token_urlsafe(16)
        self.codes[code] = query.get("code_challenge", "")
        return 302, self.said["callback"] + "?" + urlencode({"code": code, "state": query.get("state", "")})

    def token(self, sent: dict[str, str]) -> tuple[int, Any]:
        challenge = self.codes.pop(sent.get("code", ""), None)
        told = (sent.get("client_id"), sent.get("client_secret"), sent.get("grant_type"), sent.get("redirect_uri"))
        wanted = (self.said["client_id"], self.said["token"], "authorization_code", self.said["callback"])
        if challenge is None or told != wanted or (challenge and challenge != challenge_of(sent)):
            return BAD_OAUTH
        issued = secrets.token_urlsafe(16)
        self.said["people"][issued] = self.said["people"][self.said["token"]]
        return 200, {"access_token": issued, "token_type": "Bearer", "expires_in": 3600, "scope": ""}


def challenge_of(sent: dict[str, str]) -> str:
    """RFC 7636, method S256."""
    digest = hashlib.sha256(sent.get("code_verifier", "").encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def form(text: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(text).items()}


def own_version() -> str:
    """The version of the jupyterhub that is installed here."""
    try:
        from jupyterhub import __version__  # type: ignore[import-not-found,unused-ignore]
    except Exception:
        return "5.0.0"
    return str(__version__)


def handler_of(hub: Hub) -> type:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.handle_request("GET")

        def do_POST(self) -> None:
            self.handle_request("POST")

        def handle_request(self, method: str) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if parts.path == SEEN:
                return self.send(200, hub.seen)
            token = (self.headers.get("Authorization") or "").partition(" ")[2]
            code, answer = hub.answer(method, parts.path, form(parts.query), token, body)
            hub.seen.append(f"{method} {parts.path} {code}")
            return self.send(code, answer)

        def send(self, code: int, answer: Any) -> None:
            data = b"" if code == 302 else json.dumps(answer).encode()
            self.send_response(code)
            if code == 302:
                self.send_header("Location", answer)
            self.send_header("X-JupyterHub-Version", hub.version)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


def main() -> None:
    said = json.loads(sys.argv[1])
    HTTPServer(("", said["port"]), handler_of(Hub(said))).serve_forever()


if __name__ == "__main__":
    main()
