from __future__ import annotations

import itertools
import json

import pytest

from hubtool.registries import Credentials, RegistryError
from hubtool.registries.manifests import OCI_MANIFEST
from hubtool.registries.wire import ATTEMPTS, BODY_LIMIT
from tests.registries.front import Front
from tests.registries.parts import Pauses, blob_of, client_for, digest_of, fresh_reference, noise, put_image

MANIFESTS = r"/manifests/"


def test_a_tag_that_is_not_there_is_none_and_no_error(front: Front, login: Credentials) -> None:
    with client_for(fresh_reference(front.host), login) as client:
        assert client.head_manifest("nope") is None
        assert client.get_manifest("nope") is None
        assert client.list_tags() == []


def test_what_was_published_is_found_again(front: Front, login: Credentials) -> None:
    with client_for(fresh_reference(front.host), login) as client:
        digest = put_image(client, "v1")
        put_image(client, "v0")
        found, manifest = client.head_manifest("v1"), client.get_manifest(digest)
        assert client.list_tags() == ["v0", "v1"]
    assert found is not None
    assert manifest is not None
    assert (found.digest, found.media_type) == (digest, OCI_MANIFEST)
    assert (manifest.digest, len(manifest.content)) == (digest, found.size)


def test_tags_are_read_to_the_last_page(front: Front, login: Credentials) -> None:
    reference = fresh_reference(front.host)
    following = {"Link": f'</v2/{reference.repository}/tags/list?n=100&last=v0>; rel="next"'}
    page = json.dumps({"tags": ["v0", "-not a tag-", 7]}).encode()
    with client_for(reference, login) as client:
        put_image(client, "v1")
        front.fault("GET", "/tags/list", status=200, headers=following, body=page)
        assert client.list_tags() == ["v0", "v1"]


@pytest.mark.parametrize(
    ("link", "said"),
    [("<https://evil.test/v2/x/tags/list>", "at another host"), ("</v2/x/tags/list>", "has no end")],
)
def test_a_list_of_tags_that_leads_astray_is_an_error(front: Front, login: Credentials, link: str, said: str) -> None:
    front.fault("GET", "tags/list", status=200, headers={"Link": f'{link}; rel="next"'}, body=b"{}", times=10_000)
    with (
        client_for(fresh_reference(front.host), login) as client,
        pytest.raises(RegistryError, match=said),
    ):
        client.list_tags()


def test_a_list_that_never_ends_fills_no_memory(front: Front, login: Credentials) -> None:
    page = b'{"tags":["v1"]}' + b" " * (BODY_LIMIT - 100)
    numbers = itertools.count()

    def instead(method: str, path: str) -> tuple[int, dict[str, str], bytes]:
        return 200, {"Link": f'<{path.partition("?")[0]}?page={next(numbers)}>; rel="next"'}, page

    front.instead = instead
    with client_for(fresh_reference(front.host), login) as client, pytest.raises(RegistryError, match="has no end"):
        client.list_tags()
    assert next(numbers) < 12


def test_a_manifest_with_another_digest_than_its_header_is_not_believed(front: Front, login: Credentials) -> None:
    with client_for(fresh_reference(front.host), login) as client:
        put_image(client, "v1")
        front.fault("GET", MANIFESTS, change=lambda headers, body: (headers, body.replace(b"amd64", b"arm64") + b" "))
        with pytest.raises(RegistryError, match="does not have the digest that it names"):
            client.get_manifest("v1")


def test_another_manifest_than_the_digest_asked_for_is_not_believed(front: Front, login: Credentials) -> None:
    with client_for(fresh_reference(front.host), login) as client:
        digest = put_image(client, "v1")
        other = client.get_manifest(put_image(client, "v2", architecture="arm64"))
        assert other is not None
        body = other.content
        front.fault("GET", MANIFESTS, status=200, headers={"Content-Type": OCI_MANIFEST}, body=body)
        with pytest.raises(RegistryError, match=f"asked for {digest}, it sent {other.digest}"):
            client.get_manifest(digest)


