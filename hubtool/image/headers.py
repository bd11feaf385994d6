"""The headers of a tar, read strictly and quickly: ustar, pax and GNU's, as container engines write and read them.

Python's tarfile reads the same (the tests compare the two), but at a third of the speed, and it takes a broken
header for the end of the archive. The formats: pubs.opengroup.org, "pax"; gnu.org/software/tar/manual, "Basic Tar
Format".
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Literal
from urllib.parse import unquote_to_bytes

BLOCK = 512
ZEROS = bytes(BLOCK)
NAME_LIMIT = 4096  # bytes: the kernel's PATH_MAX
EXTRA_LIMIT = 1024 * 1024  # bytes of a pax header or long name; Go's archive/tar has the same limit
MOST = 1 << 62

Kind = Literal["file", "folder", "link", "fifo", "char", "block"]
Xattrs = tuple[tuple[str, bytes], ...]

_KINDS: dict[bytes, Kind | Literal["hard"]] = {
    b"0": "file",
    b"\0": "file",
    b"7": "file",
    b"1": "hard",
    b"2": "link",
    b"3": "char",
    b"4": "block",
    b"5": "folder",
    b"6": "fifo",
}
_PAX = (b"x", b"X")
_LONG = {b"L": b"path", b"K": b"linkpath"}
_GLOBAL = b"g"
_XATTR = b"SCHILY.xattr."
_XATTR_CODED = b"LIBARCHIVE.xattr."  # name percent-encoded, value in base64

_DECIMAL = re.compile(rb"(-?[0-9]{1,19})(?:\.[0-9]*)?\Z")

Records = dict[bytes, bytes]


class TarError(ValueError):
    """What is wrong with a tar."""


@dataclass(slots=True)
class Header:
    """One member: ``name`` and ``target`` (of links of both kinds) as stored, ``offset`` of its content."""

    name: str
    kind: Kind | Literal["hard"]
    size: int
    offset: int
    mode: int
    uid: int
    gid: int
    mtime: int
    target: str
    xattrs: Xattrs
    device: tuple[int, int]


def read_headers(stream: IO[bytes]) -> Iterator[Header]:
    """The members of the tar in the seekable STREAM, in order; raises TarError for what is not a whole tar.

    No bytes at all are an empty tar: some builders write empty layers so.
    """
    reader = _Reader(stream)
    while (block := reader.block()) is not None:
        yield reader.member(block)


class _Reader:
    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._at = 0
        self._owners: dict[bytes, tuple[int, int, int]] = {}  # mode, uid and gid are few: each is read once
        self._times: dict[bytes, int] = {}

    def block(self) -> bytes | None:
        """The next header block; None at the end of the archive."""
        self._stream.seek(self._at)
        block = self._stream.read(BLOCK)
        if block == ZEROS:
            if self._stream.read(BLOCK).strip(b"\0"):
                raise TarError(f"something stands behind its end, at byte {self._at}")
            return None
        if not block:
            self._check_end()
            return None
        if len(block) < BLOCK:
            raise TarError("cut short")
        if not _sum_fits(block):
            raise TarError(f"broken header at byte {self._at}")
        self._at += BLOCK
        return block

    def _check_end(self) -> None:
        """Raise where the content of the last member is not there."""
        if self._at:
            self._stream.seek(self._at - 1)
            if not self._stream.read(1):
                raise TarError("cut short")

    def member(self, block: bytes) -> Header:
        """The member whose first header is BLOCK."""
        records: Records = {}
        while (flag := block[156:157]) in _LONG or flag in _PAX or flag == _GLOBAL:
            content = self._extra(block)
            if flag in _LONG:
                records[_LONG[flag]] = content.partition(b"\0")[0]
            elif flag in _PAX:
                records |= _records(content)
            following = self.block()
            if following is None:
                raise TarError("cut short")
            block = following
        return self._header(block, records)

    def _extra(self, block: bytes) -> bytes:
        size = _number(block[124:136])
        if not 0 <= size <= EXTRA_LIMIT:
            raise TarError(f"an extended header of {size} bytes at byte {self._at}")
        self._stream.seek(self._at)
        content = self._stream.read(size)
        if len(content) < size:
            raise TarError("cut short")
        self._at += _padded(size)
        return content

    def _header(self, block: bytes, records: Records) -> Header:
        name = records.get(b"path") or _name(block)
        kind = _KINDS.get(block[156:157])
        if kind is None:
            raise TarError(f"{_shown(name)} is of the unknown type {ascii(block[156:157])[1:]}")
        if kind == "file" and block[156:157] == b"\0" and name.endswith(b"/"):
            kind = "folder"
        size = _size(block, records) if kind == "file" else 0
        offset = self._at
        self._at += _padded(size)
        mode, uid, gid = self._owner(block[100:124])
        header = Header(
            name=_text(name),
            kind=kind,
            size=size,
            offset=offset,
            mode=mode,
            uid=uid,
            gid=gid,
            mtime=self._time(block[136:148]),
            target=_text(records.get(b"linkpath") or block[157:257].partition(b"\0")[0]) if kind in _TARGETED else "",
            xattrs=(),
            device=(_natural(block[329:337]), _natural(block[337:345])) if kind in _DEVICES else (0, 0),
        )
        if records:
            _apply(header, records)
        return header

    def _owner(self, field: bytes) -> tuple[int, int, int]:
        known = self._owners.get(field)
        if known is None:
            known = (_number(field[:8]) & 0o7777, _natural(field[8:16]), _natural(field[16:]))
            self._owners[field] = known
        return known

    def _time(self, field: bytes) -> int:
        known = self._times.get(field)
        if known is None:
            known = self._times[field] = _number(field)
        return known


_TARGETED = ("link", "hard")
_DEVICES = ("char", "block")


def _sum_fits(block: bytes) -> bool:
    """Whether the header has the checksum that it says. Adler-32's lower half is a sum of bytes (modulo 65521),
    and 15 times faster than one in Python."""
    field = block[148:156]
    said = _number(field)
    if zlib.adler32(block) & 0xFFFF == (said + sum(field) - 8 * 32 + 1) % 65521:
        return True
    rest = block[:148] + b" " * 8 + block[156:]
    return said == sum(rest) - 256 * sum(byte > 127 for byte in rest)  # old programs added signed bytes


def _number(field: bytes) -> int:
    """A number field: octal digits, or with the first bit set GNU's binary."""
    if field[0] in (0x80, 0xFF):
        return int.from_bytes(field[1:], "big") - (256 ** (len(field) - 1) if field[0] == 0xFF else 0)
    digits = field.partition(b"\0")[0].strip()
    if not digits:
        return 0
    if digits.strip(b"01234567"):
        raise TarError(f"{ascii(digits)[1:]} stands for a number")
    return int(digits, 8)


