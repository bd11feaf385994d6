"""A cloud's registry host on this machine: a proxy (as $HTTPS_PROXY names one) leads its name to a TLS front of
ours, behind which stands a real registry. The program under test sees the true host name and true TLS."""

from __future__ import annotations

import base64
import contextlib
import select
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from hubtool.registries import Credentials
from tests.registries import front as fronts
from tests.registries.front import Front
from tests.registries.tokens import make_authority


class Proxy(socketserver.ThreadingTCPServer):
    """Answers CONNECT, and leads every host to one address; remembers the hosts asked for."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, target: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), _Tunnel)
        self.target = target
        self.hosts: list[str] = []


class _Tunnel(socketserver.StreamRequestHandler):
    server: Proxy

    def handle(self) -> None:
        words = self.rfile.readline().split()
        while self.rfile.readline().strip():
            pass
        self.server.hosts.append(words[1].decode())
        with socket.create_connection(self.server.target) as far, contextlib.suppress(OSError):
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            self._copy(far)

    def _copy(self, far: socket.socket) -> None:
        other = {self.connection: far, far: self.connection}
        while True:
            for ready in select.select(list(other), [], [])[0]:
                data = ready.recv(65536)
                if not data:
                    return
                other[ready].sendall(data)


@contextmanager
def cloud_registry(
    host: str,
    upstream: str,
    upstream_login: Credentials,
    expected: list[str],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Front]:
    """HOST, reached as from anywhere; it takes HTTP Basic with one of the EXPECTED "user:password"."""
    authority = make_authority(host)
    bundle, server_pem = folder / "cloud-ca.pem", folder / "cloud-server.pem"
    bundle.write_bytes(authority.pem())
    server_pem.write_bytes(authority.key_pem() + authority.pem())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server_pem)
    good = {"Basic " + base64.b64encode(pair.encode()).decode() for pair in expected}

    def allow(headers: Mapping[str, str]) -> tuple[int, dict[str, str], bytes] | None:
        if headers.get("Authorization") in good:
            return None
        return 401, {"WWW-Authenticate": f'Basic realm="https://{host}/",service="{host}"'}, b""

    with fronts.front(upstream, context) as front:
        front.allow = allow
        front.upstream_headers = {"Authorization": upstream_login.basic()}
        proxy = Proxy(("127.0.0.1", int(front.server_address[1])))
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.server_address[1]}")
        monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
        for name in ("https_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_DIR"):
            monkeypatch.delenv(name, raising=False)
        try:
            yield front
        finally:
            proxy.shutdown()
            proxy.server_close()
