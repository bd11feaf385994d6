from __future__ import annotations

import json

import pytest

from hubtool.errors import HubtoolError
from hubtool.reference import ImageReference
from hubtool.registries import Credentials, RegistryError
from hubtool.registries.manifests import OCI_INDEX, platform_index
from hubtool.registries.model import Descriptor
from hubtool.registries.release import read_release
from tests.registries.front import Front
from tests.registries.parts import client_for, digest_of, fresh_reference, put_image


def test_an_index_has_an_image_for_every_platform(front: Front, login: Credentials) -> None:
    reference = fresh_reference(front.host, "both")
    with client_for(reference, login) as client:
        images = {f"linux/{name}": put_image(client, name, architecture=name) for name in ("arm64", "amd64")}
        digest = client.put_index(images, "both", {"made.by": "hubtool"})
        release, manifest = read_release(client, reference), client.get_manifest(digest)
    assert release is not None
    assert manifest is not None
    assert release.reference == ImageReference(reference.registry, reference.repository, "both", digest)
    assert release.platforms == ("linux/amd64", "linux/arm64")
    assert manifest.media_type == OCI_INDEX
    assert json.loads(manifest.content)["annotations"] == {"made.by": "hubtool"}


def test_the_same_images_are_the_same_index_in_whatever_order(front: Front, login: Credentials) -> None:
    with client_for(fresh_reference(front.host), login) as client:
        images = [(f"linux/{name}", put_image(client, name, architecture=name)) for name in ("arm64", "amd64", "s390x")]
        assert client.put_index(dict(images), "a") == client.put_index(dict(reversed(images)), "b")


def test_an_index_over_what_is_not_there_is_not_published(front: Front, login: Credentials) -> None:
    with client_for(fresh_reference(front.host), login) as client:
        images = {"linux/amd64": put_image(client, "v1"), "linux/arm64": digest_of(b"nowhere")}
        with pytest.raises(RegistryError, match=r"has no image sha256:.*, for the index over linux/arm64"):
            client.put_index(images, "both")
        assert client.list_tags() == ["v1"]


def test_an_index_is_no_image_of_an_index(front: Front, login: Credentials) -> None:
    with client_for(fresh_reference(front.host), login) as client:
        inner = client.put_index({"linux/amd64": put_image(client, "v1")}, "inner")
        with pytest.raises(RegistryError, match="has no image"):
            client.put_index({"linux/amd64": inner}, "outer")


def test_a_variant_is_the_third_word_of_a_platform() -> None:
    index = json.loads(platform_index({"linux/arm/v7": Descriptor(digest_of(b"x"), "type", 1)}))
    assert index["manifests"][0]["platform"] == {"os": "linux", "architecture": "arm", "variant": "v7"}


@pytest.mark.parametrize("name", ["", "linux", "linux/", "/amd64", "linux/arm/v7/x"])
def test_what_is_no_platform_is_said(name: str) -> None:
    with pytest.raises(HubtoolError, match="is no platform"):
        platform_index({name: Descriptor(digest_of(b"x"), "type", 1)})
