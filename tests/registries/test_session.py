from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from hubtool.reference import ImageReference
from hubtool.registries import Credentials, RegistryError
from hubtool.registries.client import RegistryClient
from tests.conftest import LocalRegistry
from tests.registries import front as fronts
from tests.registries.cloud import cloud_registry
from tests.registries.front import Front
from tests.registries.parts import Pauses, Renewing, blob_of, client_for, digest_of, fresh_reference, noise


def test_a_wrong_password_is_said_with_where_it_came_from(front: Front) -> None:
    wrong = Credentials("hubtool", "not-the-password", source="$HUBTOOL_REGISTRY_PASSWORD")
    with client_for(fresh_reference(front.host), wrong) as client, pytest.raises(RegistryError) as caught:
        client.check_push()
    text = str(caught.value)
    assert "did not take the credentials from $HUBTOOL_REGISTRY_PASSWORD" in text
    assert f"docker login {front.host}" in text
    assert "not-the-password" not in text


def test_with_no_credentials_the_hint_says_how_to_log_in(front: Front) -> None:
    with client_for(fresh_reference(front.host), None) as client, pytest.raises(RegistryError) as caught:
        client.check_push()
    assert "asks for a login to push to" in caught.value.message
    assert "docker login" in str(caught.value.hint)


def test_a_password_that_the_registry_says_back_is_not_shown(front: Front, login: Credentials) -> None:
    echo = f'{{"errors":[{{"code":"X","message":"bad {login.password} {login.basic()}\\n\\u001b[31m"}}]}}'.encode()
    front.fault("GET", "/manifests/", status=400, body=echo)
    with client_for(fresh_reference(front.host), login) as client, pytest.raises(RegistryError) as caught:
        client.get_manifest("v1")
    assert "(X: bad *** Basic *** " in str(caught.value)
    assert login.password not in str(caught.value)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"errors":[]}', b'{"errors":[null]}', b'{"errors":"no"}'])
def test_a_refusal_without_a_readable_reason_is_still_explained(front: Front, login: Credentials, body: bytes) -> None:
    front.fault("GET", "/manifests/", status=403, body=body)
    with (
        client_for(fresh_reference(front.host), login) as client,
        pytest.raises(RegistryError, match=r"may not read .* as hubtool: .* answered 403\n"),
    ):
        client.get_manifest("v1")


def test_a_redirect_to_another_host_gets_no_authorization(front_pair: tuple[Front, Front], login: Credentials) -> None:
    near, far = front_pair
    blob = blob_of(noise(100))
    with client_for(fresh_reference(near.host), login) as client:
        client.upload_blob(blob)
        far.fault("GET", "/storage", status=200, body=noise(100))
        near.fault("GET", "/blobs/", status=307, headers={"Location": f"http://{far.host}/storage?signature=x"})
        assert client.get_blob(blob.digest) == noise(100)
    assert "Authorization" in near.requests("GET", "/blobs/")[-1].headers
    assert "Authorization" not in far.requests("GET", "/storage")[0].headers


def test_a_login_asked_for_by_another_host_gets_none(front_pair: tuple[Front, Front], login: Credentials) -> None:
    near, far = front_pair
    far.fault("GET", "/storage", status=401, headers={"WWW-Authenticate": 'Basic realm="x"'}, times=10)
    near.fault("GET", "/blobs/", status=307, headers={"Location": f"http://{far.host}/storage"})
    with client_for(fresh_reference(near.host), login) as client:
        client.upload_blob(blob_of(noise(10)))
        with pytest.raises(RegistryError, match="sends us, answered 401"):
            client.get_blob(blob_of(noise(10)).digest)
    assert far.requests("GET")
    assert all("Authorization" not in request.headers for request in far.requests("GET"))


def test_an_upload_at_another_host_gets_no_authorization(front_pair: tuple[Front, Front], login: Credentials) -> None:
    near, far = front_pair
    with client_for(fresh_reference(near.host), login) as client:
        client.list_tags()
        near.fault("POST", "/uploads/", status=202, headers={"Location": f"http://{far.host}/bucket/1"})
        far.fault("PATCH", "/bucket/1", status=202, headers={"Location": "/bucket/2"})
        far.fault("PUT", "/bucket/2", status=201)
        client.upload_blob(blob_of(noise(10)))
    assert [request.path.partition("?")[0] for request in far.seen] == ["/bucket/1", "/bucket/2"]
    assert all("Authorization" not in request.headers for request in far.seen)


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("http://storage.example/x", "leads to storage.example, which"),
        ("ftp://127.0.0.2/x", "leads to 127.0.0.2, which"),
        ("http://127.0.0.1:99999999/x", "leads to 127.0.0.1:99999999, which"),
    ],
)
def test_a_location_without_tls_or_sense_is_not_followed(
    front: Front, login: Credentials, location: str, said: str
) -> None:
    front.fault("GET", "/manifests/", status=307, headers={"Location": location})
    with client_for(fresh_reference(front.host), login) as client, pytest.raises(RegistryError, match=said):
        client.get_manifest("v1")