def test_a_blob_with_another_content_is_not_believed(front: Front, login: Credentials) -> None:
    blob = blob_of(noise(500))
    with client_for(fresh_reference(front.host), login) as client:
        client.upload_blob(blob)
        front.fault("GET", "/blobs/", status=200, body=noise(501))
        with pytest.raises(RegistryError, match="another content"):
            client.get_blob(blob.digest)


def test_an_answer_cut_short_is_asked_for_again(front: Front, login: Credentials) -> None:
    blob = blob_of(noise(5000))
    pauses = Pauses()
    with client_for(fresh_reference(front.host), login, pauses) as client:
        client.upload_blob(blob)
        front.fault("GET", "/blobs/", cut_at=100, times=2)
        assert client.get_blob(blob.digest) == noise(5000)
    assert len(pauses) == 2


def test_an_answer_without_end_is_not_read_to_its_end(front: Front, login: Credentials) -> None:
    front.fault("GET", MANIFESTS, status=200, body=b" " * (BODY_LIMIT + 1))
    with client_for(fresh_reference(front.host), login) as client, pytest.raises(RegistryError, match="more than"):
        client.get_manifest("v1")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b'{"a":' * 50_000])
def test_a_manifest_that_is_no_json_object_is_an_error(front: Front, login: Credentials, body: bytes) -> None:
    front.fault("GET", MANIFESTS, status=200, headers={"Content-Type": OCI_MANIFEST}, body=body)
    with client_for(fresh_reference(front.host), login) as client, pytest.raises(RegistryError, match=r"not .*JSON"):
        client.get_manifest("v1")


def test_a_head_without_digest_is_asked_again_with_get(front: Front, login: Credentials) -> None:
    with client_for(fresh_reference(front.host), login) as client:
        digest = put_image(client, "v1")
        front.fault(
            "HEAD", MANIFESTS, change=lambda headers, body: ({**headers, "Docker-Content-Digest": "md5:1"}, body)
        )
        found = client.head_manifest("v1")
    assert found is not None
    assert found.digest == digest


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_registry_that_stays_away_is_given_up_after_a_few_tries(
    front: Front, login: Credentials, status: int
) -> None:
    pauses = Pauses()
    front.fault("GET", MANIFESTS, status=status, times=1000)
    with (
        client_for(fresh_reference(front.host), login, pauses) as client,
        pytest.raises(RegistryError, match=f"answered {status}") as caught,
    ):
        client.get_manifest("v1")
    assert caught.value.status == status
    assert len(front.requests("GET", MANIFESTS)) == ATTEMPTS
    assert pauses == sorted(pauses)
    assert sum(pauses) < 15


def test_retry_after_is_honoured(front: Front, login: Credentials) -> None:
    pauses = Pauses()
    front.fault("GET", MANIFESTS, status=429, headers={"Retry-After": "12"})
    with client_for(fresh_reference(front.host), login, pauses) as client:
        assert client.get_manifest("v1") is None
    assert pauses == [12]


def test_a_registry_that_wants_an_hour_is_not_waited_for(front: Front, login: Credentials) -> None:
    pauses = Pauses()
    front.fault("GET", MANIFESTS, status=429, headers={"Retry-After": "3600"})
    with (
        client_for(fresh_reference(front.host), login, pauses) as client,
        pytest.raises(RegistryError, match="asks to come back in 3600 s"),
    ):
        client.get_manifest("v1")
    assert pauses == []


def test_checking_the_right_to_push_leaves_no_upload_behind(front: Front, login: Credentials) -> None:
    with client_for(fresh_reference(front.host), login) as client:
        client.check_push()
    assert len(front.requests("POST")) - 1 == len(front.requests("DELETE")) == 1  # the first POST was not logged in


def test_a_manifest_that_the_registry_takes_for_another_is_an_error(front: Front, login: Credentials) -> None:
    with client_for(fresh_reference(front.host), login) as client:
        put_image(client, "v1")
        manifest = client.get_manifest("v1")
        assert manifest is not None
        wrong = {"Docker-Content-Digest": digest_of(b"other")}
        front.fault("PUT", MANIFESTS, change=lambda headers, body: ({**headers, **wrong}, body))
        with pytest.raises(RegistryError, match="it took the manifest for"):
            client.put_manifest(manifest.content, OCI_MANIFEST, "v2")
