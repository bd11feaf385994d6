from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import httpx
import pytest

from hubtool.registries import Credentials, RegistryError
from hubtool.registries.wire import insecure_allowed, retry_after
from hubtool.sandbox.services import free_port
from tests.registries import front as fronts
from tests.registries.front import Front
from tests.registries.parts import Pauses, client_for, fresh_reference, put_image
from tests.registries.tokens import Authority, make_authority


@pytest.fixture(scope="module")
def authority() -> Authority:
    return make_authority("registry.test")


@pytest.fixture
def tls_front(front: Front, authority: Authority, tmp_path: Path) -> Iterator[Front]:
    """A front that speaks TLS, with a certificate that nobody trusts yet."""
    pem = tmp_path / "server.pem"
    pem.write_bytes(authority.key_pem() + authority.pem())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with fronts.front(front.upstream, context) as server:
        yield server


def test_a_private_authority_is_trusted_once_it_is_named(
    tls_front: Front, authority: Authority, login: Credentials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(authority.pem())
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    with client_for(fresh_reference(tls_front.host), login) as client:
        assert client.session.wire.base.scheme == "https"
        put_image(client, "v1")


def test_an_untrusted_certificate_is_said_with_what_to_do(tls_front: Front, login: Credentials) -> None:
    pauses = Pauses()
    with client_for(fresh_reference(tls_front.host), login, pauses) as client, pytest.raises(RegistryError) as caught:
        client.get_manifest("v1")
    assert "certificate of 127.0.0.1 is not trusted" in caught.value.message
    assert "$SSL_CERT_FILE" in str(caught.value.hint)
    assert pauses == []
    assert not tls_front.seen


def test_a_bundle_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, login: Credentials) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    with pytest.raises(RegistryError, match=r"\$SSL_CERT_FILE names /nowhere/ca.pem"):
        client_for(fresh_reference("127.0.0.1:1"), login)


def test_a_registry_that_is_not_there_is_said_so_after_a_few_tries(login: Credentials) -> None:
    pauses = Pauses()
    reference = fresh_reference(f"127.0.0.1:{free_port()}")
    with client_for(reference, login, pauses) as client, pytest.raises(RegistryError, match="can't be reached"):
        client.get_manifest("v1")
    assert len(pauses) == 4


@pytest.mark.parametrize(
    ("host", "listed", "allowed"),
    [
        ("localhost:5000", "", True),
        ("127.0.0.1:5000", "", True),
        ("127.1.2.3", "", True),
        ("[::1]:5000", "", True),
        ("registry.localhost", "", True),
        ("10.0.0.1:5000", "", False),
        ("quay.io", "", False),
        ("localhost.evil.test", "", False),
        ("127.0.0.1.evil.test", "", False),
        ("10.0.0.1:5000", "10.0.0.1:5000", True),
        ("10.0.0.1:5000", "other, 10.0.0.1", True),
        ("10.0.0.1:5000", "10.0.0.1:5001", False),
    ],
)
def test_plain_http_is_for_loopback_and_named_hosts(
    monkeypatch: pytest.MonkeyPatch, host: str, listed: str, allowed: bool
) -> None:
    monkeypatch.setenv("HUBTOOL_INSECURE_REGISTRIES", listed)
    assert insecure_allowed(host) is allowed


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("7", 7), ("0", 0), ("", None), ("soon", None), ("-3", None), ("9" * 400, 999_999_999), ("1.5", None)],
)
def test_retry_after_is_read_in_seconds(written: str, seconds: float | None) -> None:
    assert retry_after(httpx.Headers({"Retry-After": written})) == seconds


def test_retry_after_is_read_as_a_date() -> None:
    in_a_minute = formatdate(time.time() + 60, usegmt=True)
    found = retry_after(httpx.Headers({"Retry-After": in_a_minute}))
    assert found is not None
    assert 55 < found <= 60
    assert retry_after(httpx.Headers({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"})) == 0
