"""Reading a docker archive: what `docker save` writes (of old and new engines, the new with an OCI layout
inside) and what buildah writes as docker-archive. Nothing is unpacked; layers are slices of the file.

The format: github.com/moby/docker-image-spec, spec.md, "Combined Image JSON + Filesystem Changeset Format".
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import re
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, BinaryIO

from hubtool.errors import HubtoolError, Where
from hubtool.image.inflate import Compression, compression_of, inflate
from hubtool.image.slices import open_slice

MANIFEST = "manifest.json"
JSON_LIMIT = 8 * 1024 * 1024  # bytes
MEMBER_LIMIT = 100_000
LINK_LIMIT = 5

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_NAMED_BY_HASH = re.compile(r"(?:blobs/sha256/)?([0-9a-f]{64})(?:\.json)?\Z")


@dataclass(frozen=True)
class ArchiveLayer:
    """One layer: ``diff_id`` is the digest of its uncompressed tar; ``size`` is in bytes, as stored.

    ``digest`` is the digest of the stored bytes where the archive names them by it, not yet checked.
    """

    diff_id: str
    size: int
    compression: Compression
    digest: str | None
    _file: IO[bytes]
    _offset: int

    def open(self) -> BinaryIO:
        """The stored bytes, as a new seekable reader; good until the archive is closed."""
        return open_slice(self._file, self._offset, self.size)

    def open_tar(self) -> IO[bytes]:
        """The uncompressed tar, as a new seekable reader; a compressed layer goes through a temporary file.
        Raises HubtoolError where the layer can't be decompressed."""
        if self.compression == "none":
            return self.open()
        target = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        try:
            with self.open() as stored:
                for piece in inflate(stored, self.compression, self.diff_id):
                    target.write(piece)
        except BaseException:
            target.close()
            raise
        target.seek(0)
        return target


class Archive:
    """An image in a docker archive; close it (``with``) after use.

    ``config_bytes`` is the image's config as stored, ``config_digest`` its digest, ``config`` the same read,
    ``tags`` the references that the archive gives it, ``layers`` from the bottom up.
    """

    def __init__(self, path: Path) -> None:
        """Open and check; raises HubtoolError, naming the file, for anything that is not a whole archive of
        one image."""
        self.path = path
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise HubtoolError(f"cannot be read: {error.strerror}", where=Where(path)) from error
        try:
            self._members = self._index()
            entry = self._entry()
            self.config_bytes = self._small(_text(entry, "Config"))
            self.config_digest = self._checked_digest(_text(entry, "Config"))
            self.config = self._json_object(self.config_bytes, "the image's config")
            self.tags = tuple(tag for tag in entry.get("RepoTags") or () if isinstance(tag, str))
            self.layers = self._layers(entry)
        except _Bad as bad:
            self._file.close()
            raise HubtoolError(
                f"not a docker archive that can be used: {bad}",
                where=Where(path),
                hint="build or save the image again",
            ) from bad
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def _index(self) -> dict[str, tarfile.TarInfo]:
        found: dict[str, tarfile.TarInfo] = {}
        try:
            with tarfile.open(fileobj=self._file, mode="r:") as tar:
                for member in tar:
                    _check_member(member)
                    found[posixpath.normpath(member.name)] = member
                    if len(found) > MEMBER_LIMIT:
                        raise _Bad(f"more than {MEMBER_LIMIT} files")
        except (tarfile.TarError, EOFError, ValueError, OverflowError, MemoryError, RecursionError) as error:
            raise _Bad(f"damaged or cut short ({error})") from error
        return found

    def _entry(self) -> Mapping[str, Any]:
        try:
            images = json.loads(self._small(MANIFEST))
        except (ValueError, RecursionError) as error:
            raise _Bad(f"{MANIFEST} is not JSON") from error
        if not isinstance(images, list) or not images or not isinstance(images[0], dict):
            raise _Bad(f"{MANIFEST} names no image")
        if len(images) > 1:
            raise _Bad(f"{MANIFEST} names {len(images)} images; expected one")
        return images[0]

    def _layers(self, entry: Mapping[str, Any]) -> tuple[ArchiveLayer, ...]:
        rootfs = self.config.get("rootfs")
        diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
        names = entry.get("Layers") or []
        diff_ids = diff_ids or []
        if not isinstance(names, list) or not isinstance(diff_ids, list) or len(names) != len(diff_ids):
            raise _Bad("its config and its list of layers do not fit")
        return tuple(self._layer(name, diff_id) for name, diff_id in zip(names, diff_ids, strict=True))

    def _layer(self, name: object, diff_id: object) -> ArchiveLayer:
        if not isinstance(name, str) or not isinstance(diff_id, str) or not _DIGEST.match(diff_id):
            raise _Bad("a layer without name or digest")
        member = self._resolve(name)
        start = os.pread(self._file.fileno(), 4, member.offset_data) if member.size >= 4 else b""
        named = re.fullmatch(r"blobs/sha256/([0-9a-f]{64})", posixpath.normpath(member.name))
        digest = f"sha256:{named[1]}" if named else None
        return ArchiveLayer(diff_id, member.size, compression_of(start), digest, self._file, member.offset_data)

    def _resolve(self, name: str) -> tarfile.TarInfo:
        """The file called NAME; old engines store a layer that is there already as a link to it."""
        path = posixpath.normpath(name)
        for _ in range(LINK_LIMIT):
            member = self._members.get(path)
            if member is None:
                raise _Bad(f"'{_shown(name)}' is missing")
            if member.isreg():
                return member
            if member.issym():
                path = posixpath.normpath(posixpath.join(posixpath.dirname(path), member.linkname))
            elif member.islnk():
                path = posixpath.normpath(member.linkname)
            else:
                raise _Bad(f"'{_shown(name)}' is not a file")
        raise _Bad(f"'{_shown(name)}' is a link without end")

    def _small(self, name: str) -> bytes:
        member = self._resolve(name)
        if member.size > JSON_LIMIT:
            raise _Bad(f"'{_shown(name)}' has more than {JSON_LIMIT} bytes")
        data = os.pread(self._file.fileno(), member.size, member.offset_data)
        if len(data) != member.size:
            raise _Bad("cut short")
        return data

    def _checked_digest(self, name: str) -> str:
        found = hashlib.sha256(self.config_bytes).hexdigest()
        named = _NAMED_BY_HASH.match(posixpath.normpath(name))
        if named and named[1] != found:
            raise _Bad("the image's config does not have the hash that it is named by")
        return f"sha256:{found}"

    def _json_object(self, data: bytes, what: str) -> Mapping[str, Any]:
        try:
            document = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise _Bad(f"{what} is not JSON") from error
        if not isinstance(document, dict):
            raise _Bad(f"{what} is not a JSON object")
        return document


class _Bad(Exception):
    """What is wrong with the archive."""


def _check_member(member: tarfile.TarInfo) -> None:
    names = [member.name] + ([member.linkname] if member.issym() or member.islnk() else [])
    for name in names:
        if name.startswith("/"):
            raise _Bad(f"'{_shown(name)}' is an absolute path")
    if ".." in member.name.split("/"):
        raise _Bad(f"'{_shown(member.name)}' leads outside")
    if member.issparse():
        raise _Bad(f"'{_shown(member.name)}' is a sparse file")


def _text(entry: Mapping[str, Any], key: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value:
        raise _Bad(f"{MANIFEST} has no '{key}'")
    return value


def _shown(name: str) -> str:
    return ascii(name[:80])[1:-1]
