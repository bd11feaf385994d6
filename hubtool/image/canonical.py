"""Layers as tar streams that depend on nothing but the files in them: equal files, equal bytes.

Entries stand in the order of their names' bytes; owners are numbers; times are what ``Times`` gives. The format is
ustar, with a pax header (POSIX.1-2017, pax) only before an entry that does not fit into it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from hubtool.image.files import Entry, ImageFiles
from hubtool.image.pack import Writer
from hubtool.image.times import HEAD, Times

BLOCK = 512
END = bytes(2 * BLOCK)
AT_ONCE = 4 * 1024 * 1024  # bytes that are read, and written, at once
GAP = 64 * 1024  # bytes that are read for nothing rather than reading twice
PAX_NAME = b"././@PaxHeader"

_HEADER = struct.Struct("100s48s8sc100s8s64x16s155s12x")
_TYPES = {"file": b"0", "link": b"2", "char": b"3", "block": b"4", "folder": b"5", "fifo": b"6"}
_HARD_LINK = b"1"
_TOO_LARGE = {b"uid": 8**7, b"gid": 8**7, b"size": 8**11, b"mtime": 8**11}  # for the octal digits of its field


Piece = bytes | memoryview


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
    """Write MEMBERS of FILES as a tar; raises HubtoolError where a content is not whole."""
    waiting: list[Piece] = []
    size = 0
    for piece in _pieces(files, members, times):
        waiting.append(piece)
        size += len(piece)
        if size >= AT_ONCE:
            out.write(b"".join(waiting))
            waiting, size = [], 0
    out.write(b"".join([*waiting, END]))


def _pieces(files: ImageFiles, members: Sequence[Member], times: Times) -> Iterator[Piece]:
    contents = _contents(files, [member.entry for member in members if _has_content(member)])
    for member in members:
        entry = member.entry
        yield _headers(member, times.of(entry.path))
        if _has_content(member):
            pieces = iter(next(contents))
            first = next(pieces)
            yield times.head(entry, bytes(first[:HEAD]))
            yield first[HEAD:]
            yield from pieces
            yield bytes(-entry.size % BLOCK)


def _has_content(member: Member) -> bool:
    return member.entry.kind == "file" and member.entry.size > 0 and not member.link


def _contents(files: ImageFiles, entries: Sequence[Entry]) -> Iterator[Iterable[Piece]]:
    """The content of each of ENTRIES, in pieces, the first of them not empty."""
    for span in _spans(entries):
        first, last = span[0], span[-1]
        if len(span) == 1:
            yield _large(files, first)
            continue
        whole = replace(first, size=last.offset + last.size - first.offset)
        data = memoryview(files.read(whole, whole.size))
        for entry in span:
            start = entry.offset - first.offset
            yield (data[start : start + entry.size],)


def _spans(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """ENTRIES by what is read at once: reading file by file, threads would wait for each other most of the time."""
    span: list[Entry] = []
    for entry in entries:
        if span and not _is_next(span, entry):
            yield span
            span = []
        span.append(entry)
    if span:
        yield span


def _is_next(span: Sequence[Entry], entry: Entry) -> bool:
    first, last = span[0], span[-1]
    gap = entry.offset - last.offset - last.size
    return entry.layer == first.layer and 0 <= gap <= GAP and entry.offset + entry.size - first.offset <= AT_ONCE


def _large(files: ImageFiles, entry: Entry) -> Iterator[bytes]:
    with files.open(entry) as stream:
        while piece := stream.read(AT_ONCE):
            yield piece


def _headers(member: Member, time: int) -> bytes:
    """The header of MEMBER, with the pax header that it may need."""
    entry = member.entry
    size = entry.size if entry.kind == "file" and not member.link else 0
    path = _bytes(entry.path or ".") + (b"/" if entry.kind == "folder" else b"")
    prefix, name = _split(path)
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
    major, minor = (number % 8**7 for number in device)  # Linux has none as large
    rest = (kind, target, b"ustar\x0000", b"%07o\0%07o\0" % (major, minor), prefix)
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
