"""Layers as they travel: gzip, the same bytes for the same layer every time, and the manifest over them.

The manifest is OCI's (github.com/opencontainers/image-spec, manifest.md), not Docker's schema 2: every registry
named in the documentation and every container runtime of today takes it, and it is the only one that has
annotations and zstd layers. Docker's config is valid as OCI config: it only has more keys.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

from hubtool.errors import HubtoolError
from hubtool.image.archive import ArchiveLayer, open_slice
from hubtool.image.inflate import PIECE, inflate

LEVEL = 1  # of igzip; 2 and 3 cost more time than the few per cent that they save
GZIP_WITH_HEADER = 31  # zlib's window bits; the header has neither time nor name, hence equal input, equal output

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPES = {
    "gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
    "zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
}


@dataclass(frozen=True)
class PackedLayer:
    """A compressed layer: ``digest`` and ``size`` (bytes) are of what travels."""

    diff_id: str
    digest: str
    size: int
    media_type: str
    open: Callable[[], BinaryIO]
    _spool: IO[bytes] | None = None

    def close(self) -> None:
        """Give the disk space back."""
        if self._spool is not None:
            self._spool.close()


def pack_layer(layer: ArchiveLayer, folder: Path, advance: Callable[[int], None] = lambda done: None) -> PackedLayer:
    """LAYER compressed into an unnamed temporary file in FOLDER; one that is compressed already is taken as it is.

    Either way what it holds is checked against its ``diff_id``. ADVANCE is called with the bytes read so far.
    Raises HubtoolError for a damaged layer or a full disk.
    """
    if layer.compression != "none":
        return _as_it_is(layer, advance)
    spool: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - PackedLayer closes it
    try:
        digest, size = _compress(layer, spool, advance)
        spool.flush()
    except OSError as error:
        spool.close()
        raise _disk_problem(error, folder) from error
    except BaseException:
        spool.close()
        raise
    return PackedLayer(layer.diff_id, digest, size, LAYER_TYPES["gzip"], lambda: open_slice(spool, 0, size), spool)


def _compress(layer: ArchiveLayer, spool: IO[bytes], advance: Callable[[int], None]) -> tuple[str, int]:
    from isal import isal_zlib

    packer = isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, GZIP_WITH_HEADER)
    plain, packed = hashlib.sha256(), hashlib.sha256()
    size = done = 0
    with layer.open() as source:
        while piece := source.read(PIECE):
            plain.update(piece)
            done += len(piece)
            size += _put(packer.compress(piece), packed, spool)
            advance(done)
    size += _put(packer.flush(), packed, spool)
    _same(layer, f"sha256:{plain.hexdigest()}")
    return f"sha256:{packed.hexdigest()}", size


def _put(data: bytes, digest: Any, spool: IO[bytes]) -> int:
    digest.update(data)
    spool.write(data)
    return len(data)


def _as_it_is(layer: ArchiveLayer, advance: Callable[[int], None]) -> PackedLayer:
    stored = hashlib.sha256()
    done = 0
    with layer.open() as source:
        while piece := source.read(PIECE):
            stored.update(piece)
            done += len(piece)
            advance(done)
    digest = f"sha256:{stored.hexdigest()}"
    if layer.digest not in (None, digest):
        raise HubtoolError(f"the layer {layer.digest} is damaged", hint="build or save the image again")
    plain = hashlib.sha256()
    with layer.open() as source:
        for piece in inflate(source, layer.compression, layer.diff_id):
            plain.update(piece)
    _same(layer, f"sha256:{plain.hexdigest()}")
    return PackedLayer(layer.diff_id, digest, layer.size, LAYER_TYPES[layer.compression], layer.open)


def _same(layer: ArchiveLayer, found: str) -> None:
    if found != layer.diff_id:
        raise HubtoolError(
            f"a layer is damaged: its config says {layer.diff_id}, but it is {found}",
            hint="build or save the image again",
        )


def _disk_problem(error: OSError, folder: Path) -> HubtoolError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return HubtoolError(
        f"{folder}: {'no space left' if full else os.strerror(error.errno or 0)} while packing a layer",
        hint="free some space there, or name another folder in $TMPDIR",
    )


def image_manifest(config: bytes, layers: Sequence[PackedLayer]) -> bytes:
    """The manifest over a config and its packed layers, from the bottom up: equal input, equal bytes."""
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {"mediaType": CONFIG_TYPE, "digest": digest_of(config), "size": len(config)},
        "layers": [{"mediaType": layer.media_type, "digest": layer.digest, "size": layer.size} for layer in layers],
    }
    return json.dumps(document, separators=(",", ":")).encode()


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()
