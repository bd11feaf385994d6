"""An image on its way to a registry: all of it but the tag."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from hubtool.commands.earlier import IMAGE_ID, Earlier
from hubtool.commands.parcels import parcels_of
from hubtool.commands.transfer import Moved, MovedLayer, move_layers
from hubtool.console import step, warn
from hubtool.image.archive import Archive
from hubtool.image.inventory import MEDIA_TYPE as SBOM_TYPE
from hubtool.image.pack import MANIFEST_TYPE, digest_of, image_manifest
from hubtool.plan import Packing
from hubtool.registries import RegistryError
from hubtool.registries.client import RegistryClient
from hubtool.registries.model import Descriptor


@dataclass(frozen=True)
class Sent:
    """What is in the registry now, or would be: a manifest by its digest, and the blobs below it."""

    manifest: bytes
    blobs: tuple[Moved, ...]
    sbom: bytes = field(repr=False)
    config: bytes = field(repr=False)

    @property
    def digest(self) -> str:
        return digest_of(self.manifest)


def send_image(
    client: RegistryClient,
    archive: Archive,
    packing: Packing,
    earlier: Earlier,
    folder: Path,
    *,
    notes: Mapping[str, str] = {},
    dry_run: bool = False,
    again: bool = False,
) -> Sent:
    """Send what the registry lacks of the image in ARCHIVE; with DRY_RUN only find out what that is.

    NOTES are annotations for its manifest. AGAIN is for a push that was cut off. FOLDER has room for what is
    compressed and waits.
    """
    verb = "looking for" if dry_run else "sending"
    with parcels_of(archive, packing, earlier.layout) as parcels, step(f"{verb} {len(parcels.layers)} layers"):
        layers = move_layers(
            client,
            parcels.layers,
            folder,
            compression=packing.compression,
            known=earlier.layers,
            dry_run=dry_run,
            again=again,
        )
    config = _send_config(client, parcels.config, dry_run)
    described = [replace(moved.layer, annotations=parcels.notes(number)) for number, moved in enumerate(layers)]
    manifest = image_manifest(parcels.config, described, {IMAGE_ID: archive.config_digest, **notes})
    sbom = digest_of(parcels.sbom)  # goes with the manifest, to which it is attached
    inside = Moved(sbom, len(parcels.sbom), not client.has_blob(sbom))
    return Sent(manifest, _blobs(layers, config, inside), parcels.sbom, parcels.config)


def publish_manifest(client: RegistryClient, sent: Sent) -> None:
    """Publish it under its digest, with what is attached to it."""
    client.put_manifest(sent.manifest, MANIFEST_TYPE, sent.digest)
    subject = Descriptor(sent.digest, MANIFEST_TYPE, len(sent.manifest))
    try:
        client.put_referrer(subject, SBOM_TYPE, SBOM_TYPE, sent.sbom)
    except RegistryError as error:
        warn(f"the list of what is inside could not be attached to the image: {error.message}")


def _send_config(client: RegistryClient, content: bytes, dry_run: bool) -> Moved:
    digest = digest_of(content)
    travels = not client.has_blob(digest)
    if travels and not dry_run:
        client.upload_bytes(content)
    return Moved(digest, len(content), travels)


def _blobs(layers: list[MovedLayer], *others: Moved) -> tuple[Moved, ...]:
    return tuple({moved.digest: moved for moved in (*(layer.moved for layer in layers), *others)}.values())
