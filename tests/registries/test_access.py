from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from hubtool.registries import Credentials, RegistryError
from hubtool.registries.access import read_challenges
from hubtool.registries.client import RegistryClient
from tests.registries import front as fronts
from tests.registries.front import Front
from tests.registries.parts import Pauses, Renewing, blob_of, client_for, fresh_reference, noise, put_image
from tests.registries.tokens import TokenServer, token_registry

PUSHER = Credentials("pusher", "push-word", source="the test")
PULLER = Credentials("puller", "pull-word", source="the test")
BEARER = Credentials("", identity_token="an-identity-token", source="the test")


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, TokenServer]]:
    with token_registry(tmp_path_factory.mktemp("token-registry")) as both:
        yield both


@pytest.fixture
def tokens(started: tuple[str, TokenServer]) -> TokenServer:
    server = started[1]
    server.public, server.life, server.told_life, server.status, server.body = False, 300, None, None, None
    server.asked.clear()
    return server


@pytest.fixture
def host(started: tuple[str, TokenServer]) -> str:
    return started[0]


@pytest.fixture
def token_front(host: str) -> Iterator[Front]:
    with fronts.front(host) as server:
        yield server


@pytest.mark.parametrize("credentials", [PUSHER, BEARER])
def test_a_token_lets_us_push_and_is_asked_for_once_a_scope(
    host: str, tokens: TokenServer, credentials: Credentials
) -> None:
    reference = fresh_reference(host)
    with client_for(reference, credentials) as client:
        digest = put_image(client, "v1")
        found = client.head_manifest("v1")
    assert found is not None
    assert found.digest == digest
    scopes = [asked.scope for asked in tokens.asked]
    name = reference.repository
    assert sorted(scopes) == [f"repository:{name}:pull", f"repository:{name}:pull,push"]


def test_an_identity_token_goes_in_the_body_and_never_in_the_address(host: str, tokens: TokenServer) -> None:
    with client_for(fresh_reference(host), BEARER) as client:
        client.check_push()
    assert {asked.method for asked in tokens.asked} == {"POST"}
    assert tokens.asked[0].form["client_id"] == "hubtool"


def test_a_public_image_is_read_with_no_credentials(host: str, tokens: TokenServer) -> None:
    reference = fresh_reference(host)
    with client_for(reference, PUSHER) as client:
        put_image(client, "v1")
    tokens.public = True
    with client_for(reference, None) as client:
        assert client.head_manifest("v1") is not None
    assert tokens.asked[-1].user is None


def test_checking_the_right_to_push_takes_its_upload_back(token_front: Front, tokens: TokenServer) -> None:
    with client_for(fresh_reference(token_front.host), PUSHER) as client:
        client.check_push()
    (upload,) = [seen.path for seen in token_front.requests("DELETE")]
    status = httpx.get(
        f"http://{token_front.host}{upload}",
        headers={"Authorization": f"Bearer {tokens.token('pusher', tokens.asked[0].scope)['token']}"},
    ).status_code
    assert status == 404


def test_who_may_only_pull_is_told_to_ask_for_the_right_to_push(host: str, tokens: TokenServer) -> None:
    with client_for(fresh_reference(host), PULLER) as client, pytest.raises(RegistryError) as caught:
        client.check_push()
    assert "may not push to" in caught.value.message
    assert "as puller" in caught.value.message
    assert "ask an owner" in str(caught.value.hint)


def test_who_is_nobody_is_told_to_log_in(host: str, tokens: TokenServer) -> None:
    with client_for(fresh_reference(host), None) as client, pytest.raises(RegistryError, match="asks for a login"):
        client.check_push()


@pytest.mark.parametrize(
    "credentials",
    [Credentials("pusher", "bad-word-1", source="$X"), Credentials("", identity_token="bad-word-2", source="$X")],
)
def test_a_token_server_that_refuses_the_password_is_said_so(
    host: str, tokens: TokenServer, credentials: Credentials
) -> None:
    with client_for(fresh_reference(host), credentials) as client, pytest.raises(RegistryError) as caught:
        client.check_push()
    assert "did not take the credentials from $X" in caught.value.message
    assert "bad-word" not in str(caught.value)


