"""Blobs of another repository of the same registry."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from hubtool.registries import Credentials, RegistryError
from hubtool.registries.model import Writer
from tests.registries import front as fronts
from tests.registries.front import Front
from tests.registries.parts import blob_of, client_for, digest_of, fresh_reference, noise
from tests.registries.tokens import TokenServer, token_registry

MB = 1024 * 1024
PUSHER = Credentials("pusher", "push-word", source="the test")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, TokenServer]]:
    with token_registry(tmp_path_factory.mktemp("mount")) as found:
        yield found


def test_a_blob_of_another_repository_is_there_without_being_sent(front: Front, login: Credentials) -> None:
    blob, source = blob_of(noise(MB)), fresh_reference(front.host)
    with client_for(source, login) as client:
        client.upload_blob(blob)
    sent = len(front.requests("PATCH"))
    with client_for(fresh_reference(front.host), login) as client:
        assert not client.has_blob(blob.digest)
        assert client.mount_blob(blob.digest, source.repository)
        assert client.get_blob(blob.digest) == noise(MB)
    assert len(front.requests("PATCH")) == sent


def test_a_blob_that_is_not_there_is_sent_to_the_place_that_was_given(front: Front, login: Credentials) -> None:
    blob, source = blob_of(noise(MB, 7)), fresh_reference(front.host)
    with client_for(fresh_reference(front.host), login) as client:
        client.list_tags()
        assert not client.mount_blob(blob.digest, source.repository)
        client.upload_blob(blob)
        assert client.has_blob(blob.digest)
    assert len(front.requests("POST")) == 1


def test_a_place_that_has_gone_meanwhile_costs_another_try(front: Front, login: Credentials) -> None:
    blob = blob_of(noise(MB, 8))
    with client_for(fresh_reference(front.host), login) as client:
        client.list_tags()
        client.mount_blob(blob.digest, "team/nowhere")
        client.session.request("DELETE", client.session.begun[0], actions="pull,push,delete")
        client.upload_blob(blob)
        assert client.has_blob(blob.digest)


def test_nothing_is_asked_for_the_repository_itself(front: Front, login: Credentials) -> None:
    reference = fresh_reference(front.host)
    with client_for(reference, login) as client:
        assert not client.mount_blob(digest_of(b"x"), reference.repository)
    assert not front.requests("POST")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405])
def test_a_registry_that_does_not_mount_is_no_error(front: Front, login: Credentials, status: int) -> None:
    with client_for(fresh_reference(front.host), login) as client:
        client.list_tags()
        front.fault("POST", "mount=", status=status, times=10)
        assert not client.mount_blob(digest_of(b"x"), "team/other")
        client.upload_blob(blob_of(noise(10)))


def test_a_registry_that_is_down_is_an_error(front: Front, login: Credentials) -> None:
    with client_for(fresh_reference(front.host), login) as client:
        front.fault("*", ".", drop_at=0, times=1000)
        with pytest.raises(RegistryError):
            client.mount_blob(digest_of(b"x"), "team/other")


def test_the_token_is_for_both_repositories(guarded: tuple[str, TokenServer]) -> None:
    host, server = guarded
    blob, source, target = blob_of(noise(MB)), fresh_reference(host), fresh_reference(host)
    with client_for(source, PUSHER) as client:
        client.upload_blob(blob)
    with client_for(target, PUSHER) as client:
        assert client.mount_blob(blob.digest, source.repository)
        assert client.get_blob(blob.digest) == noise(MB)
    scopes = [asked.scope for asked in server.asked]
    assert f"repository:{target.repository}:pull,push repository:{source.repository}:pull" in scopes


def test_an_identity_token_is_traded_for_both_repositories(guarded: tuple[str, TokenServer]) -> None:
    host, server = guarded
    blob, source = blob_of(noise(MB)), fresh_reference(host)
    with client_for(source, PUSHER) as client:
        client.upload_blob(blob)
    bearer = Credentials("<token>", identity_token=server.refresh, source="the test")
    with client_for(fresh_reference(host), bearer) as client:
        assert client.mount_blob(blob.digest, source.repository)
    assert server.asked[-1].method == "POST"


def test_a_repository_that_may_not_be_read_gives_nothing_and_the_push_goes_on(
    guarded: tuple[str, TokenServer],
) -> None:
    host, server = guarded
    blob, source = blob_of(noise(MB)), fresh_reference(host)
    with client_for(source, PUSHER) as client:
        client.upload_blob(blob)
    server.closed.add(source.repository)
    with client_for(fresh_reference(host), PUSHER) as client:
        assert not client.mount_blob(blob.digest, source.repository)
        assert not client.has_blob(blob.digest)
        client.upload_blob(blob)
        assert client.get_blob(blob.digest) == noise(MB)


def test_a_token_server_that_refuses_both_at_once_does_not_end_the_push(guarded: tuple[str, TokenServer]) -> None:
    host, server = guarded
    blob = blob_of(noise(MB))
    with client_for(fresh_reference(host), PUSHER) as client:
        client.list_tags()
        server.status = 403
        try:
            assert not client.mount_blob(blob.digest, "team/other")
        finally:
            server.status = None
        client.upload_blob(blob)
        assert client.has_blob(blob.digest)


def test_a_token_that_ends_in_mid_upload_is_renewed_before_the_end_is_told(
    guarded: tuple[str, TokenServer],
) -> None:
    host, server = guarded
    server.told_life = 11  # good for a second, as it is renewed ten before its end
    content = noise(17 * MB)
    with fronts.front(host) as front, client_for(fresh_reference(front.host), PUSHER) as client:
        asked = 0

        def write(out: Writer) -> None:
            nonlocal asked
            out.write(content)
            while not front.requests("PATCH"):
                time.sleep(0.01)
            asked = len(server.asked)
            time.sleep(1.2)
            out.write(b"the end")

        try:
            sent = client.upload_stream(write)
        finally:
            server.told_life = None
        assert client.has_blob(sent.digest)
        used = {request.headers.get("Authorization") for request in front.requests("PATCH") + front.requests("PUT")}
    assert sent.digest == digest_of(content + b"the end")
    assert len(server.asked) > asked
    assert len(used) == 2


@pytest.mark.parametrize("method", ["PATCH", "PUT", "HEAD"])
def test_a_token_that_is_refused_in_mid_upload_is_renewed(guarded: tuple[str, TokenServer], method: str) -> None:
    host, server = guarded
    challenge = f'Bearer realm="{server.realm}",service="the-tests-registry",error="invalid_token"'
    with fronts.front(host) as front, client_for(fresh_reference(front.host), PUSHER) as client:
        client.has_blob(digest_of(b"x"))
        before = len(server.asked)
        front.fault(method, "/blobs/", status=401, headers={"WWW-Authenticate": challenge})
        sent = client.upload_stream(lambda out: out.write(noise(17 * MB)))
        assert client.has_blob(sent.digest)
    assert len(server.asked) > before
