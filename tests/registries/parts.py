"""Small images made by hand, and clients for them."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import random
from collections.abc import Callable, Mapping

from hubtool.reference import ImageReference
from hubtool.registries import Blob, Credentials
from hubtool.registries.client import RegistryClient
from hubtool.registries.generic import GenericRegistry
from hubtool.registries.manifests import OCI_INDEX, OCI_MANIFEST
from hubtool.registries.wire import USUAL, Patience

_numbers = itertools.count()


def fresh_reference(host: str, tag: str = "v1") -> ImageReference:
    """A repository that no other test has."""
    return ImageReference(host, f"team/image-{next(_numbers)}", tag)


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def blob_of(content: bytes) -> Blob:
    return Blob(digest_of(content), len(content), lambda: io.BytesIO(content))


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed + size).randbytes(size)


class Pauses(list[float]):
    """Stands for time.sleep: remembers, and does not wait."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def client_for(
    reference: ImageReference,
    credentials: Credentials | None,
    pause: Callable[[float], None] | None = None,
    patience: Patience = USUAL,
) -> RegistryClient:
    chosen = Pauses() if pause is None else pause
    return RegistryClient(reference, GenericRegistry(), credentials, pause=chosen, patience=patience)


class Renewing(GenericRegistry):
    """A cloud's registry: its passwords end, and its credentials are others then. Counts how often it was asked."""

    def __init__(self, *passwords: str, user: str = "me") -> None:
        self.user = user
        self.passwords = list(passwords)
        self.asked = 0

    def credentials(self, reference: ImageReference) -> Credentials | None:
        self.asked += 1
        password = self.passwords[0] if len(self.passwords) == 1 else self.passwords.pop(0)
        return Credentials(self.user, password, source="the cloud")


def put_image(client: RegistryClient, tag: str, *, architecture: str = "amd64", labels: Mapping[str, str] = {}) -> str:
    """Publish a small image; returns its digest."""
    config = json.dumps({"os": "linux", "architecture": architecture, "config": {"Labels": dict(labels)}}).encode()
    layer = noise(1000, seed=len(architecture))
    for content in (config, layer):
        client.upload_blob(blob_of(content))
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": digest_of(config),
            "size": len(config),
        },
        "layers": [
            {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest_of(layer), "size": len(layer)}
        ],
    }
    return client.put_manifest(json.dumps(manifest).encode(), OCI_MANIFEST, tag)


def put_index(client: RegistryClient, tag: str, images: Mapping[str, str]) -> str:
    """Publish an index over platform -> digest."""
    entries = []
    for platform, digest in images.items():
        system, _, architecture = platform.partition("/")
        found = client.head_manifest(digest)
        assert found is not None
        entries.append(
            {
                "mediaType": found.media_type,
                "digest": digest,
                "size": found.size,
                "platform": {"os": system, "architecture": architecture},
            }
        )
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    return client.put_manifest(json.dumps(index).encode(), OCI_INDEX, tag)
