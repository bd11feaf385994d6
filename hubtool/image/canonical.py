"""Layers as tar streams that depend on nothing but the files in them: equal files, equal bytes.

Entries stand in the order of their names' bytes; owners are numbers; times are what ``Times`` gives. The format is
ustar, with a pax header (POSIX.1-2017, pax) only before an entry that does not fit into it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from hubtool.errors import HubtoolError
from hubtool.image.files import Entry, ImageFiles
from hubtool.image.inflate import PIECE
from hubtool.image.pack import Writer
from hubtool.image.times import HEAD, Times

BLOCK = 512
END = bytes(2 * BLOCK)
PAX_NAME = b"././@PaxHeader"

_HEADER = struct.Struct("100s48s8sc100s8s64x16s155s12x")
_TYPES = {"file": b"0", "link": b"2", "char": b"3", "block": b"4", "folder": b"5", "fifo": b"6"}
_HARD_LINK = b"1"
_TOO_LARGE = {b"uid": 8**7, b"gid": 8**7, b"size": 8**11, b"mtime": 8**11}  # for the octal digits of its field


@dataclass(frozen=True, slots=True)
class Member:
    """An entry of a layer; ``link`` is the member before it that it is one file with, "" for a file of its own."""

    entry: Entry
    link: str = ""


def members_of(entries: Iterable[Entry]) -> list[Member]:
    """ENTRIES in the order of a canonical layer; of the names of one file the first is the file."""
    first: dict[str, str] = {}
    found = []
    for entry in sorted(entries, key=lambda entry: _bytes(entry.path)):
        same = first.setdefault(entry.twin or entry.path, entry.path)
        found.append(Member(entry, "" if same == entry.path else same))
    return found


def write_tar(files: ImageFiles, members: Sequence[Member], times: Times, out: Writer) -> None:
    """Write MEMBERS of FILES as a tar; raises HubtoolError where a content is shorter than it should be."""
    waiting: list[bytes] = []
    size = 0
    for piece in _pieces(files, members, times):
        waiting.append(piece)
        size += len(piece)
        if size >= PIECE:
            out.write(b"".join(waiting))
            waiting, size = [], 0
    out.write(b"".join([*waiting, END]))


def _pieces(files: ImageFiles, members: Sequence[Member], times: Times) -> Iterator[bytes]:
    for member in members:
        entry = member.entry
        yield _headers(member, times.of(entry.path))
        if entry.kind == "file" and not member.link:
            yield from _content(files, entry, times)
            yield bytes(-entry.size % BLOCK)


def _content(files: ImageFiles, entry: Entry, times: Times) -> Iterator[bytes]:
    left = entry.size
    if not left:
        return
    with files.open(entry) as stream:
        head = stream.read(min(left, HEAD))
        yield times.head(entry, head)
        left -= len(head)
        while left and (piece := stream.read(min(left, PIECE))):
            yield piece
            left -= len(piece)
    if left:
        raise HubtoolError(f"the image's file {entry.path!a} is cut short", hint="build or save the image again")


def _headers(member: Member, time: int) -> bytes:
    """The header of MEMBER, with the pax header that it may need."""
    entry = member.entry
    size = entry.size if entry.kind == "file" and not member.link else 0
    path = _bytes(entry.path) + (b"/" if entry.kind == "folder" else b"")
    prefix, name = _split(path or b"./")
    target = _bytes(member.link or entry.target)
    numbers = {b"uid": entry.uid, b"gid": entry.gid, b"size": size, b"mtime": time}
    records = {key: b"%d" % number for key, number in numbers.items() if number >= _TOO_LARGE[key]}
    # On further names of a file too: unpacking sets their owner, which takes the file's capabilities away.
    records.update((b"SCHILY.xattr." + _bytes(key), value) for key, value in entry.xattrs)
    if len(name) > 100:
        records[b"path"] = path
    if len(target) > 100:
        records[b"linkpath"] = target
    fields = [0 if key in records else number for key, number in numbers.items()]
    kind = _HARD_LINK if member.link else _TYPES[entry.kind]
    return _pax(records) + _header(name, kind, entry.mode, fields, target, entry.device, prefix)


def _split(path: bytes) -> tuple[bytes, bytes]:
    """PATH as ustar's prefix and name; a name of more than 100 bytes where there is no way to split it."""
    if len(path) > 100:
        cut = path.rfind(b"/", 0, min(156, len(path) - 1))
        if cut > 0 and len(path) - cut - 1 <= 100:
            return path[:cut], path[cut + 1 :]
    return b"", path


def _pax(records: dict[bytes, bytes]) -> bytes:
    if not records:
        return b""
    if not all(_is_utf8(records.get(key, b"")) for key in (b"path", b"linkpath")):
        records[b"hdrcharset"] = b"BINARY"
    data = b"".join(_record(key, value) for key, value in sorted(records.items()))
    return _header(PAX_NAME, b"x", 0o644, (0, 0, len(data), 0)) + data + bytes(-len(data) % BLOCK)


def _record(key: bytes, value: bytes) -> bytes:
    """A record of a pax header; the length that it begins with counts its own digits."""
    rest = b" %s=%s\n" % (key, value)
    length = len(rest)
    while length != (whole := len(rest) + len(str(length))):
        length = whole
    return b"%d%s" % (length, rest)


def _header(
    name: bytes,
    kind: bytes,
    mode: int,
    numbers: Sequence[int],
    target: bytes = b"",
    device: tuple[int, int] = (0, 0),
    prefix: bytes = b"",
) -> bytes:
    """A ustar header; NUMBERS are uid, gid, size and time. What is too long for its field is cut."""
    fields = (b"%07o\0%07o\0%07o\0%011o\0%011o\0" % (mode & 0o7777, *numbers), b" " * 8)
    rest = (kind, target, b"ustar\x0000", b"%07o\0%07o\0" % device, prefix)
    header = _HEADER.pack(name, *fields, *rest)
    return b"%s%06o\0 %s" % (header[:148], sum(header), header[156:])


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
