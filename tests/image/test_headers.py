"""The reader of tar headers beside Python's tarfile, GNU tar and what is broken."""

from __future__ import annotations

import base64
import io
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubtool.image.headers import Header, TarError, read_headers

KINDS = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.CONTTYPE: "file",
    tarfile.LNKTYPE: "hard",
    tarfile.SYMTYPE: "link",
    tarfile.CHRTYPE: "char",
    tarfile.BLKTYPE: "block",
    tarfile.DIRTYPE: "folder",
    tarfile.FIFOTYPE: "fifo",
}


def members(data: bytes) -> list[Header]:
    return list(read_headers(io.BytesIO(data)))


def without_slashes(headers: Iterable[Header]) -> list[Header]:
    """HEADERS with names as tarfile gives them, without the slash that folders' end in."""
    return [replace(header, name=header.name.rstrip("/")) for header in headers]


def by_tarfile(data: bytes) -> Iterator[Header]:
    with tarfile.open(fileobj=io.BytesIO(data), encoding="utf-8", errors="surrogateescape") as tar:
        for info in tar:
            xattrs = {
                key.removeprefix("SCHILY.xattr."): value.encode("utf-8", "surrogateescape")
                for key, value in info.pax_headers.items()
                if key.startswith("SCHILY.xattr.")
            }
            yield Header(
                info.name,
                KINDS[info.type],  # type: ignore[arg-type]
                info.size if info.isreg() else 0,
                info.offset_data,
                info.mode,
                info.uid,
                info.gid,
                int(info.mtime),
                info.linkname if info.issym() or info.islnk() else "",
                tuple(sorted(xattrs.items())),
                (info.devmajor, info.devminor) if info.ischr() or info.isblk() else (0, 0),
            )


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=40)
BYTES = st.binary(min_size=1, max_size=20).map(lambda raw: raw.replace(b"\0", b"x").replace(b"/", b"y"))
ODD = TEXT | BYTES.map(lambda raw: raw.decode("utf-8", "surrogateescape"))
NAMES = st.lists(ODD, min_size=1, max_size=9).map("/".join)
XATTRS = st.dictionaries(
    TEXT.filter(lambda key: "=" not in key).map(lambda key: f"SCHILY.xattr.user.{key}"), TEXT, max_size=3
)


@st.composite
def infos(draw: st.DrawFn, pax: bool) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(draw(NAMES))
    # Of a long name in an old header, tarfile takes the first 100 bytes to see whether it ends as a folder's does.
    info.type = draw(st.sampled_from(sorted(KINDS.keys() - {tarfile.AREGTYPE})))
    info.mode = draw(st.integers(0, 0o7777))
    info.uid, info.gid = draw(st.integers(0, 2**32 - 1)), draw(st.integers(0, 2**21))
    info.mtime = draw(st.integers(0, 2**33) | (st.floats(0.01, 2e9) if pax else st.just(0)))
    if info.type in (tarfile.SYMTYPE, tarfile.LNKTYPE):
        info.linkname = draw(NAMES)
    if info.type in (tarfile.CHRTYPE, tarfile.BLKTYPE):
        info.devmajor, info.devminor = draw(st.integers(0, 2**20)), draw(st.integers(0, 2**20))
    if pax:
        info.pax_headers = draw(XATTRS)
    content = draw(st.binary(max_size=1200)) if info.isreg() else b""
    info.size = len(content)
    return info, content


Form = Literal[0, 1, 2]
FORMATS = st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_archive_reads_as_tarfile_reads_it(data: st.DataObject) -> None:
    form = data.draw(FORMATS)
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form, encoding="utf-8", errors="surrogateescape") as tar:
        for info, content in data.draw(st.lists(infos(form == tarfile.PAX_FORMAT), max_size=5)):
            tar.addfile(info, io.BytesIO(content))
    found = without_slashes(members(stream.getvalue()))
    assert found == without_slashes(by_tarfile(stream.getvalue()))


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_flipped_bytes_are_an_error_or_read_as_tarfile_reads_them(data: st.DataObject) -> None:
    content = bytearray(SAMPLE)
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with suppress(TarError):
        found = members(bytes(content))
        assert [header.offset for header in found] == [header.offset for header in by_tarfile(bytes(content))]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=3000) | st.binary(min_size=512, max_size=512).map(lambda block: summed(block) + bytes(1024)))
def test_any_bytes_are_an_error_or_members(data: bytes) -> None:
    with suppress(TarError):
        assert len(members(data)) <= len(data) // 512


def summed(block: bytes) -> bytes:
    """BLOCK with the checksum that it should have."""
    return block[:148] + b"%06o\0 " % (sum(block[:148]) + sum(block[156:512]) + 256) + block[156:]


def member(
    name: str = "a", content: bytes = b"", form: Literal[0, 1, 2] = tarfile.PAX_FORMAT, **header: object
) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in header.items():
        setattr(info, key, value)
    return info.tobuf(form, "utf-8", "surrogateescape") + content + bytes(-len(content) % 512)