@pytest.mark.parametrize("headers", [{}, {"Location": "http://a:b:c/x"}, {"Location": "http://[::zz]/"}])
def test_an_upload_without_a_usable_place_is_an_error(
    front: Front, login: Credentials, headers: dict[str, str]
) -> None:
    front.fault("POST", "/uploads/", status=202, headers=headers)
    with client_for(fresh_reference(front.host), login) as client, pytest.raises(RegistryError, match="no usable Loc"):
        client.check_push()


def test_docker_hub_is_asked_at_its_own_host_with_short_names_filled_in(
    registry: LocalRegistry, login: Credentials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = Credentials("me", "hub-word")
    with (
        cloud_registry("registry-1.docker.io", registry.host, login, ["me:hub-word"], tmp_path, monkeypatch) as front,
        client_for(ImageReference.parse("debian:12"), hub) as client,
    ):
        client.check_push()
        assert client.get_manifest("12") is None
    assert front.requests("GET")[-1].path == "/v2/library/debian/manifests/12"
    assert front.requests("GET")[-1].headers["Host"] == "registry-1.docker.io"


def test_a_registry_behind_a_proxy_that_names_itself_without_tls_is_asked_with_tls(
    registry: LocalRegistry, login: Credentials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = ImageReference.parse("harbor.example.org/team/image:v1")

    def without_tls(headers: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
        assert headers["Location"].startswith("https://")
        return {**headers, "Location": headers["Location"].replace("https://", "http://")}, body

    user = Credentials("me", "word")
    with (
        cloud_registry("harbor.example.org", registry.host, login, ["me:word"], tmp_path, monkeypatch) as front,
        client_for(reference, user) as client,
    ):
        client.list_tags()
        front.fault("POST", "/uploads/", change=without_tls)
        front.fault("PATCH", "/uploads/", change=without_tls)
        client.upload_blob(blob_of(noise(5000)))
        assert client.has_blob(blob_of(noise(5000)).digest)


def test_a_redirect_without_end_ends(front: Front, login: Credentials) -> None:
    front.fault("GET", "/manifests/", status=307, headers={"Location": "/v2/x/manifests/v1"}, times=1000)
    with (
        client_for(fresh_reference(front.host), login) as client,
        pytest.raises(RegistryError, match="redirects without end"),
    ):
        client.get_manifest("v1")


@pytest.fixture
def front_pair(front: Front) -> Iterator[tuple[Front, Front]]:
    with fronts.front(front.upstream) as other:
        yield front, other


@pytest.fixture
def passwords(front: Front, login: Credentials) -> set[str]:
    """Those that FRONT takes of the user me."""
    good: set[str] = set()

    def allow(headers: Mapping[str, str]) -> tuple[int, dict[str, str], bytes] | None:
        if headers.get("Authorization") in {Credentials("me", word).basic() for word in good}:
            return None
        return 401, {"WWW-Authenticate": 'Basic realm="cloud"'}, b""

    front.allow = allow
    front.upstream_headers = {"Authorization": login.basic()}
    return good


def test_a_clouds_password_that_ends_in_mid_push_is_asked_for_again(front: Front, passwords: set[str]) -> None:
    cloud = Renewing("first", "second", "third")
    reference = fresh_reference(front.host)
    passwords.add("first")
    with RegistryClient(reference, cloud, cloud.credentials(reference), pause=Pauses()) as client:
        for password in ("second", "third"):
            client.upload_bytes(noise(1000, len(password)))
            passwords.clear()
            passwords.add(password)
        client.upload_bytes(noise(5000))
        assert client.get_blob(digest_of(noise(5000))) == noise(5000)
    assert cloud.asked == 3


def test_a_password_that_was_never_good_is_not_asked_for_again(front: Front, passwords: set[str]) -> None:
    cloud = Renewing("wrong")
    reference = fresh_reference(front.host)
    with (
        RegistryClient(reference, cloud, cloud.credentials(reference), pause=Pauses()) as client,
        pytest.raises(RegistryError, match="did not take the credentials from the cloud"),
    ):
        client.list_tags()
    assert cloud.asked == 1


def test_a_password_that_ends_and_has_no_other_is_said(front: Front, passwords: set[str]) -> None:
    cloud = Renewing("only")
    reference = fresh_reference(front.host)
    passwords.add("only")
    with RegistryClient(reference, cloud, cloud.credentials(reference), pause=Pauses()) as client:
        client.list_tags()
        passwords.clear()
        with pytest.raises(RegistryError, match="did not take the credentials from the cloud"):
            client.list_tags()
