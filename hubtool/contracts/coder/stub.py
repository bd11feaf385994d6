"""A stand-in for Coder's server, as far as a workspace's bootstrap asks it: it hands out the agent."""

from __future__ import annotations

import datetime
import ipaddress
import secrets
import ssl
import tempfile
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LOOPBACK = "127.0.0.1"
SECONDS = 20.0


class CoderStub:
    """Serves the agent at ``url``, where HOST is what containers call this machine: over HTTP or, with a certificate
    by AUTHORITY, over HTTPS. ``asked`` counts who got it, ``reached`` who connected. Containers must be able to reach
    it, so it listens everywhere; its paths can't be guessed."""

    def __init__(self, host: str, architecture: str, agent: bytes, authority: Authority | None = None) -> None:
        self.asked = self.reached = 0
        key = secrets.token_urlsafe(16)
        self._agent = {f"/{key}/bin/coder-linux-{architecture}": agent}
        self._server = _Server(("0.0.0.0", 0), self._handler())
        self._server.reached = self._count
        self._server.context = authority.server_context(host) if authority else None
        scheme = "https" if authority else "http"
        self.url = f"{scheme}://{host}:{self._server.server_port}/{key}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _count(self) -> None:
        self.reached += 1

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stub = self

        class Handler(BaseHTTPRequestHandler):
            timeout = SECONDS

            def do_GET(self) -> None:
                agent = stub._agent.get(self.path)
                stub.asked += agent is not None
                self.send_response(404 if agent is None else 200)
                self.send_header("Content-Length", str(len(agent or b"")))
                self.end_headers()
                self.wfile.write(agent or b"")

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    context: ssl.SSLContext | None = None
    reached: Callable[[], None]

    def finish_request(self, request: Any, client_address: Any) -> None:
        # In the request's own thread, so that nobody who says nothing keeps others waiting.
        self.reached()
        request.settimeout(SECONDS)
        if self.context is not None:
            request = self.context.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that trusts no one or goes away: its own log says so


class Authority:
    """A certificate authority that nobody trusts yet; ``certificate`` is its PEM text."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("hubtool contract authority")
        certificate = self._issue(self._name, self._key, None)
        self.certificate = certificate.public_bytes(serialization.Encoding.PEM).decode()

    def server_context(self, host: str) -> ssl.SSLContext:
        """What a server at HOST speaks TLS with."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._issue(_name(host), key, [] if host == LOOPBACK else [x509.DNSName(host)])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as folder:
            both = Path(folder) / "server.pem"
            both.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + _pem(key))
            context.load_cert_chain(both)
        return context

    def _issue(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, hosts: list[x509.DNSName] | None
    ) -> x509.Certificate:
        """A certificate of a server at HOSTS and on loopback; of an authority, where HOSTS is None."""
        now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - day)
            .not_valid_after(now + day)
            .add_extension(x509.BasicConstraints(ca=hosts is None, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if hosts is not None:
            names = [*hosts, x509.IPAddress(ipaddress.ip_address(LOOPBACK))]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
