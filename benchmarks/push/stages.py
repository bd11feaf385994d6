"""Where the time of a push goes, stage by stage, in this process; nothing is sent."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from hubtool.engines import Engine
from hubtool.image.archive import Archive
from hubtool.image.compress import CORES
from hubtool.image.files import ImageFiles
from hubtool.image.inventory import take_inventory, write_sbom
from hubtool.image.owners import find_owners
from hubtool.image.pack import pack_stream
from hubtool.image.relayer import NewLayer, relayer

STAGES = ("export", "index", "owners", "check", "layout, hash", "compress")


def stages(engine: Engine, image: str, folder: Path) -> dict[str, float]:
    """The seconds of each of STAGES; FOLDER has room for the image."""
    seconds: dict[str, float] = {}

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        seconds[name] = time.perf_counter() - started

    target = folder / "image.tar"
    with stage("export"):
        engine.export(image, target)
    with Archive(target) as archive:
        target.unlink()
        files = ImageFiles([layer.open_tar for layer in archive.layers])
        with stage("index"):
            assert files.visible
        with stage("owners"):
            owners = find_owners(files)
            write_sbom(take_inventory(files, owners))
        with stage("check"):
            archive.check()
        with stage("layout, hash"):
            image_now = relayer(files, archive.config, owners)
        with stage("compress"), ThreadPoolExecutor(CORES) as pool:
            list(pool.map(_compress, sorted(image_now.layers, key=lambda layer: -layer.size)))
        files.close()
    return seconds


def _compress(layer: NewLayer) -> int:
    return pack_stream(layer.write_tar, _Nowhere(), "gzip", layer.diff_id).size


class _Nowhere:
    def write(self, data: bytes, /) -> int:
        return len(data)
