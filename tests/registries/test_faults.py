"""Pushes that break at any byte or are killed: what is tagged is whole, what is there is not sent again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import httpx
import pytest

from hubtool.reference import ImageReference
from hubtool.registries import Credentials, RegistryError, stream, upload
from hubtool.registries.client import RegistryClient
from hubtool.registries.manifests import OCI_MANIFEST, digest_of
from hubtool.registries.model import Writer
from hubtool.sandbox import packages
from hubtool.sandbox.services import free_port, service
from tests.registries.cutter import Cutter, cutter
from tests.registries.front import Front
from tests.registries.parts import blob_of, client_for, fresh_reference, noise

STEP = 1 if os.environ.get("HUBTOOL_TEST_EVERY_BYTE") else 89  # all takes minutes
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
LAYERS = (noise(50),)


@pytest.fixture(scope="module")
def open_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real registry that keeps all in memory and asks nobody who they are."""
    packages.ensure(["docker-registry"])
    folder, port = tmp_path_factory.mktemp("open-registry"), free_port()
    settings = f"version: 0.1\nlog: {{level: error}}\nstorage: {{inmemory: {{}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n"
    (folder / "config.yml").write_text(settings)

    def ready() -> bool:
        with suppress(httpx.HTTPError):
            return httpx.get(f"http://127.0.0.1:{port}/v2/", trust_env=False).status_code == 200
        return False

    program = packages.find("docker-registry") or Path("docker-registry")
    with service([program, "serve", folder / "config.yml"], log=folder / "log", ready=ready):
        yield f"127.0.0.1:{port}"


def write(content: bytes, out: Writer) -> None:
    out.write(content)


def push(client: RegistryClient, tag: str, layers: tuple[bytes, ...], *, made: bool, again: bool = False) -> str:
    """As hubtool pushes: what the registry lacks, then the manifest."""
    config = json.dumps({"os": "linux", "architecture": "amd64", "for": tag}).encode()
    for content in (*layers, config):
        if made:
            client.upload_stream(partial(write, content), look_first=again)
        else:
            client.upload_bytes(content)
    described = [{"mediaType": LAYER, "digest": digest_of(layer), "size": len(layer)} for layer in layers]
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": CONFIG, "digest": digest_of(config), "size": len(config)},
        "layers": described,
    }
    return client.put_manifest(json.dumps(manifest).encode(), OCI_MANIFEST, tag)


def whole(client: RegistryClient, tag: str) -> str | None:
    """The digest at TAG once everything below it was read; None where there is no such tag."""
    manifest = client.get_manifest(tag)
    if manifest is None:
        return None
    document = json.loads(manifest.content)
    for entry in (document["config"], *document["layers"]):
        with client.open_blob(entry["digest"], entry["size"]) as stream:
            assert len(stream.read()) == entry["size"]
    return manifest.digest


def fresh_layers(number: int) -> tuple[bytes, ...]:
    return tuple(layer + number.to_bytes(4, "big") for layer in LAYERS)


@pytest.mark.parametrize("answers", [False, True], ids=["requests", "answers"])
@pytest.mark.parametrize("made", [False, True], ids=["known", "made"])
def test_a_connection_that_breaks_at_any_byte_costs_nothing_but_time(
    open_registry: str, monkeypatch: pytest.MonkeyPatch, answers: bool, made: bool
) -> None:
    monkeypatch.setattr(stream, "HELD", -1)  # else nothing as small as this is sent while it is made
    with cutter(open_registry, answers=answers) as wire, client_for(fresh_reference(wire.host), None) as client:
        push(client, "first", fresh_layers(0), made=made)
        wire.passed = 0
        push(client, "second", fresh_layers(1), made=made)
        for at in range(0, wire.passed, STEP):
            wire.left = at
            digest = push(client, f"at-{at}", fresh_layers(at + 2), made=made)
            wire.left = None
            assert whole(client, f"at-{at}") == digest
        assert wire.breaks > 0.9 * at // STEP  # not every push is as long as the one that was measured


@pytest.mark.parametrize("made", [False, True], ids=["known", "made"])
def test_a_push_that_ends_at_any_byte_tags_nothing_broken_and_again_sends_what_is_missing(
    open_registry: str, made: bool
) -> None:
    with cutter(open_registry) as wire, client_for(fresh_reference(wire.host), None) as client:
        push(client, "first", fresh_layers(0), made=made)
        wire.passed = 0
        push(client, "second", fresh_layers(1), made=made)
        for at in range(1, wire.passed, STEP):
            _break_off_and_push_again(wire, client, at, made=made)


