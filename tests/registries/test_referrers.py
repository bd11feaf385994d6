"""What is attached to an image: by a registry's own list, and by the tag where it has none."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from hubtool.registries import Credentials, RegistryError
from hubtool.registries.client import RegistryClient
from hubtool.registries.manifests import NOTHING, OCI_INDEX, OCI_MANIFEST, index_of, written
from hubtool.registries.model import Descriptor
from hubtool.registries.referrers import SETTLED, fallback_tag
from tests.registries.front import Front
from tests.registries.parts import client_for, digest_of, fresh_reference, put_image
from tests.registries.referring import Referrers

SBOM = "application/vnd.cyclonedx+json"
SIGNATURE = "application/vnd.example.signature"


@pytest.fixture
def client(front: Front, login: Credentials) -> Iterator[RegistryClient]:
    with client_for(fresh_reference(front.host), login) as opened:
        yield opened


@pytest.fixture(params=["api", "api that does not filter", "tag"])
def kind(request: pytest.FixtureRequest, front: Front) -> str:
    if request.param != "tag":
        Referrers(front, filters=request.param == "api")
    return str(request.param)


def image_of(client: RegistryClient) -> Descriptor:
    found = client.head_manifest(put_image(client, "v1"))
    assert found is not None
    return found


def test_nothing_is_attached_to_a_new_image(client: RegistryClient, kind: str) -> None:
    assert client.referrers(image_of(client).digest, SBOM) == []
    assert client.referrers(digest_of(b"never seen")) == []


def test_what_was_attached_is_found_and_read(client: RegistryClient, kind: str) -> None:
    image = image_of(client)
    put = client.put_referrer(image, SBOM, SBOM, b'{"components":[]}', {"made.by": "hubtool"})
    (found,) = client.referrers(image.digest, SBOM)
    assert found == put
    assert (found.artifact_type, found.annotations, found.media_type) == (SBOM, {"made.by": "hubtool"}, OCI_MANIFEST)
    manifest = client.get_manifest(found.digest)
    assert manifest is not None
    (layer,) = json.loads(manifest.content)["layers"]
    assert client.get_blob(layer["digest"]) == b'{"components":[]}'
    assert (layer["mediaType"], len(manifest.content)) == (SBOM, found.size)


def test_the_manifest_is_as_the_specification_has_it(client: RegistryClient) -> None:
    image = image_of(client)
    manifest = client.get_manifest(client.put_referrer(image, SBOM, SBOM, b"{ }").digest)
    assert manifest is not None
    empty = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"  # of image-spec, manifest.md
    assert json.loads(manifest.content) == {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": SBOM,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": empty, "size": 2, "data": "e30="},
        "layers": [{"mediaType": SBOM, "digest": digest_of(b"{ }"), "size": 3}],
        "subject": {"mediaType": OCI_MANIFEST, "digest": image.digest, "size": image.size},
    }
    assert client.get_blob(empty) == NOTHING


def test_the_same_twice_is_once(client: RegistryClient, kind: str) -> None:
    image = image_of(client)
    first, again = (client.put_referrer(image, SBOM, SBOM, b"{}") for _ in range(2))
    assert first == again
    assert client.referrers(image.digest) == [first]


def test_only_the_type_asked_for_is_listed_over_all_pages(client: RegistryClient, kind: str) -> None:
    image, other = image_of(client), client.head_manifest(put_image(client, "v2", architecture="arm64"))
    assert other is not None
    inventories = [client.put_referrer(image, SBOM, SBOM, b"%d" % number) for number in range(5)]
    signature = client.put_referrer(image, SIGNATURE, "text/plain", b"signed")
    client.put_referrer(other, SBOM, SBOM, b"of another")
    assert client.referrers(image.digest, SBOM) == sorted(inventories, key=lambda entry: entry.digest)
    assert client.referrers(image.digest, SIGNATURE) == [signature]
    assert len(client.referrers(image.digest)) == 6


def test_a_registry_that_lists_gets_no_tag_and_another_gets_one(client: RegistryClient, kind: str) -> None:
    image = image_of(client)
    client.put_referrer(image, SBOM, SBOM, b"{}")
    assert client.list_tags() == ([fallback_tag(image.digest)] if kind == "tag" else []) + ["v1"]


def test_attached_to_an_image_that_comes_later(client: RegistryClient, kind: str) -> None:
    later = Descriptor(digest_of(b"later"), OCI_MANIFEST, 5)
    put = client.put_referrer(later, SBOM, SBOM, b"{}")
    assert client.referrers(later.digest, SBOM) == [put]


def test_what_others_wrote_into_the_index_stays_as_it_is(client: RegistryClient) -> None:
    image, tag = image_of(client), ""
    tag = fallback_tag(image.digest)
    foreign = {"mediaType": OCI_MANIFEST, "digest": image.digest, "size": image.size, "urls": ["https://example.org"]}
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [foreign]}
    client.put_manifest(json.dumps(index).encode(), OCI_INDEX, tag)
    put = client.put_referrer(image, SBOM, SBOM, b"{}")
    manifest = client.get_manifest(tag)
    assert manifest is not None
    entries = json.loads(manifest.content)["manifests"]
    assert foreign in entries
    assert put.digest in [entry["digest"] for entry in entries]


def test_an_image_under_the_kept_tag_is_not_written_over(client: RegistryClient) -> None:
    image = image_of(client)
    mistaken = put_image(client, fallback_tag(image.digest), architecture="arm64")
    for act in (lambda: client.referrers(image.digest), lambda: client.put_referrer(image, SBOM, SBOM, b"{}")):
        with pytest.raises(RegistryError, match="is no index of what is attached"):
            act()
    found = client.head_manifest(fallback_tag(image.digest))
    assert found is not None
    assert found.digest == mistaken


def test_writers_at_one_time_lose_nothing(front: Front, login: Credentials) -> None:
    reference = fresh_reference(front.host)
    with client_for(reference, login) as client:
        image = image_of(client)

    def attach(number: int) -> Descriptor:
        with client_for(reference, login, time.sleep) as own:
            return own.put_referrer(image, SBOM, SBOM, b"%d" % number)

    with ThreadPoolExecutor(4) as pool:
        put = list(pool.map(attach, range(4)))
    with client_for(reference, login) as client:
        assert client.referrers(image.digest) == sorted(put, key=lambda entry: entry.digest)


def write_index(client: RegistryClient, tag: str, *entries: Descriptor) -> None:
    client.put_manifest(index_of(map(written, entries)), OCI_INDEX, tag)


def test_who_writes_between_our_look_and_our_write_is_kept(front: Front, login: Credentials) -> None:
    reference = fresh_reference(front.host)
    with client_for(reference, login) as client, client_for(reference, login) as faster:
        image = image_of(client)
        tag = fallback_tag(image.digest)

        def before(method: str, path: str) -> None:
            if (method, path.rpartition("/")[2]) == ("HEAD", tag):
                front.instead = lambda method, path: None
                write_index(faster, tag, image)

        front.instead = before
        put = client.put_referrer(image, SBOM, SBOM, b"{}")
        assert {entry.digest for entry in client.referrers(image.digest)} == {put.digest, image.digest}


def test_who_looked_before_we_wrote_and_writes_after_is_found_out(front: Front, login: Credentials) -> None:
    reference = fresh_reference(front.host)
    with client_for(reference, login) as slower:
        image = image_of(slower)
        pauses: list[float] = []

        def pause(seconds: float) -> None:
            if seconds == SETTLED and not pauses:
                write_index(slower, fallback_tag(image.digest), image)
            pauses.append(seconds)

        with client_for(reference, login, pause) as client:
            put = client.put_referrer(image, SBOM, SBOM, b"{}")
            assert {entry.digest for entry in client.referrers(image.digest)} == {put.digest, image.digest}


def test_an_entry_that_another_writer_took_out_is_written_again(front: Front, client: RegistryClient) -> None:
    image = image_of(client)
    tag = fallback_tag(image.digest)
    empty = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}).encode()
    headers = {"Content-Type": OCI_INDEX}
    # the third look at the tag, after it was written, finds another's
    front.fault("GET", f"manifests/{tag}", after=1, status=200, headers=headers, body=empty)
    put = client.put_referrer(image, SBOM, SBOM, b"{}")
    assert client.referrers(image.digest) == [put]
    assert len(front.requests("GET", f"manifests/{tag}")) >= 3


def test_an_index_that_changes_all_the_time_is_given_up(front: Front, client: RegistryClient) -> None:
    image = image_of(client)
    empty = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}).encode()
    front.fault("GET", "manifests/sha256-", status=200, headers={"Content-Type": OCI_INDEX}, body=empty, times=1000)
    with pytest.raises(RegistryError, match="is written by others all the time"):
        client.put_referrer(image, SBOM, SBOM, b"{}")


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        (404, "text/plain", b"404 page not found"),
        (400, "application/json", b"{}"),
        (405, "", b""),
        (406, "", b""),
        (501, "", b""),
        (200, "text/html", b"<html>"),
    ],
)
def test_whatever_a_registry_without_a_list_answers_the_tag_is_read(
    front: Front, client: RegistryClient, status: int, kind: str, body: bytes
) -> None:
    image = image_of(client)
    put = client.put_referrer(image, SBOM, SBOM, b"{}")
    front.fault("GET", "/referrers/", status=status, headers={"Content-Type": kind}, body=body)
    assert client.referrers(image.digest, SBOM) == [put]


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"manifests":null}',
        b'{"manifests":{}}',
        b'{"manifests":[null,7,"x",{},{"digest":"md5:1"},{"digest":7}]}',
        b'{"manifests":[{"digest":"sha256:zz","size":"x","annotations":[]}]}',
    ],
)
def test_entries_that_are_none_are_passed_over(front: Front, client: RegistryClient, body: bytes) -> None:
    front.fault("GET", "/referrers/", status=200, headers={"Content-Type": OCI_INDEX}, body=body)
    assert client.referrers(digest_of(b"x")) == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'{"a":' * 50_000])
def test_a_list_that_is_no_json_object_is_an_error(front: Front, client: RegistryClient, body: bytes) -> None:
    front.fault("GET", "/referrers/", status=200, headers={"Content-Type": OCI_INDEX}, body=body)
    with pytest.raises(RegistryError, match=r"the list of referrers is not"):
        client.referrers(digest_of(b"x"))


@pytest.mark.parametrize(
    ("link", "said"), [("<https://evil.test/v2/x>", "at another host"), ("</v2/x/referrers/y>", "has no end")]
)
def test_a_list_that_leads_astray_is_an_error(front: Front, client: RegistryClient, link: str, said: str) -> None:
    headers = {"Content-Type": OCI_INDEX, "Link": f'{link}; rel="next"'}
    front.fault("GET", "/referrers/", status=200, headers=headers, body=b"{}", times=5)
    with pytest.raises(RegistryError, match=said):
        client.referrers(digest_of(b"x"))


def test_a_registry_that_may_not_be_read_is_no_registry_without_referrers(front: Front, client: RegistryClient) -> None:
    front.fault("GET", "/referrers/", status=403)
    with pytest.raises(RegistryError, match="may not read"):
        client.referrers(digest_of(b"x"))
