"""What of an image travels: its layers as they were built, or laid out anew by what is installed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from hubtool.commands.earlier import DIFF_ID, LAYER
from hubtool.console import step
from hubtool.image.archive import Archive, ArchiveLayer
from hubtool.image.files import ImageFiles
from hubtool.image.inventory import take_inventory, write_sbom
from hubtool.image.layout import Layout
from hubtool.image.owners import find_owners
from hubtool.image.relayer import NewLayer, relayer
from hubtool.plan import Packing


@dataclass(frozen=True)
class Parcels:
    """An image's config and layers, from the bottom up; ``notes`` are annotations for each layer, ``sbom`` says
    what is installed."""

    config: bytes
    layers: tuple[ArchiveLayer | NewLayer, ...]
    sbom: bytes = field(repr=False)
    layout: Layout | None = None

    def notes(self, number: int) -> dict[str, str]:
        """The annotations of a layer."""
        notes = {DIFF_ID: self.layers[number].diff_id}
        if self.layout:
            notes[LAYER] = self.layout.as_annotations()[number]
        return notes


@contextmanager
def parcels_of(archive: Archive, packing: Packing, previous: Layout | None) -> Iterator[Parcels]:
    """The image in ARCHIVE, packed as PACKING says, laid out as PREVIOUS as far as that goes. The layers can be
    read until the block ends. Raises HubtoolError where the image is damaged."""
    files = ImageFiles([layer.open_tar for layer in archive.layers])
    try:
        with step("looking at what is inside"):
            parcels = _parcels(archive, files, packing, previous)
        yield parcels
    finally:
        files.close()


def _parcels(archive: Archive, files: ImageFiles, packing: Packing, previous: Layout | None) -> Parcels:
    if packing.layers == "as-built":
        return Parcels(archive.config_bytes, archive.layers, write_sbom(take_inventory(files, find_owners(files))))
    with ThreadPoolExecutor(1) as pool:
        checked = pool.submit(archive.check)  # takes as long as all the rest
        owners = find_owners(files)
        sbom = write_sbom(take_inventory(files, owners))
        image = relayer(files, archive.config, owners, previous, most=packing.most)
        checked.result()
    return Parcels(image.config, image.layers, sbom, Layout(tuple(layer.keys for layer in image.layers)))
