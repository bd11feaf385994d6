"""What is inside an image: from what is attached to it in its registry, else from its layers."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from hubtool.config import FILE_NAME, Config, load
from hubtool.console import step, warn
from hubtool.engines import Engine
from hubtool.errors import HubtoolError
from hubtool.image.archive import Archive
from hubtool.image.files import ImageFiles
from hubtool.image.inventory import MAX_SBOM, MEDIA_TYPE, Inventory, read_fullest, take_inventory
from hubtool.image.owners import find_owners
from hubtool.image.spool import spool_folder
from hubtool.plan.records import read_record
from hubtool.reference import ImageReference, is_tag
from hubtool.registries import Release, open_client
from hubtool.registries.client import RegistryClient
from hubtool.registries.manifests import index_of, written
from hubtool.registries.model import Descriptor, is_digest
from hubtool.registries.release import config_digest, read_attached, read_release


@dataclass(frozen=True)
class Contents:
    """An image: how it is called, with digest where a registry has it; what is installed, None where nothing says;
    its layers as they travel, none for an engine's."""

    name: str
    inventory: Inventory | None
    layers: tuple[Descriptor, ...] = ()

    @property
    def travelling(self) -> dict[str, int]:
        """The size of each layer by digest."""
        return {layer.digest: layer.size for layer in self.layers}


def find_reference(text: str, root: Path) -> ImageReference:
    """The image that TEXT means: a reference; with a hubtool.yaml at ROOT also IMAGE:TAG or IMAGE@DIGEST, IMAGE
    alone for its last build, TAG or DIGEST alone where it makes one image."""
    config = load(root) if (root / FILE_NAME).exists() else None
    if config is None:
        return ImageReference.parse(text)
    name = re.split("[:@]", text, maxsplit=1)[0]
    if name in config.images and name != text:
        return ImageReference.parse(f"{config.reference(name)}{text.removeprefix(name)}")
    if name in config.images:
        return _last_build(root, name)
    if is_tag(text) or is_digest(text):
        return ImageReference.parse(f"{_only(config)}{':' if is_tag(text) else '@'}{text}")
    return ImageReference.parse(text)


def _last_build(root: Path, name: str) -> ImageReference:
    record = read_record(root, name)
    if record is None or not record.reference:
        raise HubtoolError(f"{name} was not built here", hint=f"say which one: {name}:TAG")
    return ImageReference.parse(record.reference)


def _only(config: Config) -> ImageReference:
    if len(config.images) > 1:
        names = ", ".join(f"{name}:TAG" for name in config.images)
        raise HubtoolError("hubtool.yaml makes several images", hint=f"name one of them: {names}")
    return config.reference(next(iter(config.images)))


def read_contents(reference: ImageReference) -> Contents | None:
    """What a registry tells of an image, none of its layers read; None where it has no such image."""
    with open_client(reference) as client:
        release = read_release(client, reference)
        if release is None:
            return None
        return Contents(str(release.reference), _attached_inventory(client, release), release.layers)


def _attached_inventory(client: RegistryClient, release: Release) -> Inventory | None:
    return read_fullest(
        read_attached(client, release, MEDIA_TYPE, MAX_SBOM),
        lambda why: warn(f"something attached to {release.reference} is left out: {why}"),
    )


def pull_contents(reference: ImageReference) -> Contents | None:
    """What is inside an image by its layers in the registry; None where it has no such image."""
    with open_client(reference) as client:
        release = read_release(client, reference)
        if release is None:
            return None
        with spool_folder(needed=release.size * 4) as folder:  # inflated it has three times the size
            with step(f"pulling {release.reference}"):
                _download(client, release, folder)
            return Contents(str(release.reference), _inventory(folder), release.layers)


def _download(client: RegistryClient, release: Release, folder: Path) -> None:
    """Put an image into FOLDER, as an OCI layout."""
    manifest = client.get_manifest(release.image)
    config = config_digest(client, manifest) if manifest else None
    if manifest is None or config is None:
        raise HubtoolError(f"{release.reference} has no image that can be read")
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    _file(blobs, manifest.digest).write_bytes(manifest.content)
    _file(blobs, config).write_bytes(client.get_blob(config))
    for layer in {layer.digest: layer for layer in release.layers}.values():
        with client.open_blob(layer.digest, layer.size) as stream, _file(blobs, layer.digest).open("wb") as file:
            shutil.copyfileobj(stream, file)
    image = Descriptor(manifest.digest, manifest.media_type, len(manifest.content))
    (folder / "index.json").write_bytes(index_of([written(image)]))


def _file(blobs: Path, digest: str) -> Path:
    return blobs / digest.removeprefix("sha256:")


def read_engine_contents(engine: Engine, reference: ImageReference) -> Contents | None:
    """What is inside an image that ENGINE holds; None where it holds none."""
    image = engine.inspect(str(reference))
    if image is None:
        return None
    with spool_folder(needed=int(image.size * 1.5)) as folder:
        target = folder / "image.tar"
        with step(f"taking {reference} out of {engine.name}"):
            engine.export(image.id, target)
        return Contents(f"{reference} ({engine.name})", _inventory(target))


def _inventory(path: Path) -> Inventory:
    with Archive(path) as archive:
        files = ImageFiles([layer.open_tar for layer in archive.layers])
        try:
            with step("looking at what is inside"):
                return take_inventory(files, find_owners(files))
        finally:
            files.close()
