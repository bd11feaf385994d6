"""The web services that repo2docker asks while it reads a repository, played over real TLS behind a proxy."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO

import trustme

ANSWERS = {
    ("packagemanager.posit.co", "/__api__/url"): {"upsi": "2026-01-02+Y3Jhbiw"},
    ("julialang-s3.julialang.org", "/bin/versions.json"): {"1.6.7": {}, "1.10.2": {}, "1.12.0-rc1": {}},
}


@contextmanager
def running_services(folder: Path) -> Iterator[dict[str, str]]:
    """The environment that leads to the services, while they run."""
    authority = trustme.CA()
    bundle = folder / "services.pem"
    authority.cert_pem.write_to_path(str(bundle))
    contexts = {}
    for host, _ in ANSWERS:
        contexts[host] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(host).configure_cert(contexts[host])

    class Proxy(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            host = self.path.partition(":")[0]
            if host not in contexts:
                self.send_error(403)
                return
            self.send_response(200)
            self.end_headers()
            with contexts[host].wrap_socket(self.connection, server_side=True) as inner:
                _answer(inner, host)
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield {"HTTPS_PROXY": f"http://127.0.0.1:{server.server_address[1]}", "REQUESTS_CA_BUNDLE": str(bundle)}
    finally:
        server.shutdown()
        server.server_close()


def _answer(connection: ssl.SSLSocket, host: str) -> None:
    """Read one request whole, answer it, and wait until the other side has hung up: to close while it still
    writes would take the answer from it."""
    with connection.makefile("rb") as stream:
        path = stream.readline().split()[1].decode()
        length = next((int(line.partition(b":")[2]) for line in _headers(stream) if _is_length(line)), 0)
        stream.read(length)
        body = json.dumps(ANSWERS[host, path]).encode()
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        with contextlib.suppress(OSError):
            connection.unwrap()


def _headers(stream: IO[bytes]) -> Iterator[bytes]:
    while (line := stream.readline().strip()) != b"":
        yield line


def _is_length(line: bytes) -> bool:
    return line.lower().startswith(b"content-length:")
