"""Reading a finished image: a docker archive, which is what `docker save` writes (of old and new engines, the new
with an OCI layout inside) and buildah as docker-archive; an OCI layout, as a tar or a folder. A tar may be
compressed. Nothing is unpacked; layers are slices of the files.

The formats: github.com/moby/docker-image-spec, spec.md, "Combined Image JSON + Filesystem Changeset Format";
github.com/opencontainers/image-spec, image-layout.md.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, BinaryIO

from hubtool.errors import HubtoolError, Where
from hubtool.image.inflate import PIECE, Compression, Inflated, compression_of
from hubtool.image.members import (
    Bad,
    FolderMembers,
    Members,
    Part,
    TarMembers,
    json_object,
    json_of,
    open_file,
    read_small,
    shown,
)
from hubtool.image.oci import INDEX, Described, describe_layout

MANIFEST = "manifest.json"
MAX_LAYERS = 500  # as many as containers/storage takes; others take fewer
AT_ONCE = 4  # layers that are checked side by side

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_BLOB = re.compile(r"blobs/sha256/([0-9a-f]{64})\Z")


@dataclass(frozen=True)
class ArchiveLayer:
    """One layer: ``diff_id`` is the digest of its uncompressed tar; ``size`` is in bytes, as stored.

    ``digest`` is the digest of the stored bytes where the archive names them by it. Neither is checked before
    ``check``, or for a compressed layer ``open_tar``.
    """

    diff_id: str
    size: int
    compression: Compression
    digest: str | None
    _part: Part
    _inflated: Inflated

    def open(self) -> BinaryIO:
        """The stored bytes, as a new seekable reader; good until the archive is closed."""
        return self._part.open()

    def open_tar(self) -> IO[bytes]:
        """The uncompressed tar, as a new seekable reader; good until the archive is closed.

        A compressed layer is inflated once, into a temporary file. Raises HubtoolError where it can't be, or is
        not what its digests say.
        """
        return self.open() if self.compression == "none" else self._inflated.open()

    def check(self) -> None:
        """Raise HubtoolError where the layer is not what its digests say."""
        if self.compression != "none":
            self.open_tar().close()  # which checks it
            return
        found = hashlib.sha256()
        with self.open() as stream:
            while piece := stream.read(PIECE):
                found.update(piece)
        for digest in (self.digest, self.diff_id):
            if digest not in (None, f"sha256:{found.hexdigest()}"):
                raise HubtoolError(f"the layer {digest} is damaged", hint="build or save the image again")


class Archive:
    """A finished image, in a docker archive or OCI layout; close it (``with``) after use.

    ``config_bytes`` is the image's config as stored, ``config_digest`` its digest, ``config`` the same read,
    ``tags`` the references that the archive gives it, ``layers`` from the bottom up.
    """

    def __init__(self, path: Path) -> None:
        """Open and check all but the layers; raises HubtoolError, naming the file, for anything that is not a
        whole archive of one image."""
        self.path = path
        self._members: Members | None = None
        self._inflated: list[Inflated] = []
        try:
            self._members = self._open()
            self._read(self._members)
        except Bad as bad:
            self.close()
            raise HubtoolError(
                f"not an image archive that can be used: {bad}",
                where=Where(path),
                hint="build or save the image again",
            ) from bad
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close it and what was read from it; temporary files go away."""
        for inflated in self._inflated:
            inflated.close()
        if self._members is not None:
            self._members.close()

    def check(self) -> None:
        """Raise HubtoolError where a layer is not what its digests say. Several are read at once."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(ArchiveLayer.check, sorted(self.layers, key=lambda layer: -layer.size)))

    def _open(self) -> Members:
        if self.path.is_dir():
            return FolderMembers(self.path)
        try:
            file = open_file(self.path)
        except OSError as error:
            raise HubtoolError(f"cannot be read: {error.strerror}", where=Where(self.path)) from error
        try:
            return TarMembers(self._plain(file))
        except BaseException:
            file.close()
            raise

    def _plain(self, file: IO[bytes]) -> IO[bytes]:
        """FILE, or what it holds where it is compressed."""
        compression = compression_of(file.read(4))
        if compression == "none":
            return file
        size = file.seek(0, 2)
        inflated = Inflated(Part(str(self.path), size, file).open, compression, str(self.path), size)
        self._inflated.append(inflated)
        with file:
            return inflated.open()

    def _read(self, members: Members) -> None:
        described = self._described(members)
        self.config_bytes = read_small(members, described.config)
        self.config_digest = f"sha256:{hashlib.sha256(self.config_bytes).hexdigest()}"
        self.config = json_object(self.config_bytes, "the image's config")
        self.tags = described.tags
        self.layers = self._layers(members, described.layers)

    def _described(self, members: Members) -> Described:
        if members.holds(INDEX) and not members.holds(MANIFEST):
            return describe_layout(members)
        return _describe_docker(members)

    def _layers(self, members: Members, names: tuple[str, ...]) -> tuple[ArchiveLayer, ...]:
        rootfs = self.config.get("rootfs")
        diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
        diff_ids = diff_ids or []
        if not isinstance(diff_ids, list) or len(names) != len(diff_ids):
            raise Bad("its config and its list of layers do not fit")
        if len(names) > MAX_LAYERS:
            raise Bad(f"it has {len(names)} layers; more than {MAX_LAYERS} are too many for any engine")
        if not all(isinstance(diff_id, str) and _DIGEST.match(diff_id) for diff_id in diff_ids):
            raise Bad("a layer without digest")
        return tuple(self._layer(members.part(name), diff_id) for name, diff_id in zip(names, diff_ids, strict=True))

    def _layer(self, part: Part, diff_id: str) -> ArchiveLayer:
        with part.open() as stream:
            compression = compression_of(stream.read(4))
        named = _BLOB.match(part.name)
        digest = f"sha256:{named[1]}" if named else None
        inflated = Inflated(part.open, compression, f"the layer {diff_id}", part.size, diff_id, digest)
        self._inflated.append(inflated)
        return ArchiveLayer(diff_id, part.size, compression, digest, part, inflated)


def _describe_docker(members: Members) -> Described:
    """The one image that manifest.json names."""
    images = json_of(read_small(members, MANIFEST), MANIFEST)
    if not isinstance(images, list) or not images or not isinstance(images[0], dict):
        raise Bad(f"{MANIFEST} names no image")
    if len(images) > 1:
        raise Bad(f"{MANIFEST} names {len(images)} images; expected one")
    names = images[0].get("Layers") or []
    tags = images[0].get("RepoTags") or ()
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Bad(f"{MANIFEST} has no list of layers")
    if not isinstance(tags, list | tuple):
        raise Bad(f"{MANIFEST} has no list of tags")
    return Described(_text(images[0], "Config"), tuple(names), tuple(tag for tag in tags if isinstance(tag, str)))


def _text(entry: Mapping[str, Any], key: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value:
        raise Bad(f"{MANIFEST} has no '{shown(key)}'")
    return value
