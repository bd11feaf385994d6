"""A wire to a server that breaks after a number of bytes, whatever they are: heads, bodies, answers."""

from __future__ import annotations

import contextlib
import re
import select
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Cutter(socketserver.ThreadingTCPServer):
    """Leads to TARGET. After ``left`` more bytes to the server (or, with ANSWERS, from it) it breaks the connection
    that they were on, and goes on; with ``forever`` nothing passes any more. None is never. ``passed`` counts them,
    ``said`` is what came to the server."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, target: str, *, answers: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Wire)
        host, _, port = target.partition(":")
        self.target = (host, int(port))
        self.answers = answers
        self.left: int | None = None
        self.forever = False
        self.said = b""
        self.passed = 0
        self.breaks = 0
        self.lock = threading.Lock()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def requests(self, method: str) -> int:
        return len(re.findall(rb"(?m)^%b /v2/.* HTTP/1.1\r$" % method.encode(), self.said))

    def allow(self, wanted: int) -> int:
        """How many of WANTED bytes may pass."""
        with self.lock:
            allowed = wanted if self.left is None else min(wanted, self.left)
            self.passed += allowed
            if self.left is not None:
                self.left -= allowed
                if allowed < wanted:
                    self.left = 0 if self.forever else None
                    self.breaks += 1
            return allowed


class _Wire(socketserver.BaseRequestHandler):
    server: Cutter
    request: socket.socket

    def handle(self) -> None:
        with socket.create_connection(self.server.target) as far, contextlib.suppress(OSError):
            for end in (self.request, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._copy(far)

    def _copy(self, far: socket.socket) -> None:
        other = {self.request: far, far: self.request}
        while True:
            for ready in select.select(list(other), [], [])[0]:
                data = ready.recv(65536)
                counted = (ready is far) == self.server.answers
                allowed = self.server.allow(len(data)) if counted else len(data)
                if ready is self.request:
                    self.server.said += data[:allowed]
                other[ready].sendall(data[:allowed])
                if not data or allowed < len(data):
                    return


@contextmanager
def cutter(target: str, *, answers: bool = False) -> Iterator[Cutter]:
    server = Cutter(target, answers=answers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
