#!/usr/bin/env python3
"""Stands in for code-server and RStudio: their options, address and login, and nothing behind them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

COOKIE = "session=in"
IS_CODE_SERVER = os.path.basename(sys.argv[0]) == "code-server"
PASSWORD = os.environ.get("PASSWORD", os.environ.get("DEFAULT_PASSWORD", ""))


def option(name: str, default: str) -> str:
    words = sys.argv[1:]
    return words[words.index(name) + 1] if name in words else default


def accepts(password: str) -> bool:
    """Whether PASSWORD is the account's, as PAM asks for RStudio."""
    import crypt
    import spwd

    try:
        hashed = spwd.getspnam("onyxia").sp_pwdp
    except PermissionError:
        return False
    return crypt.crypt(password, hashed) == hashed


class Ide(BaseHTTPRequestHandler):
    login = "/login" if IS_CODE_SERVER else "/auth-sign-in"

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == self.login:
            self.answer(200, b"<form><input type=hidden name=rs-csrf-token value=word></form>")
        elif path == "/auth-public-key":
            self.answer(200, b"none: the form is sent as it is")
        elif option("--auth", "password") == "none" or self.headers.get("Cookie") == COOKIE:
            self.answer(200, b"the workbench")
        else:
            self.answer(302, headers={"Location": os.environ.get("REDIRECT", "." + self.login)})

    def do_POST(self) -> None:
        sent = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        password = sent.get("password", [""])[0]
        if password == PASSWORD != "" if IS_CODE_SERVER else sent["rs-csrf-token"] == ["word"] and accepts(password):
            self.answer(302, headers={"Location": "./", "Set-Cookie": COOKIE})
        else:
            self.answer(200, b"Incorrect password")

    def answer(self, code: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        self.send_response(code)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


# As with code-server, these two variables win over the options.
host = os.environ.get("CODE_SERVER_HOST") or option("--host", "localhost" if IS_CODE_SERVER else "0.0.0.0")
port = int(os.environ.get("PORT") or 8080) if IS_CODE_SERVER else 8787
print("listening on", host, port, flush=True)
ThreadingHTTPServer((host, port), Ide).serve_forever()
