"""git over HTTP: git's own http-backend behind a check of tokens, as GitHub has it."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import urlsplit


def serve_git(handler: BaseHTTPRequestHandler, root: Path, tokens: Mapping[str, Mapping[str, str]]) -> None:
    """Answer one request for a repository below ROOT."""
    url = urlsplit(handler.path)
    data = _body(handler)
    push = "git-receive-pack" in handler.path
    if len(handler.headers.get_all("Authorization") or []) > 1:
        _answer(handler, 400, {}, b"Duplicate header: Authorization")
        return
    token = _token(handler.headers.get("Authorization", ""))
    if token not in tokens:
        _answer(handler, 401, {"WWW-Authenticate": 'Basic realm="GitHub"'}, b"Repository not found.")
        return
    if push and tokens[token].get("contents") != "write":
        _answer(handler, 403, {}, b"Write access to repository not granted.")
        return
    environment = {
        **os.environ,
        "GIT_PROJECT_ROOT": str(root),
        "GIT_HTTP_EXPORT_ALL": "1",
        "REMOTE_USER": "token",
        "REMOTE_ADDR": "127.0.0.1",
        "REQUEST_METHOD": handler.command,
        "PATH_INFO": url.path,
        "QUERY_STRING": url.query,
        "CONTENT_TYPE": handler.headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(data)),
        "HTTP_CONTENT_ENCODING": handler.headers.get("Content-Encoding", ""),
        "GIT_PROTOCOL": handler.headers.get("Git-Protocol", ""),
    }
    done = subprocess.run(["git", "http-backend"], input=data, env=environment, capture_output=True)
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    fields = [line.decode().split(": ", 1) for line in head.split(b"\r\n") if b": " in line]
    status = next((int(value.split()[0]) for key, value in fields if key == "Status"), 200)
    _answer(handler, status, {key: value for key, value in fields if key != "Status"}, body)


def _answer(handler: BaseHTTPRequestHandler, status: int, headers: Mapping[str, str], body: bytes) -> None:
    handler.send_response(status)
    for key, value in headers.items():
        handler.send_header(key, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def _token(authorization: str) -> str:
    kind, _, value = authorization.partition(" ")
    if kind.lower() != "basic":
        return ""
    user, _, password = base64.b64decode(value).decode().partition(":")
    return password if user == "x-access-token" else ""


def _body(handler: BaseHTTPRequestHandler) -> bytes:
    if handler.headers.get("Transfer-Encoding") != "chunked":
        return handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
    data = b""
    while size := int(handler.rfile.readline().strip(), 16):
        data += handler.rfile.read(size)
        handler.rfile.readline()
    handler.rfile.readline()
    return data
