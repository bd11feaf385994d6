"""A token server as registries use them (distribution.github.io/distribution/spec/auth/jwt): it issues signed
JWTs which the real registry checks."""

from __future__ import annotations

import base64
import datetime
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from hubtool.sandbox import packages
from hubtool.sandbox.services import free_port, service
from tests.registries.front import running

ISSUER, SERVICE = "the-tests-issuer", "the-tests-registry"


@dataclass(frozen=True)
class Authority:
    """A key and its self-signed certificate, good for a server on 127.0.0.1, too."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate

    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def make_authority(*names: str) -> Authority:
    import ipaddress

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "the tests")])
    now = datetime.datetime.now(datetime.UTC)
    alternatives: list[x509.GeneralName] = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    alternatives += [x509.DNSName(host) for host in names]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(key, certificate)


@dataclass
class Asked:
    method: str
    user: str | None
    scope: str
    form: dict[str, str] = field(default_factory=dict)


class TokenServer(ThreadingHTTPServer):
    """Gives tokens to USERS (name to password) and to the bearer of REFRESH; nobody else may push, all may pull
    where PUBLIC; to the CLOSED repositories nobody has any right. LIFE is the seconds that a token is good for, as
    told and as signed."""

    daemon_threads = True

    def __init__(self, authority: Authority) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.authority = authority
        self.users = {"pusher": "push-word", "puller": "pull-word"}
        self.refresh = "an-identity-token"
        self.public = False
        self.closed: set[str] = set()
        self.life = 300
        self.told_life: int | None = None
        self.status: int | None = None
        self.body: bytes | None = None
        self.asked: list[Asked] = []

    @property
    def realm(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/token"

    def token(self, user: str | None, scope: str) -> dict[str, Any]:
        access = []
        for kind, name, actions in (one.split(":", 2) for one in scope.split()):
            wanted = set(actions.split(","))
            allowed = wanted if user in ("pusher", "bearer") else wanted & {"pull"} if user or self.public else set()
            allowed -= {"pull", "push"} if name in self.closed else set()
            access.append({"type": kind, "name": name, "actions": sorted(allowed)})
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "sub": user or "",
            "aud": SERVICE,
            "iat": now - 60,
            "nbf": now - 60,
            "exp": now + self.life,
            "jti": str(time.time_ns()),
            "access": access,
        }
        der = self.authority.certificate.public_bytes(serialization.Encoding.DER)
        header = {"x5c": [base64.b64encode(der).decode()]}
        signed = jwt.encode(claims, self.authority.key, algorithm="RS256", headers=header)
        return {"token": signed, "expires_in": self.told_life or self.life}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: TokenServer

    def log_message(self, format: str, *args: object) -> None: ...

    def do_GET(self) -> None:
        written = parse_qs(urlsplit(self.path).query)
        if any(" " in scope for scope in written["scope"]):
            self._answer(400, {"details": "each scope is a parameter of its own here"})
            return
        query = {key: " ".join(values) for key, values in written.items()}
        basic = self.headers.get("Authorization", "")
        user: str | None = None
        if basic:
            user, _, password = base64.b64decode(basic.removeprefix("Basic ")).decode().partition(":")
            if self.server.users.get(user) != password:
                self._answer(401, {"details": "wrong"})
                return
        self._give(Asked("GET", user, query["scope"], query), query["service"])

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        form = {key: values[0] for key, values in parse_qs(self.rfile.read(length).decode()).items()}
        if form.get("grant_type") != "refresh_token" or form.get("refresh_token") != self.server.refresh:
            self._answer(401, {"error": "invalid_grant"})
            return
        self._give(Asked("POST", "bearer", form["scope"], form), form["service"])

    def _give(self, asked: Asked, service: str) -> None:
        self.server.asked.append(asked)
        if service != SERVICE:
            self._answer(400, {"error": "wrong service"})
        elif self.server.status:
            self._answer(self.server.status, {})
        else:
            self._answer(200, self.server.token(asked.user, asked.scope))

    def _answer(self, status: int, data: object) -> None:
        body = self.server.body if self.server.body is not None and status == 200 else json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def token_registry(folder: Path) -> Iterator[tuple[str, TokenServer]]:
    """A real registry that believes only the tokens of the server beside it; gives its host:port."""
    import httpx

    packages.ensure(["docker-registry"])
    authority = make_authority()
    bundle = folder / "issuer.pem"
    bundle.write_bytes(authority.pem())
    server = TokenServer(authority)
    port = free_port()
    settings = {
        "version": 0.1,
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "blobs")}},
        "http": {"addr": f"127.0.0.1:{port}", "secret": "of no worth on loopback"},
        "auth": {"token": {"realm": server.realm, "service": SERVICE, "issuer": ISSUER, "rootcertbundle": str(bundle)}},
    }
    (folder / "config.yml").write_text(yaml.safe_dump(settings))

    def ready() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/v2/", trust_env=False).status_code == 401
        except httpx.HTTPError:
            return False

    program = packages.find("docker-registry") or Path("docker-registry")
    with running(server), service([program, "serve", folder / "config.yml"], log=folder / "log", ready=ready):
        yield f"127.0.0.1:{port}", server