def test_a_token_that_ends_in_mid_upload_is_renewed_and_the_upload_goes_on(
    token_front: Front, tokens: TokenServer
) -> None:
    refusal = {"WWW-Authenticate": f'Bearer realm="{tokens.realm}",service="the-tests-registry",error="invalid_token"'}
    blob = blob_of(noise(2_000_000))
    with client_for(fresh_reference(token_front.host), PUSHER) as client:
        client.has_blob(blob.digest)
        token_front.fault("PATCH", "/uploads/", status=401, headers=refusal)
        token_front.fault("PUT", "/uploads/", status=401, headers=refusal)
        client.upload_blob(blob)
        assert client.has_blob(blob.digest)
    assert len(tokens.asked) == 3


def test_a_token_is_renewed_before_its_end(host: str, tokens: TokenServer) -> None:
    tokens.told_life = 11  # seconds; ten less than that it is no longer used
    with client_for(fresh_reference(host), PUSHER) as client:
        client.check_push()
        time.sleep(1.1)
        client.check_push()
    assert len([asked for asked in tokens.asked if asked.scope.endswith(":pull,push")]) == 2


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"token": 7}', b'{"token": "a\\r\\nX: y"}', b'{"token": "t", "expires_in": "soon"}']
)
def test_a_token_server_that_gives_nothing_usable_is_said_so(host: str, tokens: TokenServer, body: bytes) -> None:
    tokens.body = body
    with client_for(fresh_reference(host), PUSHER) as client, pytest.raises(RegistryError, match="no usable token"):
        client.check_push()


def test_a_token_server_out_of_order_is_said_so(host: str, tokens: TokenServer) -> None:
    tokens.status = 500
    with client_for(fresh_reference(host), PUSHER) as client, pytest.raises(RegistryError, match="answered 500"):
        client.check_push()


@pytest.mark.parametrize("realm", ["http://evil.test/token", "", "/token", "ftp://127.0.0.1/", "http://[bad"])
def test_credentials_go_to_no_token_server_without_tls(front: Front, realm: str) -> None:
    front.fault("*", "", status=401, headers={"WWW-Authenticate": f'Bearer realm="{realm}"'}, times=100)
    with client_for(fresh_reference(front.host), PUSHER) as client, pytest.raises(RegistryError) as caught:
        client.check_push()
    assert "without TLS" in caught.value.message or "no URL" in caught.value.message


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (['Basic realm="x"'], {"basic": {"realm": "x"}}),
        (["bearer realm=https://a/b,service=s"], {"bearer": {"realm": "https://a/b", "service": "s"}}),
        (
            ['Bearer realm="https://a", scope="repository:x:pull,push"', 'Basic realm="y"'],
            {"bearer": {"realm": "https://a", "scope": "repository:x:pull,push"}, "basic": {"realm": "y"}},
        ),
        (
            ['Basic realm="y", Bearer realm="https://a",service="s"'],
            {"basic": {"realm": "y"}, "bearer": {"realm": "https://a", "service": "s"}},
        ),
        (["Negotiate"], {}),
        ([], {}),
    ],
)
def test_challenges_are_read(lines: list[str], expected: dict[str, dict[str, str]]) -> None:
    assert read_challenges(httpx.Headers([("WWW-Authenticate", line) for line in lines])) == expected


@pytest.mark.parametrize(("others", "good"), [(["second"], True), ([f"wrong-{n}" for n in range(9)], False)])
def test_where_the_token_server_takes_a_password_no_more_others_are_looked_for_once(
    host: str, tokens: TokenServer, others: list[str], good: bool
) -> None:
    cloud = Renewing(*others, user="pusher")
    tokens.users["pusher"] = "first"
    try:
        with RegistryClient(fresh_reference(host), cloud, Credentials("pusher", "first"), pause=Pauses()) as client:
            assert client.list_tags() == []
            tokens.users["pusher"] = "second"
            if good:
                assert client.upload_bytes(b"for which another token is needed")
            else:
                with pytest.raises(RegistryError, match="did not take the credentials from the cloud"):
                    client.upload_bytes(b"for which another token is needed")
    finally:
        tokens.users["pusher"] = "push-word"
    assert cloud.asked == 1
