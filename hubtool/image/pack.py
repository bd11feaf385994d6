"""Layers as they travel: compressed, the same bytes for the same layer every time, and the manifest over them.

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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, BinaryIO, Protocol

from hubtool.errors import HubtoolError
from hubtool.image.archive import ArchiveLayer
from hubtool.image.compress import Packing, compressor
from hubtool.image.inflate import PIECE, inflate
from hubtool.image.slices import open_slice

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPES = {
    "gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
    "zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
}


class Writer(Protocol):
    """Where bytes go: a file, an upload."""

    def write(self, data: bytes, /) -> object: ...


@dataclass(frozen=True)
class Packed:
    """What a packed layer is: ``digest`` and ``size`` (bytes) are of what travels, ``annotations`` for the manifest."""

    diff_id: str
    digest: str
    size: int
    media_type: str
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PackedLayer(Packed):
    """A packed layer that can be read again; ``close`` gives the disk space back."""

    open: Callable[[], BinaryIO] = field(kw_only=True)
    close: Callable[[], None] = field(kw_only=True, default=lambda: None)


def pack_stream(
    write_tar: Callable[[Writer], object], target: Writer, compression: Packing = "gzip", diff_id: str | None = None
) -> Packed:
    """Compress what WRITE_TAR writes into TARGET, in one pass and with no copy of it kept anywhere.

    Raises HubtoolError, when all is written, where the tar has not the digest DIFF_ID; what was written to TARGET
    then is of no use.
    """
    stream = _PackStream(target, compression)
    write_tar(stream)
    packed = stream.finish()
    if diff_id not in (None, packed.diff_id):
        raise _damaged(diff_id, packed.diff_id)
    return packed


class _PackStream:
    """Compresses and hashes what is written to it."""

    def __init__(self, target: Writer, compression: Packing) -> None:
        self._target = target
        self._compression = compression
        self._packer = compressor(compression)
        self._plain, self._packed = hashlib.sha256(), hashlib.sha256()
        self._size = 0

    def write(self, data: bytes, /) -> int:
        self._plain.update(data)
        self._put(self._packer.compress(data))
        return len(data)

    def finish(self) -> Packed:
        self._put(self._packer.flush())
        plain, packed = (f"sha256:{digest.hexdigest()}" for digest in (self._plain, self._packed))
        return Packed(plain, packed, self._size, LAYER_TYPES[self._compression])

    def _put(self, data: bytes) -> None:
        if data:
            self._packed.update(data)
            self._size += len(data)
            self._target.write(data)


def pack_layer(
    layer: ArchiveLayer,
    folder: Path,
    advance: Callable[[int], None] = lambda done: None,
    compression: Packing = "gzip",
) -> PackedLayer:
    """LAYER compressed into an unnamed temporary file in FOLDER; one that is compressed already is taken as it is.

    Either way what it holds is checked against its ``diff_id``. ADVANCE is called with the bytes read so far.
    Raises HubtoolError for a damaged layer or a full disk.
    """
    if layer.compression != "none":
        return _as_it_is(layer, advance)
    spool: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - PackedLayer closes it
    try:
        packed = pack_stream(lambda out: _copy(layer, out, advance), spool, compression, layer.diff_id)
        spool.flush()
    except OSError as error:
        spool.close()
        raise _disk_problem(error, folder) from error
    except BaseException:
        spool.close()
        raise
    return PackedLayer(
        packed.diff_id,
        packed.digest,
        packed.size,
        packed.media_type,
        open=lambda: open_slice(spool, 0, packed.size),
        close=spool.close,
    )


def _copy(layer: ArchiveLayer, out: Writer, advance: Callable[[int], None]) -> None:
    done = 0
    with layer.open() as source:
        while piece := source.read(PIECE):
            out.write(piece)
            done += len(piece)
            advance(done)


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
        for piece in inflate(source, layer.compression, f"the layer {layer.diff_id}"):
            plain.update(piece)
    found = f"sha256:{plain.hexdigest()}"
    if found != layer.diff_id:
        raise _damaged(layer.diff_id, found)
    return PackedLayer(layer.diff_id, digest, layer.size, LAYER_TYPES[layer.compression], open=layer.open)


def _damaged(expected: str | None, found: str) -> HubtoolError:
    return HubtoolError(
        f"a layer is damaged: its config says {expected}, but it is {found}", hint="build or save the image again"
    )


def _disk_problem(error: OSError, folder: Path) -> HubtoolError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return HubtoolError(
        f"{folder}: {'no space left' if full else os.strerror(error.errno or 0)} while packing a layer",
        hint="free some space there, or name another folder in $TMPDIR",
    )


class Described(Protocol):
    """What a manifest says of a layer."""

    @property
    def media_type(self) -> str: ...
    @property
    def digest(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def annotations(self) -> Mapping[str, str]: ...


def image_manifest(config: bytes, layers: Sequence[Described], annotations: Mapping[str, str] | None = None) -> bytes:
    """The manifest over a config and its packed layers, from the bottom up: equal input, equal bytes."""
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {"mediaType": CONFIG_TYPE, "digest": digest_of(config), "size": len(config)},
        "layers": [_descriptor(layer) for layer in layers],
    }
    if annotations:
        document["annotations"] = dict(sorted(annotations.items()))
    return json.dumps(document, separators=(",", ":")).encode()


def _descriptor(layer: Described) -> dict[str, Any]:
    found: dict[str, Any] = {"mediaType": layer.media_type, "digest": layer.digest, "size": layer.size}
    if layer.annotations:
        found["annotations"] = dict(sorted(layer.annotations.items()))
    return found


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()
