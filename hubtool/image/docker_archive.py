"""Writing an image as a docker archive, which every engine loads."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from hubtool.image.archive import MANIFEST, Archive
from hubtool.image.spool import disk_problem


@dataclass(frozen=True)
class StoredLayer:
    """A layer as it will lie in the archive: the digest of its tar; ``open`` gives ``size`` bytes, maybe of gzip."""

    diff_id: str
    size: int
    open: Callable[[], IO[bytes]]


def write_docker_archive(
    target: Path, config: Mapping[str, Any], layers: Sequence[StoredLayer], tag: str | None = None
) -> None:
    """Write the image of CONFIG, less its ``rootfs``, and LAYERS, called TAG, to the file TARGET: equal arguments give
    equal bytes. Raises HubtoolError where the disk is full."""
    rootfs = {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]}
    content = json.dumps({**config, "rootfs": rootfs}, separators=(",", ":")).encode()
    name = f"{hashlib.sha256(content).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": [tag] if tag else None, "Layers": [_name(layer) for layer in layers]}]
    try:
        with tarfile.open(target, "w") as archive:
            for layer in {layer.diff_id: layer for layer in layers}.values():
                with layer.open() as stream:
                    _add(archive, _name(layer), layer.size, stream)
            for member, data in ((name, content), (MANIFEST, json.dumps(manifest).encode())):
                _add(archive, member, len(data), io.BytesIO(data))
    except OSError as error:
        raise disk_problem(error) from error


def relabelled(archive: Archive, labels: Mapping[str, str], tag: str, target: Path) -> None:
    """Write the image of ARCHIVE with LABELS added, called TAG, to the file TARGET. Its layers stay as they are."""
    told = archive.config.get("config")
    settings = told if isinstance(told, dict) else {}
    own = settings.get("Labels")
    merged = {**(own if isinstance(own, dict) else {}), **labels}
    layers = []
    for layer in archive.layers:
        if layer.compression == "zstd":  # older engines load none
            with layer.open_tar() as stream:
                layers.append(StoredLayer(layer.diff_id, stream.seek(0, io.SEEK_END), layer.open_tar))
        else:
            layers.append(StoredLayer(layer.diff_id, layer.size, layer.open))
    write_docker_archive(target, {**archive.config, "config": {**settings, "Labels": merged}}, layers, tag)


def _name(layer: StoredLayer) -> str:
    return f"{layer.diff_id.removeprefix('sha256:')}.tar"


def _add(archive: tarfile.TarFile, name: str, size: int, stream: IO[bytes]) -> None:
    info = tarfile.TarInfo(name)
    info.size = size
    archive.addfile(info, stream)