def _break_off_and_push_again(wire: Cutter, client: RegistryClient, at: int, *, made: bool) -> None:
    tag, layers = f"at-{at}", fresh_layers(1000 + at)
    wire.left, wire.forever = at, True
    with suppress(RegistryError):
        push(client, tag, layers, made=made)
    wire.left, wire.forever = None, False
    found = whole(client, tag)
    there = sum(client.has_blob(digest_of(layer)) for layer in layers)
    wire.said = b""
    digest = push(client, tag, layers, made=made)
    assert wire.requests("PATCH") <= len(layers) - there + 1  # and the config
    assert whole(client, tag) == digest
    assert found in (None, digest)


KILLED = """
import sys
from hubtool.reference import ImageReference
from hubtool.registries import Credentials
from hubtool.registries.client import RegistryClient
from hubtool.registries.generic import GenericRegistry
from tests.registries.test_faults import large_layers, push
host, repository, user, word = sys.argv[1:]
reference = ImageReference(host, repository, "v1")
with RegistryClient(reference, GenericRegistry(), Credentials(user, word)) as client:
    push(client, "v1", large_layers(), made=True)
"""


def large_layers() -> tuple[bytes, ...]:
    return noise(1000, 1), noise(stream.HELD + 1000, 2), noise(1000, 3)


@pytest.mark.parametrize(
    ("method", "nth", "sent"),
    [("PATCH", 0, 4), ("PUT", 0, 4), ("PATCH", 1, 3), ("PUT", 1, 3), ("PATCH", 2, 2), ("PUT", 4, 0)],
)
def test_a_push_that_is_killed_is_taken_up_again(
    front: Front, login: Credentials, method: str, nth: int, sent: int
) -> None:
    """Killed when the NTH request of METHOD comes; what came then may be taken or not."""
    reference: ImageReference = fresh_reference(front.host)
    command = [sys.executable, "-c", KILLED, front.host, reference.repository, login.username, login.password]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def kill(came: str, path: str) -> None:
        if came == method and len(front.requests(method)) > nth:
            process.send_signal(signal.SIGKILL)
            process.wait()

    front.instead = kill
    assert process.wait(60) == -signal.SIGKILL
    front.instead = lambda came, path: None
    with client_for(reference, login) as client:
        assert whole(client, "v1") is None or (method, nth) == ("PUT", 4)
        before = len(front.requests("PATCH"))
        digest = push(client, "v1", large_layers(), made=True, again=True)
        assert len(front.requests("PATCH")) - before <= sent
        assert client.head_manifest("v1") is not None
        assert digest == getattr(client.get_manifest("v1"), "digest", None)


def test_what_is_no_blob_of_the_registry_can_not_be_tagged(front: Front, login: Credentials) -> None:
    """A registry that said it has a blob, but has not, refuses the manifest; nothing is tagged."""
    with client_for(fresh_reference(front.host), login) as client:
        client.list_tags()
        front.fault("HEAD", "/blobs/", status=200, times=10)
        with pytest.raises(RegistryError, match="BLOB_UNKNOWN"):
            push(client, "v1", LAYERS, made=False)
        assert client.list_tags() == []
        assert client.get_manifest("v1") is None


def test_a_registry_that_takes_every_blob_but_keeps_none_can_not_be_tagged(front: Front, login: Credentials) -> None:
    with client_for(fresh_reference(front.host), login) as client:
        client.list_tags()
        front.fault("PUT", "/blobs/uploads/", status=201, times=10)
        with pytest.raises(RegistryError, match="BLOB_UNKNOWN"):
            push(client, "v1", LAYERS, made=True)
        assert client.list_tags() == []


def test_a_blob_changed_on_its_way_is_refused_and_sent_again(front: Front, login: Credentials) -> None:
    blob = blob_of(noise(1000, 5))
    with client_for(fresh_reference(front.host), login) as client:
        location = upload.begin(client.session)
        client.session.request("PATCH", location, actions="pull,push", content=lambda: iter([b"something before it"]))
        client.session.begun.append(location)  # as of an upload that somebody else wrote to
        client.upload_blob(blob)
        assert client.get_blob(blob.digest) == noise(1000, 5)
