from __future__ import annotations

import pytest

from hubtool.registries import Credentials, RegistryError
from hubtool.registries.client import RegistryClient
from hubtool.registries.wire import ATTEMPTS, Patience
from tests.registries.front import Front
from tests.registries.parts import Pauses, blob_of, client_for, fresh_reference, noise

MB = 1024 * 1024
BLOBS = r"/blobs/sha256"


def read(client: RegistryClient, content: bytes, limit: int | None = None) -> bytes:
    with client.open_blob(blob_of(content).digest, len(content) if limit is None else limit) as stream:
        return stream.read()


@pytest.mark.parametrize("size", [0, 1, 1000, 3 * MB + 7])
def test_a_blob_of_any_size_is_read_whole(front: Front, login: Credentials, size: int) -> None:
    with client_for(fresh_reference(front.host), login) as client:
        client.upload_blob(blob_of(noise(size)))
        assert read(client, noise(size)) == noise(size)
        with client.open_blob(blob_of(noise(size)).digest, size) as stream:
            pieces = list(iter(lambda: stream.read(100_003), b""))
    assert b"".join(pieces) == noise(size)


def test_a_blob_larger_than_any_other_answer_may_be_is_read(front: Front, login: Credentials) -> None:
    from hubtool.registries.wire import BODY_LIMIT

    with client_for(fresh_reference(front.host), login) as client:
        client.upload_blob(blob_of(noise(BODY_LIMIT + MB)))
        assert read(client, noise(BODY_LIMIT + MB)) == noise(BODY_LIMIT + MB)


def test_after_a_dropped_connection_only_the_rest_is_asked_for(front: Front, login: Credentials) -> None:
    with client_for(fresh_reference(front.host), login) as client:
        client.upload_blob(blob_of(noise(5 * MB)))
        front.fault("GET", BLOBS, cut_at=2 * MB)
        front.fault("GET", BLOBS, cut_at=MB)
        assert read(client, noise(5 * MB)) == noise(5 * MB)
    ranges = [request.headers.get("Range") for request in front.requests("GET", BLOBS)]
    assert ranges == [None, f"bytes={2 * MB}-", f"bytes={3 * MB}-"]


def test_a_registry_that_begins_at_the_begin_again_is_understood(front: Front, login: Credentials) -> None:
    with client_for(fresh_reference(front.host), login) as client:
        client.upload_blob(blob_of(noise(3 * MB)))
        front.fault("GET", BLOBS, cut_at=2 * MB)
        front.fault("GET", BLOBS, status=200, body=noise(3 * MB))
        assert read(client, noise(3 * MB)) == noise(3 * MB)


def test_a_registry_that_goes_on_elsewhere_is_not_believed(front: Front, login: Credentials) -> None:
    with client_for(fresh_reference(front.host), login) as client:
        client.upload_blob(blob_of(noise(3 * MB)))
        front.fault("GET", BLOBS, cut_at=2 * MB)
        front.fault("GET", BLOBS, status=206, headers={"Content-Range": "bytes 7-8/9"}, body=b"xx")
        with pytest.raises(RegistryError, match="goes on at another byte"):
            read(client, noise(3 * MB))


def test_progress_of_any_size_is_progress_and_none_is_given_up(front: Front, login: Credentials) -> None:
    pauses = Pauses()
    with client_for(fresh_reference(front.host), login, pauses) as client:
        client.upload_blob(blob_of(noise(MB)))
        front.fault("GET", BLOBS, cut_at=1000, times=3 * ATTEMPTS)
        assert read(client, noise(MB)) == noise(MB)
        assert len(pauses) == 3 * ATTEMPTS
        front.fault("GET", BLOBS, cut_at=0, times=1000)
        with pytest.raises(RegistryError, match="broke the connection"):
            read(client, noise(MB))
    assert len(pauses) < 5 * ATTEMPTS


def test_another_content_is_found_before_its_last_bytes_are_given(front: Front, login: Credentials) -> None:
    wrong = noise(3 * MB)[:-1] + b"?"
    with client_for(fresh_reference(front.host), login) as client:
        front.fault("GET", BLOBS, status=200, body=wrong)
        got: list[bytes] = []
        with (
            client.open_blob(blob_of(noise(3 * MB)).digest, 3 * MB) as stream,
            pytest.raises(RegistryError, match="has another content"),
        ):
            got.extend(iter(lambda: stream.read(1000), b""))
    assert 1000 * len(got) < 3 * MB


def test_a_blob_without_end_is_not_read_to_its_end(front: Front, login: Credentials) -> None:
    with client_for(fresh_reference(front.host), login) as client:
        front.fault("GET", BLOBS, status=200, body=noise(3 * MB))
        with pytest.raises(RegistryError, match=f"has more than {MB} bytes"):
            read(client, noise(3 * MB), limit=MB)


def test_a_blob_that_is_not_there_is_said(front: Front, login: Credentials) -> None:
    with client_for(fresh_reference(front.host), login) as client, pytest.raises(RegistryError, match="does not have"):
        read(client, b"nowhere")


def test_a_registry_that_falls_silent_is_given_up(front: Front, login: Credentials) -> None:
    with client_for(fresh_reference(front.host), login, patience=Patience(other=0.2)) as client:
        client.list_tags()
        front.fault("GET", BLOBS, stall=1, times=10)
        with pytest.raises(RegistryError, match="did not answer in time"):
            read(client, b"x")


def test_a_reader_closed_early_lets_the_client_go_on(front: Front, login: Credentials) -> None:
    with client_for(fresh_reference(front.host), login) as client:
        client.upload_blob(blob_of(noise(8 * MB)))
        for _ in range(3):
            with client.open_blob(blob_of(noise(8 * MB)).digest, 8 * MB) as stream:
                assert stream.read(10) == noise(8 * MB)[:10]
        assert client.list_tags() == []
