from __future__ import annotations

import json

import pytest

from hubtool.registries import Credentials, RegistryError, find_release
from hubtool.registries.manifests import OCI_INDEX, OCI_MANIFEST
from hubtool.registries.release import config_digest, read_attached, read_release
from tests.conftest import LocalRegistry
from tests.registries.front import Front
from tests.registries.parts import client_for, digest_of, fresh_reference, put_image, put_index

SBOM = "application/vnd.cyclonedx+json"
LABELS = {"org.opencontainers.image.revision": "0123abc"}


def test_a_tag_is_found_with_digest_platform_labels_and_size(
    registry: LocalRegistry, monkeypatch: pytest.MonkeyPatch, login: Credentials
) -> None:
    monkeypatch.setenv("HUBTOOL_REGISTRY_USERNAME", login.username)
    monkeypatch.setenv("HUBTOOL_REGISTRY_PASSWORD", login.password)
    reference = fresh_reference(registry.host)
    assert find_release(reference) is None
    with client_for(reference, login) as client:
        digest = put_image(client, "v1", labels=LABELS)
    found = find_release(reference)
    assert found is not None
    assert str(found.reference) == f"{reference}@{digest}"
    assert (found.platforms, found.labels, found.size) == (("linux/amd64",), LABELS, 1000)
    assert find_release(reference.with_tag("v2")) is None


def test_a_digest_goes_before_the_tag(registry: LocalRegistry, login: Credentials) -> None:
    reference = fresh_reference(registry.host)
    with client_for(reference, login) as client:
        first = put_image(client, "v1")
        put_image(client, "v1", labels=LABELS)
        found = read_release(client, reference.with_tag("v1", first))
        assert read_release(client, reference.with_tag("v1", digest_of(b"not there"))) is None
    assert found is not None
    assert found.reference.digest == first
    assert found.labels == {}


def test_an_index_gives_all_platforms_and_the_labels_of_the_first_choice(
    registry: LocalRegistry, login: Credentials
) -> None:
    reference = fresh_reference(registry.host)
    with client_for(reference, login) as client:
        arm = put_image(client, "arm", architecture="arm64")
        amd = put_image(client, "amd", labels=LABELS)
        digest = put_index(client, "v1", {"unknown/unknown": arm, "linux/arm64": arm, "linux/amd64": amd})
        found = read_release(client, reference)
        both = client.get_manifest("v1")
        assert both is not None
        assert config_digest(client, both) is None
    assert found is not None
    assert found.platforms == ("linux/arm64", "linux/amd64")
    assert (found.reference.digest, found.labels) == (digest, LABELS)


GOOD = digest_of(b"x")


@pytest.mark.parametrize(
    ("media_type", "document", "said"),
    [
        (OCI_INDEX, {"manifests": []}, "index without an image"),
        (OCI_INDEX, {"manifests": [7, {"platform": 1}]}, "index without an image"),
        (OCI_INDEX, {"manifests": "x"}, "index without an image"),
        (
            OCI_INDEX,
            {"manifests": [{"digest": "../../x", "platform": {"os": "linux", "architecture": "amd64"}}]},
            "index without an image",
        ),
        (
            OCI_INDEX,
            {"manifests": [{"digest": GOOD, "platform": {"os": "linux", "architecture": "amd64"}}]},
            "does not have",
        ),
        (OCI_MANIFEST, {}, "without a config"),
        (OCI_MANIFEST, {"config": {"digest": "sha256:../x"}}, "without a config"),
        (OCI_MANIFEST, {"config": {"digest": GOOD}}, "does not have the blob"),
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", {"schemaVersion": 1}, "is not an image"),
        ("", {"layers": 7}, "is not an image"),
    ],
)
def test_a_registry_that_tells_nonsense_is_an_error(
    front: Front, login: Credentials, media_type: str, document: object, said: str
) -> None:
    reference = fresh_reference(front.host)
    body = json.dumps(document).encode()
    front.fault("GET", "/manifests/v1", status=200, headers={"Content-Type": media_type}, body=body)
    with client_for(reference, login) as client, pytest.raises(RegistryError, match=said):
        read_release(client, reference)


def test_sizes_and_labels_of_a_wrong_kind_are_left_out(front: Front, login: Credentials) -> None:
    reference = fresh_reference(front.host)
    config = json.dumps({"config": {"Labels": {"a": 7, "b": "x"}}}).encode()
    manifest = {"config": {"digest": digest_of(config)}, "layers": [{"size": "big"}, {"size": -5}, 3, {"size": 2}]}
    front.fault(
        "GET",
        "/manifests/v1",
        status=200,
        headers={"Content-Type": OCI_MANIFEST},
        body=json.dumps(manifest).encode(),
    )
    front.fault("GET", "/blobs/", status=200, body=config)
    with client_for(reference, login) as client:
        found = read_release(client, reference)
    assert found is not None
    assert (found.size, found.labels, found.platforms) == (2, {"b": "x"}, ("linux/unknown",))


def test_what_is_attached_to_an_image_and_to_its_index_is_read_and_what_is_broken_left_out(
    front: Front, login: Credentials
) -> None:
    with client_for(fresh_reference(front.host), login) as client:
        image = put_image(client, "amd64")
        index = put_index(client, "v1", {"linux/amd64": image})
        release = read_release(client, client.session.reference)
        assert release is not None
        assert (release.image, [layer.size for layer in release.layers]) == (image, [1000])
        assert read_attached(client, release, SBOM, 100) == []
        for subject, content in ((image, b"of the image"), (index, b"of the index"), (image, b"x" * 101)):
            found = client.head_manifest(subject)
            assert found is not None
            client.put_referrer(found, SBOM, SBOM, content)
        assert sorted(read_attached(client, release, SBOM, 100)) == [b"of the image", b"of the index"]
        assert read_attached(client, release, "application/other", 100) == []
        with pytest.raises(RegistryError, match="more than 3 bytes"):
            read_attached(client, release, SBOM, 3)
