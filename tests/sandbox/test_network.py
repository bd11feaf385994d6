from __future__ import annotations

import http.server
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from hubtool.sandbox import network
from hubtool.sandbox.services import free_port


@contextmanager
def server(code: int, authority: trustme.CA) -> Iterator[str]:
    """An HTTPS server that answers everything with CODE; gives its URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.socket = context.wrap_socket(running.socket, server_side=True)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    try:
        yield f"https://127.0.0.1:{running.server_address[1]}/"
    finally:
        running.shutdown()
        running.server_close()


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> Path:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return tmp_path / "ca.pem"


@pytest.mark.parametrize(("code", "expected"), [(200, True), (401, True), (404, False), (500, False)])
def test_an_answer_counts_unless_it_says_that_nothing_is_there(
    authority: trustme.CA, bundle: Path, code: int, expected: bool
) -> None:
    with server(code, authority) as url:
        assert network.answers(url, bundle) is expected


def test_a_certificate_that_only_the_site_knows_is_no_answer_without_its_bundle(authority: trustme.CA) -> None:
    with server(200, authority) as url:
        assert not network.answers(url, None)


def test_nobody_there_is_no_answer(bundle: Path) -> None:
    assert not network.answers(f"https://127.0.0.1:{free_port()}/", bundle)


def test_the_bundle_that_the_environment_names_is_taken(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    assert network.private_bundle() == bundle
