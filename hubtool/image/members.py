"""The named parts of an image's archive, files of a tar or of a folder, read where they lie: nothing is unpacked."""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, Protocol

from hubtool.image.headers import Header, TarError, read_headers
from hubtool.image.slices import open_part, open_slice, pread_of

JSON_LIMIT = 8 * 1024 * 1024  # bytes
MEMBER_LIMIT = 100_000
LINK_LIMIT = 5

_NAMED_BY_HASH = re.compile(r"(?:blobs/sha256/)?([0-9a-f]{64})(?:\.json)?\Z")


class Bad(Exception):
    """What is wrong with an archive."""


@dataclass(frozen=True)
class Part:
    """A part of an archive; SIZE in bytes."""

    name: str
    size: int
    _file: IO[bytes]
    _offset: int = 0

    def open(self) -> BinaryIO:
        """Its bytes, as a new seekable reader; good until the archive is closed."""
        return open_part(pread_of(self._file), self._offset, self.size)


class Members(Protocol):
    """All parts of an archive."""

    def part(self, name: str) -> Part:
        """The file called NAME; raises Bad where there is none."""
        ...

    def holds(self, name: str) -> bool: ...

    def close(self) -> None: ...


class TarMembers:
    """The parts of a tar, which is closed with it. Raises Bad for what is not a whole tar, or leads out of it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._headers: dict[str, Header] = {}
        try:
            with open_slice(file, 0, file.seek(0, os.SEEK_END)) as stream:
                for header in read_headers(stream):
                    _check(header)
                    self._headers[posixpath.normpath(header.name)] = header
                    if len(self._headers) > MEMBER_LIMIT:
                        raise Bad(f"more than {MEMBER_LIMIT} files")
        except (TarError, OverflowError) as error:
            raise Bad(f"damaged or cut short ({error})") from error

    def holds(self, name: str) -> bool:
        return name in self._headers

    def part(self, name: str) -> Part:
        """The file called NAME; old engines store a layer that is there already as a link to it."""
        path = posixpath.normpath(name)
        for _ in range(LINK_LIMIT):
            header = self._headers.get(path)
            if header is None:
                raise Bad(f"'{shown(name)}' is missing")
            if header.kind == "file":
                return Part(path, header.size, self._file, header.offset)
            if header.kind == "link":
                path = posixpath.normpath(posixpath.join(posixpath.dirname(path), header.target))
            elif header.kind == "hard":
                path = posixpath.normpath(header.target)
            else:
                raise Bad(f"'{shown(name)}' is not a file")
        raise Bad(f"'{shown(name)}' is a link without end")

    def close(self) -> None:
        self._file.close()


class FolderMembers:
    """The parts of a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._opened: list[IO[bytes]] = []

    def holds(self, name: str) -> bool:
        return (self._folder / name).is_file()

    def part(self, name: str) -> Part:
        """The file called NAME, which must not lead out of the folder by itself; a link in the folder may."""
        try:
            file = open_file(self._folder / name)
        except FileNotFoundError as error:
            raise Bad(f"'{shown(name)}' is missing") from error
        except OSError as error:
            raise Bad(f"'{shown(name)}' cannot be read: {error.strerror}") from error
        self._opened.append(file)
        return Part(name, file.seek(0, os.SEEK_END), file)

    def close(self) -> None:
        while self._opened:
            with suppress(OSError):
                self._opened.pop().close()


def open_file(path: Path) -> IO[bytes]:
    """The regular file at PATH; raises OSError, and Bad for a pipe, a device or a folder."""
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe with no writer must not hold us
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise Bad(f"'{shown(path.name)}' is not a file")
    return open(file, "rb")


def read_small(members: Members, name: str) -> bytes:
    """The content of a small part; raises Bad where it does not have the hash that it is named by."""
    part = members.part(name)
    if part.size > JSON_LIMIT:
        raise Bad(f"'{shown(name)}' has more than {JSON_LIMIT} bytes")
    with part.open() as stream:
        data = stream.read()
    named = _NAMED_BY_HASH.match(posixpath.normpath(name))
    if named and named[1] != hashlib.sha256(data).hexdigest():
        raise Bad(f"'{shown(name)}' does not have the hash that it is named by")
    return data


def json_of(data: bytes, what: str) -> Any:
    """DATA read as JSON; raises Bad, naming WHAT, where it is none."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Bad(f"{what} is not JSON") from error


def json_object(data: bytes, what: str) -> Mapping[str, Any]:
    """The same of an object."""
    document = json_of(data, what)
    if not isinstance(document, dict):
        raise Bad(f"{what} is not a JSON object")
    return document


def _check(header: Header) -> None:
    for name in (header.name, header.target):
        if name.startswith("/"):
            raise Bad(f"'{shown(name)}' is an absolute path")
    if ".." in header.name.split("/"):
        raise Bad(f"'{shown(header.name)}' leads outside")


def shown(name: str) -> str:
    return ascii(name[:80])[1:-1]
