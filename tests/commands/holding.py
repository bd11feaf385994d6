"""A web server whose answers wait: a build that fetches from it goes on when the test says so."""

from __future__ import annotations

import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Holding:
    """Holds the first request for each of ``held``; everything else is answered at once. ``asked`` is set when the
    first is there, ``left`` when one that is held was given up; ``release`` lets them go."""

    url: str
    held: set[str] = field(default_factory=set)
    asked: threading.Event = field(default_factory=threading.Event)
    left: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, path: str) -> bool:
        with self.lock:
            held = path in self.held
            self.held.discard(path)
            return held


@contextmanager
def holding() -> Iterator[Holding]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if found.take(self.path):
                found.asked.set()
                while not found.release.is_set():
                    if select.select([self.connection], [], [], 0.1)[0]:
                        found.left.set()
                        return
            self.send_response(200)
            self.send_header("Content-Length", "3")
            self.end_headers()
            self.wfile.write(b"yes")

        do_HEAD = do_GET

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found = Holding(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield found
        finally:
            found.release.set()
            server.shutdown()
