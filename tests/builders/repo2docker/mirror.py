"""A site's mirror on loopback: Debian and PyPI relayed, conda-forge played; and a proxy that lets nothing by.

``asked`` lists the paths that the mirror was asked for, ``strays`` what was asked of any other host.
"""

from __future__ import annotations

import io
import tarfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

RELAYED = {
    "/debian-security/": "http://deb.debian.org/debian-security/",
    "/debian/": "http://deb.debian.org/debian/",
    "/simple/": "https://pypi.org/simple/",
    "/files/": "https://files.pythonhosted.org/",
}
MICROMAMBA = Path(__file__).with_name("micromamba.sh")


class Mirror:
    """The running mirror."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        self.asked: list[str] = []
        self.strays: list[str] = []
        self._relayed: dict[str, bytes | int] = {}
        self._lock = threading.Lock()

    @property
    def proxies(self) -> dict[str, str]:
        """Environment that sends whatever is not for the mirror to its proxy."""
        names = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
        return {**dict.fromkeys(names, self.url), "no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1"}

    def answer(self, path: str) -> bytes | int:
        """The content at PATH, or a status code."""
        if path.startswith("/conda-forge/"):
            return _micromamba() if "/micromamba-" in path else b"a package"
        for start, url in RELAYED.items():
            if path.startswith(start):
                return self._relay(path, url + path.removeprefix(start))
        return 404

    def _relay(self, path: str, url: str) -> bytes | int:
        with self._lock:
            if path not in self._relayed:
                self._relayed[path] = _get(url)
            return self._relayed[path]


def _get(url: str) -> bytes | int:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, headers={"Accept": "text/html", "User-Agent": "hubtool-test"})
    try:
        with opener.open(request, timeout=60) as answer:
            data: bytes = answer.read()
    except urllib.error.HTTPError as error:
        return error.code
    return data.replace(b"https://files.pythonhosted.org/", b"/files/") if "/simple/" in url else data


def _micromamba() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:bz2") as tar:
        tar.add(MICROMAMBA, "bin/micromamba")
    return stream.getvalue()


@contextmanager
def running_mirror() -> Iterator[Mirror]:
    """A mirror that runs until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if not self.path.startswith("/"):
                self.do_CONNECT()
                return
            mirror.asked.append(self.path)
            found = mirror.answer(self.path)
            self._send(found if isinstance(found, int) else 200, b"" if isinstance(found, int) else found)

        do_HEAD = do_GET

        def do_CONNECT(self) -> None:
            mirror.strays.append(self.path)
            self.close_connection = True
            self._send(403, b"")

        def _send(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if self.path.startswith("/simple/"):
                self.send_header("Content-Type", "text/html")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    mirror = Mirror(server)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield mirror
    finally:
        server.shutdown()
        server.server_close()