def _natural(field: bytes) -> int:
    return _checked(_number(field))


def _checked(number: int) -> int:
    if not 0 <= number < 1 << 32:
        raise TarError(f"{number} stands for an owner or device")
    return number


def _decimal(value: bytes) -> int:
    found = _DECIMAL.match(value)
    if found is None:
        raise TarError(f"{ascii(value[:40])[1:]} stands for a number")
    return int(found[1])


def _size(block: bytes, records: Records) -> int:
    said = records.get(b"size")
    size = _decimal(said) if said else _number(block[124:136])
    if not 0 <= size < MOST:
        raise TarError(f"a file of {size} bytes")
    return size


def _padded(size: int) -> int:
    return (size + BLOCK - 1) // BLOCK * BLOCK


def _name(block: bytes) -> bytes:
    name = block[:100].partition(b"\0")[0]
    if block[257:263] == b"ustar\0":  # GNU's has other things there
        prefix = block[345 : 476 if block[508:512] == b"tar\0" else 500].partition(b"\0")[0]
        return prefix + b"/" + name if prefix else name
    return name


def _text(name: bytes) -> str:
    if len(name) > NAME_LIMIT or b"\0" in name:
        raise TarError(f"{_shown(name)}… is no name of a file")
    return name.decode("utf-8", "surrogateescape")


def _records(content: bytes) -> Records:
    """The records of a pax header, each "LENGTH KEY=VALUE\\n"."""
    records: Records = {}
    at = 0
    while at < len(content):
        space = content.find(b" ", at, at + 12)
        length = content[at : max(space, at)]
        if not length.isdigit():
            raise TarError("broken extended header")
        end = at + int(length)
        key, equals, value = content[space + 1 : end - 1].partition(b"=")
        if not equals or end > len(content) or content[end - 1 : end] != b"\n":
            raise TarError("broken extended header")
        records[key] = value
        at = end
    return records


def _apply(header: Header, records: Records) -> None:
    xattrs: dict[str, bytes] = {}
    for key, value in records.items():
        if key == b"mtime" and value:
            header.mtime = _decimal(value)
        elif key in (b"uid", b"gid") and value:
            setattr(header, key.decode(), _checked(_decimal(value)))
        elif key.startswith(_XATTR):
            xattrs[_text(key[len(_XATTR) :])] = value
        elif key.startswith(_XATTR_CODED):
            xattrs.setdefault(_text(unquote_to_bytes(key[len(_XATTR_CODED) :])), _base64(value))
        elif key.startswith(b"GNU.sparse."):
            raise TarError(f"{_shown(header.name.encode('utf-8', 'surrogateescape'))} is a sparse file")
    if xattrs:
        header.xattrs = tuple(sorted(xattrs.items()))


def _base64(value: bytes) -> bytes:
    try:
        return base64.b64decode(value + b"=" * (-len(value) % 4), validate=True)
    except binascii.Error as error:
        raise TarError("broken extended attribute") from error


def _shown(name: bytes) -> str:
    return ascii(name[:80])[1:]
