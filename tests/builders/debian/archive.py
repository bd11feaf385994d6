"""Package archives on loopback: Debian's relayed, at any snapshot's path too; and what a test puts before it."""

from __future__ import annotations

import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DEBIAN = "http://deb.debian.org"
SNAPSHOT = re.compile(r"/\d{8}T\d{6}Z(?=/)")

# All that is read of a Release file.
RELEASE = """\
Origin: Debian
Date: {date}
SHA256:
 {digest}  1234 main/binary-amd64/Packages
 {digest}  1234 main/binary-arm64/Packages
 {other}  1234 main/Contents-amd64
"""
DATE = "Sat, 11 Jul 2026 10:16:37 UTC"


def release(date: str = DATE, digest: str = "a" * 64, other: str = "b" * 64) -> bytes:
    return RELEASE.format(date=date, digest=digest, other=other).encode()


class Archive:
    """The running server; ``put`` are contents, or status codes, by path, and ``asked`` the paths asked for."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_address[1]}/debian"
        self.put: dict[str, bytes | int] = {}
        self.asked: list[str] = []

    def put_releases(self, content: bytes | int, suite: str = "bookworm", snapshot: str = "") -> None:
        """Have CONTENT as Release file of all suites that belong to SUITE."""
        below = f"{snapshot}/dists/{suite}"
        for path in (f"/debian{below}", f"/debian{below}-updates", f"/debian-security{below}-security"):
            self.put[f"{path}/InRelease"] = content

    def answer(self, path: str) -> bytes | int:
        self.asked.append(path)
        return self.put[path] if path in self.put else _relayed(SNAPSHOT.sub("", path))


_kept: dict[str, bytes | int] = {}
_lock = threading.Lock()


def _relayed(path: str) -> bytes | int:
    with _lock:
        if path not in _kept:
            try:
                with urllib.request.urlopen(DEBIAN + path, timeout=60) as response:
                    _kept[path] = response.read()
            except urllib.error.HTTPError as error:
                _kept[path] = error.code
        return _kept[path]


@contextmanager
def running_archive() -> Iterator[Archive]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            found = archive.answer(self.path)
            body = found if isinstance(found, bytes) else b""
            self.send_response(200 if isinstance(found, bytes) else found)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    archive = Archive(server)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield archive
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
