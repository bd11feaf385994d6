from __future__ import annotations

import pytest

from hubtool.registries import Credentials, RegistryError
from hubtool.registries.upload import CHUNK
from hubtool.registries.wire import ATTEMPTS
from tests.registries.front import Front
from tests.registries.parts import Pauses, blob_of, client_for, fresh_reference, noise

UPLOADS = r"/blobs/uploads/."
MB = 1024 * 1024


@pytest.mark.parametrize("size", [0, 1, 2, 1000, 3 * MB + 7])
def test_a_blob_of_any_size_arrives_whole(front: Front, login: Credentials, size: int) -> None:
    blob = blob_of(noise(size))
    with client_for(fresh_reference(front.host), login) as client:
        told: list[int] = []
        client.upload_blob(blob, told.append)
        assert client.get_blob(blob.digest) == noise(size)
    assert told[-1] == size


def test_the_whole_blob_goes_in_one_request_without_a_range(front: Front, login: Credentials) -> None:
    with client_for(fresh_reference(front.host), login) as client:
        client.upload_blob(blob_of(noise(3 * MB)))
    sent = front.requests("PATCH")
    assert [request.sent for request in sent] == [3 * MB]
    assert "Content-Range" not in sent[0].headers


def test_after_a_dropped_connection_only_the_rest_is_sent(front: Front, login: Credentials) -> None:
    blob = blob_of(noise(5 * MB))
    with client_for(fresh_reference(front.host), login) as client:
        client.has_blob(blob.digest)
        front.fault("PATCH", UPLOADS, drop_at=2 * MB, keeps=True)
        client.upload_blob(blob)
        assert client.get_blob(blob.digest) == noise(5 * MB)
    broken, rest = front.requests("PATCH")
    assert (broken.sent, rest.sent) == (2 * MB, 3 * MB)
    assert rest.headers["Content-Range"] == f"{2 * MB}-{5 * MB - 1}"
    assert len(front.requests("POST")) == 1


def test_a_connection_that_drops_again_and_again_is_given_up(front: Front, login: Credentials) -> None:
    pauses = Pauses()
    with client_for(fresh_reference(front.host), login, pauses) as client:
        front.fault("PATCH", UPLOADS, drop_at=0, times=10_000)
        with pytest.raises(RegistryError, match=r"did not take sha256:.* in 5 tries") as caught:
            client.upload_blob(blob_of(noise(MB)))
    assert "sends what is missing" in str(caught.value)
    assert len(front.requests("PATCH")) == ATTEMPTS * ATTEMPTS
    assert len(pauses) < ATTEMPTS * ATTEMPTS


def test_an_upload_that_the_registry_gives_up_begins_anew(front: Front, login: Credentials) -> None:
    blob = blob_of(noise(2 * MB))
    with client_for(fresh_reference(front.host), login) as client:
        client.has_blob(blob.digest)
        front.fault("PATCH", UPLOADS, drop_at=MB)
        client.upload_blob(blob)
        assert client.has_blob(blob.digest)
    assert [request.sent for request in front.requests("PATCH")] == [MB, 2 * MB]


def test_a_registry_that_lies_about_how_far_it_came_does_not_get_a_broken_blob(
    front: Front, login: Credentials
) -> None:
    blob = blob_of(noise(2 * MB))
    with client_for(fresh_reference(front.host), login) as client:
        client.has_blob(blob.digest)
        front.fault("PATCH", UPLOADS, drop_at=MB, keeps=True)
        front.fault("GET", UPLOADS, change=lambda headers, body: ({**headers, "Range": f"0-{MB + 99_999}"}, body))
        client.upload_blob(blob)
        assert client.get_blob(blob.digest) == noise(2 * MB)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_passing_refusal_in_mid_upload_is_waited_for(front: Front, login: Credentials, status: int) -> None:
    pauses = Pauses()
    blob = blob_of(noise(MB))
    with client_for(fresh_reference(front.host), login, pauses) as client:
        client.has_blob(blob.digest)
        front.fault("PATCH", UPLOADS, status=status, headers={"Retry-After": "7"})
        client.upload_blob(blob)
        assert client.has_blob(blob.digest)
    assert pauses == [7]


def test_a_login_that_ends_in_mid_upload_is_renewed(front: Front, login: Credentials) -> None:
    blob = blob_of(noise(MB))
    challenge = {"WWW-Authenticate": 'Basic realm="registry"'}
    with client_for(fresh_reference(front.host), login) as client:
        front.fault("POST", UPLOADS.rstrip("."), status=401, headers=challenge)
        client.upload_blob(blob)
        assert client.has_blob(blob.digest)


def test_a_proxy_that_takes_no_large_body_gets_chunks(front: Front, login: Credentials) -> None:
    blob = blob_of(noise(CHUNK + MB))
    with client_for(fresh_reference(front.host), login) as client:
        front.fault("PATCH", UPLOADS, status=413)
        client.upload_blob(blob)
        assert client.has_blob(blob.digest)
    sent = [(request.sent, request.headers.get("Content-Range")) for request in front.requests("PATCH")]
    assert sent == [(0, None), (CHUNK, f"0-{CHUNK - 1}"), (MB, f"{CHUNK}-{CHUNK + MB - 1}")]


def test_an_answer_that_got_lost_after_the_blob_was_taken_costs_nothing(front: Front, login: Credentials) -> None:
    blob = blob_of(noise(MB))
    with client_for(fresh_reference(front.host), login) as client:
        client.has_blob(blob.digest)
        front.fault("PUT", UPLOADS, swallow_answer=True)
        client.upload_blob(blob)
        assert client.has_blob(blob.digest)
    assert len(front.requests("PATCH")) == 1


def test_a_blob_that_is_not_what_its_digest_says_is_refused_in_the_end(front: Front, login: Credentials) -> None:
    from dataclasses import replace

    blob = replace(blob_of(noise(1000)), digest=blob_of(b"other").digest)
    with client_for(fresh_reference(front.host), login) as client, pytest.raises(RegistryError, match="DIGEST_INVALID"):
        client.upload_blob(blob)


def test_where_pushing_is_forbidden_nothing_is_sent(front: Front, login: Credentials) -> None:
    with client_for(fresh_reference(front.host), login) as client:
        client.list_tags()
        front.fault("POST", "/blobs/uploads/", status=403, body=b'{"errors":[{"code":"DENIED","message":"no"}]}')
        with pytest.raises(RegistryError, match=r"may not push to 127.0.0.1:\d+/team/image-\d+ as hubtool") as caught:
            client.upload_blob(blob_of(noise(MB)))
    assert "(DENIED: no)" in str(caught.value)
    assert "right to push" in str(caught.value.hint)
    assert not front.requests("PATCH")
