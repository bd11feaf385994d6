"""Releases to look at: small images in a real registry, with what is attached to them."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from hubtool.image.inventory import MEDIA_TYPE, Inventory, write_sbom
from hubtool.image.packages import Package
from hubtool.reference import ImageReference
from hubtool.registries.client import RegistryClient
from hubtool.registries.manifests import OCI_MANIFEST

MB = 1_000_000
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"


def hubtool(root: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """The program as a user runs it in ROOT, without anybody's login but the one in ENVIRON."""
    argv = [sys.executable, "-m", "hubtool", *words]
    environment = {**os.environ, "DOCKER_CONFIG": str(root), **environ}
    done = subprocess.run(argv, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def inventory_of(sizes: Mapping[tuple[str, str, str], int], **rest: int) -> Inventory:
    """Of packages (ecosystem, name, version) and their sizes."""
    made = [(Package(*package, place=""), size) for package, size in sizes.items()]
    return Inventory(tuple(sorted(one for one, _ in made)), {one.key: size for one, size in made}, rest, "debian-12")


def layer_of(files: Mapping[str, str]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for path, text in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return stream.getvalue()


def publish(client: RegistryClient, tag: str, layers: Sequence[bytes], inventory: Inventory | None = None) -> str:
    """Publish an image of LAYERS (tars), with its INVENTORY attached; returns its digest."""
    diff_ids = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
    config = json.dumps(
        {"os": "linux", "architecture": "amd64", "config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    ).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": CONFIG_TYPE, "digest": client.upload_bytes(config), "size": len(config)},
        "layers": [
            {"mediaType": LAYER_TYPE, "digest": client.upload_bytes(layer), "size": len(layer)} for layer in layers
        ],
    }
    digest = client.put_manifest(json.dumps(manifest).encode(), OCI_MANIFEST, tag)
    if inventory is not None:
        attach(client, tag, write_sbom(inventory))
    return digest


def attach(client: RegistryClient, tag: str, content: bytes) -> None:
    subject = client.head_manifest(tag)
    assert subject is not None
    client.put_referrer(subject, MEDIA_TYPE, MEDIA_TYPE, content)


def write_config(root: Path, reference: ImageReference, *more: str) -> None:
    """A hubtool.yaml that makes the image of REFERENCE, and MORE."""
    folder, _, image = reference.name.rpartition("/")
    images = "".join(f"  {name}: {{}}\n" for name in (image, *more))
    (root / "hubtool.yaml").write_text(f"registry: {folder}\nimages:\n{images}")