SAMPLE = (
    member("a", b"1" * 700)
    + member("long/" * 40, type=tarfile.DIRTYPE, mode=0o1777)
    + member("b", linkname="long/" * 40, type=tarfile.SYMTYPE, form=tarfile.GNU_FORMAT)
    + member("c", b"2", pax_headers={"SCHILY.xattr.user.x": "1", "mtime": "17.5"})
    + bytes(1024)
)


def test_an_archive_cut_anywhere_is_an_error_but_between_two_members() -> None:
    whole = members(SAMPLE)
    ends = {0, *((header.offset + header.size + 511) // 512 * 512 for header in whole)}
    for length in range(len(SAMPLE) - 1024):
        if length in ends:
            assert members(SAMPLE[:length]) == whole[: len(members(SAMPLE[:length]))]
        else:
            with pytest.raises(TarError, match=r"cut short|broken header|behind its end"):
                members(SAMPLE[:length])


def pax(records: bytes) -> bytes:
    return member("x", records, type=b"x")


def record(key: bytes, value: bytes) -> bytes:
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest) + 1
    while len(b"%d" % length) + len(rest) != length:
        length = len(b"%d" % length) + len(rest)
    return b"%d" % length + rest


def only(data: bytes) -> Header:
    (found,) = members(data + bytes(1024))
    return found


def test_extended_attributes_are_bytes_under_either_name() -> None:
    raw = bytes(range(256)) + b"\n="
    libarchive = record(b"LIBARCHIVE.xattr.user.%C3%A9%3D", base64.b64encode(b"two").rstrip(b"="))
    both = record(b"LIBARCHIVE.xattr.user.b", base64.b64encode(b"no")) + record(b"SCHILY.xattr.user.b", b"yes")
    found = only(pax(record(b"SCHILY.xattr.security.capability", raw) + libarchive + both) + member())
    assert found.xattrs == (("security.capability", raw), ("user.b", b"yes"), ("user.é=", b"two"))


def test_pax_says_more_than_the_header_and_nothing_where_it_is_empty() -> None:
    said = {
        b"path": b"caf\xe9",
        b"uid": b"4000000000",
        b"gid": b"7",
        b"mtime": b"-3.9",
        b"size": b"600",
        b"comment": b"x",
    }
    data = pax(b"".join(record(key, value) for key, value in said.items())) + member("a") + bytes(1024)
    found = only(data)
    assert (found.name, found.uid, found.gid, found.mtime, found.size) == ("caf\udce9", 4000000000, 7, -3, 600)
    found = only(pax(b"".join(record(key, b"") for key in said)) + member("a", b"1", uid=5, mtime=8))
    assert (found.name, found.uid, found.mtime, found.size) == ("a", 5, 8, 1)


def test_several_headers_of_one_member_add_up() -> None:
    long = member("L", b"long\0", type=b"L")
    assert only(long + pax(record(b"uid", b"7")) + pax(record(b"mtime", b"8")) + member()).uid == 7
    assert only(long + pax(record(b"uid", b"7")) + member()).name == "long"


def test_a_mode_is_no_more_than_permissions() -> None:
    assert only(broken(100, b"0104755\0")[:512]).mode == 0o4755


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
def test_only_files_have_content_whatever_size_others_say(kind: bytes) -> None:
    sized = broken(124, b"00000000700\0", member("b", type=kind, linkname="a"))[:512]
    assert [(header.name.rstrip("/"), header.size) for header in members(sized + member("c", b"1"))] == [
        ("b", 0),
        ("c", 1),
    ]


def test_headers_for_all_members_say_nothing_as_with_engines() -> None:
    found = only(member("x", record(b"path", b"other"), type=b"g") + member("a"))
    assert found.name == "a"


def test_a_long_name_in_an_old_header_tells_by_its_end_whether_it_is_a_folders() -> None:
    for end, kind in (("/x", "file"), ("x/", "folder")):
        found = only(member("d" * 99 + end, type=tarfile.AREGTYPE, form=tarfile.GNU_FORMAT))
        assert found.kind == kind


def test_old_headers_are_read() -> None:
    plain = bytearray(member("d/", form=tarfile.USTAR_FORMAT))
    plain[156:157], plain[257:265] = b"\0", bytes(8)
    assert only(summed(bytes(plain))).kind == "folder"
    signed = bytearray(member("caf\udce9", form=tarfile.GNU_FORMAT))
    signed[148:156] = b"%06o\0 " % (int(signed[148:154], 8) - 256)
    assert only(bytes(signed)).name == "caf\udce9"
    star = bytearray(member("a", form=tarfile.USTAR_FORMAT))
    star[345:348], star[476:488], star[508:512] = b"dir", b"00000000001 ", b"tar\0"
    assert only(summed(bytes(star))).name == "dir/a"


def broken(where: int, what: bytes, base: bytes = b"") -> bytes:
    block = bytearray(base or member("a"))
    block[where : where + len(what)] = what
    return summed(bytes(block)) + bytes(1024)


BROKEN: dict[str, tuple[bytes, str]] = {
    "a type that nobody knows": (broken(156, b"Q"), "unknown type 'Q'"),
    "GNU's sparse file": (broken(156, b"S"), "unknown type 'S'"),
    "pax's sparse file": (pax(record(b"GNU.sparse.major", b"1")) + member() + bytes(1024), "'a' is a sparse file"),
    "a size that is no number": (broken(124, b"0x1\0"), "stands for a number"),
    "a size in decimal": (broken(124, b"89\0"), "'89' stands for a number"),
    "a size with a sign": (broken(124, b"-1\0"), "stands for a number"),
    "a size below zero": (broken(124, b"\xff" * 12), "a file of -1 bytes"),
    "a size without end": (broken(124, b"\x80" + b"\xff" * 11), "a file of"),
    "a size that goes beyond the archive": (broken(124, b"\x80" + bytes(7) + b"\xff" * 4), "cut short"),
    "an owner below zero": (broken(108, b"\xff" * 8), "-1 stands for an owner"),
    "an owner that is no number": (broken(108, b"root\0"), "stands for a number"),
    "a pax size below zero": (pax(record(b"size", b"-1")) + member() + bytes(1024), "a file of -1 bytes"),
    "a pax size that is a word": (pax(record(b"size", b"1e3")) + member() + bytes(1024), "stands for a number"),
    "a pax size of many digits": (pax(record(b"size", b"1" * 5000)) + member() + bytes(1024), "stands for a number"),
    "a pax time that is none": (pax(record(b"mtime", b"nan")) + member() + bytes(1024), "stands for a number"),
    "a pax time without digits": (pax(record(b"mtime", b"-")) + member() + bytes(1024), "stands for a number"),
    "a pax time that is a fraction": (pax(record(b"mtime", b".5")) + member() + bytes(1024), "stands for a number"),
    "a pax time with an exponent": (pax(record(b"mtime", b"1.5e-05")) + member() + bytes(1024), "stands for a number"),
    "a pax owner below zero": (pax(record(b"uid", b"-5")) + member() + bytes(1024), "-5 stands for an owner"),
    "a pax record too long": (pax(b"99 path=x\n") + member() + bytes(1024), "broken extended header"),
    "a pax record of no length": (pax(b"0 path=x\n") + member() + bytes(1024), "broken extended header"),
    "a pax record without a length": (pax(b" path=x\n") + member() + bytes(1024), "broken extended header"),
    "a pax record without an end": (pax(b"9 path=xy") + member() + bytes(1024), "broken extended header"),
    "a pax record without a value": (pax(b"7 path\n") + member() + bytes(1024), "broken extended header"),
    "a pax name with a zero byte": (pax(record(b"path", b"a\0b")) + member() + bytes(1024), "no name of a file"),
    "a name too long": (member("d" * 5000) + bytes(1024), "no name of a file"),
    "a coded attribute that is none": (
        pax(record(b"LIBARCHIVE.xattr.a", b"\xff")) + member() + bytes(1024),
        "broken extended attribute",
    ),
    "a pax header too large": (
        pax(record(b"a", b"x" * 2_000_000)) + member() + bytes(1024),
        "header of 20000.. ",
    ),
    "a pax header for nothing": (pax(record(b"path", b"x")) + bytes(1024), "cut short"),
    "a long name for nothing": (member("L", b"name\0", type=b"L") + bytes(1024), "cut short"),
    "more behind the end": (member() + bytes(512) + member() + bytes(1024), "behind its end"),
}


@pytest.mark.parametrize(("data", "said"), BROKEN.values(), ids=BROKEN.keys())
def test_what_is_broken_is_an_error(data: bytes, said: str) -> None:
    with pytest.raises(TarError, match=said):
        members(data)


def test_many_headers_for_one_member_end() -> None:
    started = time.monotonic()
    found = only(pax(record(b"path", b"x")) * 20_000 + member())
    assert found.name == "x"
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("form", ["v7", "ustar", "gnu", "oldgnu", "posix"])
def test_what_gnu_tar_writes_is_read(tmp_path: Path, form: str) -> None:
    tree = tmp_path / "tree"
    (tree / "folder").mkdir(parents=True)
    (tree / "folder" / "file").write_bytes(b"1" * 700)
    (tree / "link").symlink_to("folder/file")
    os.link(tree / "folder" / "file", tree / "twin")
    os.mkfifo(tree / "pipe")
    deep = tree.joinpath(*["d" * 60] * (3 if form in ("gnu", "oldgnu", "posix") else 1))
    deep.mkdir(parents=True)
    (deep / "caf\udce9").write_bytes(b"2")
    tar = shutil.which("tar")
    assert tar is not None
    skip = ["--exclude=pipe"] if form == "v7" else []
    subprocess.run([tar, "--format", form, *skip, "-cf", tmp_path / "a.tar", "-C", tree, "."], check=True)
    data = (tmp_path / "a.tar").read_bytes()
    normal = [(header.name.rstrip("/"), header.kind, header.size, header.offset) for header in members(data)]
    assert normal == [(header.name.rstrip("/"), header.kind, header.size, header.offset) for header in by_tarfile(data)]
    assert len(normal) >= 7
