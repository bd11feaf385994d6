"""Canonical layers, read back by Python's tarfile, which wrote none of them."""

from __future__ import annotations

import functools
import io
import os
import tarfile
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubtool.errors import HubtoolError
from hubtool.image import canonical as canonical_module
from hubtool.image.canonical import Member, _headers, members_of, write_tar
from hubtool.image.files import Entry, ImageFiles
from hubtool.image.times import CREATED, Times
from hubtool.image.tree import WHITEOUT
from tests.image.layers import image_of, image_with, member


def canonical(files: ImageFiles) -> bytes:
    out = io.BytesIO()
    write_tar(files, members_of(files.visible.values()), Times(files), out)
    return out.getvalue()


def read(tar: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(tar), errors="surrogateescape") as opened:
        return {found.name: found for found in opened}


text_names = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=60)
byte_names = st.binary(min_size=1, max_size=60).map(
    lambda data: data.replace(b"/", b"_").replace(b"\0", b"_").decode("utf-8", "surrogateescape")
)
# A name with WHITEOUT hides another file, or none, which is an error.
names = (text_names | byte_names).filter(lambda name: name not in (".", "..") and WHITEOUT not in name)
paths = st.lists(names, min_size=1, max_size=6).map("/".join)
kinds = st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
keys = st.sampled_from(["user.a", "user.é", "security.capability"])
xattrs = st.dictionaries(keys, st.binary(max_size=20), max_size=2)


@st.composite
def infos(draw: st.DrawFn) -> tarfile.TarInfo:
    pax = {f"SCHILY.xattr.{key}": value.decode("utf-8", "surrogateescape") for key, value in draw(xattrs).items()}
    kind = draw(kinds)
    return member(
        draw(paths),
        kind,
        mode=draw(st.integers(0, 0o7777)),
        uid=draw(st.integers(0, 2**32 - 1)),
        gid=draw(st.integers(0, 2**32 - 1)),
        mtime=draw(st.integers(0, 2**33)),
        linkname=draw(paths) if kind == tarfile.SYMTYPE else "",
        devmajor=draw(st.integers(0, 4095)) if kind == tarfile.CHRTYPE else 0,
        devminor=draw(st.integers(0, 255)) if kind == tarfile.CHRTYPE else 0,
        pax_headers=pax,
    )


def metadata(entry: Entry) -> tuple[object, ...]:
    return entry.kind, entry.mode, entry.uid, entry.gid, entry.target, entry.xattrs, entry.device, entry.size


def again(tar: bytes) -> ImageFiles:
    return ImageFiles([functools.partial(io.BytesIO, tar)])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(infos(), st.binary(max_size=2000)), max_size=8, unique_by=lambda item: item[0].name))
def test_any_files_come_through_whole_and_as_the_same_bytes_every_time(
    items: list[tuple[tarfile.TarInfo, bytes]],
) -> None:
    files = image_of((info, content if info.isreg() else b"") for info, content in items)
    tar = canonical(files)
    after = again(tar)
    assert {path: metadata(entry) for path, entry in after.visible.items()} == {
        path: metadata(entry) for path, entry in files.visible.items()
    }
    for path, entry in files.visible.items():
        assert after.read(after.visible[path], 10_000) == files.read(entry, 10_000)
    assert canonical(after) == tar
    found = read(tar)
    assert [name.rstrip("/") for name in found] == sorted(
        files.visible, key=lambda path: path.encode("utf-8", "surrogateescape")
    )
    for path, entry in files.visible.items():
        info = found[path]
        assert (info.mode, info.uid, info.gid, info.linkname) == (entry.mode, entry.uid, entry.gid, entry.target)


def test_order_times_owner_names_and_format_of_the_source_do_not_matter() -> None:
    def one(order: int, time: int, owner: str, form: int) -> ImageFiles:
        stream = io.BytesIO()
        infos = [
            member("d", tarfile.DIRTYPE),
            member("d/a" * 40),
            member("b"),
            member("c", tarfile.SYMTYPE, linkname="b"),
        ]
        with tarfile.open(fileobj=stream, mode="w", format=form) as tar:
            for info in infos[::order]:
                info.mtime, info.uname, info.gname = time, owner, owner
                info.size = 3 if info.isreg() else 0
                tar.addfile(info, io.BytesIO(b"abc"))
        return again(stream.getvalue())

    first = canonical(one(1, 5, "root", tarfile.GNU_FORMAT))
    assert first == canonical(one(-1, 1_700_000_000, "", tarfile.PAX_FORMAT))
    assert {(info.mtime, info.uname, info.gname) for info in read(first).values()} == {(CREATED, "", "")}


def test_entries_stand_in_the_order_of_their_bytes() -> None:
    found = list(read(canonical(image_with(dict.fromkeys(["\udcff", "\uffff", "a-b", "a/", "a/c", "b"], b"")))))
    assert found == ["a", "a-b", "a/c", "b", "\uffff", "\udcff"]


def test_the_root_folder_has_its_place_too() -> None:
    files = image_of([(member("a"), b""), (member("./", tarfile.DIRTYPE, mode=0o700), b"")])
    assert [(info.name, info.mode) for info in read(canonical(files)).values()] == [(".", 0o700), ("a", 0o644)]
    assert metadata(again(canonical(files)).visible[""]) == metadata(files.visible[""])


def test_names_of_one_file_are_links_to_the_first_and_all_have_its_attributes() -> None:
    shared: dict[str, Any] = {"mode": 0o4755, "pax_headers": {"SCHILY.xattr.security.capability": "\x01"}}
    links = [(member(name, tarfile.LNKTYPE, linkname="z"), b"") for name in ("a", "m/" + "x" * 120)]
    files = image_of([(member("z", **shared), b"content"), *links])
    found = {name: info for name, info in read(canonical(files)).items() if not info.isdir()}
    assert found["a"].isreg()
    assert {name: (info.linkname, info.size) for name, info in found.items() if info.islnk()} == {
        "z": ("a", 0),
        "m/" + "x" * 120: ("a", 0),
    }
    assert {info.mode for info in found.values()} == {0o4755}
    assert {info.pax_headers["SCHILY.xattr.security.capability"] for info in found.values()} == {"\x01"}


@pytest.mark.parametrize("length", [99, 100, 101, 155, 156, 157, 254, 255, 256, 257, 300])
@pytest.mark.parametrize("cut", [1, 50, 98, 100, 101, 150, 155, 156])
def test_names_of_every_length_come_back_whole(length: int, cut: int) -> None:
    name = "".join("/" if number == cut < length - 1 else "x" for number in range(length))
    found = read(canonical(image_with({name: b"1", f"{name[:-1]}y/d/": b""})))
    assert set(found) >= {name, f"{name[:-1]}y/d"}


def test_numbers_too_large_for_the_old_format_come_back_whole() -> None:
    header = canonical(image_with({"a": b""}, uid=2**21, gid=2**31))
    found = read(header)["a"]
    assert (found.uid, found.gid) == (2**21, 2**31)
    assert len(canonical(image_with({"a": b""}, uid=2**21 - 1))) == 3 * 512  # no pax header


def test_a_device_that_no_kernel_has_breaks_no_header() -> None:
    headers = _headers(Member(Entry("null", "char", 0, 0, 0, 0o666, 0, 0, device=(2**32 - 1, 8**7 + 3))), CREATED)
    info = tarfile.TarInfo.frombuf(headers, "utf-8", "strict")
    assert (info.name, info.ischr(), info.devminor) == ("null", True, 3)


def test_a_file_of_more_than_eight_gigabytes_has_its_size_in_a_pax_header() -> None:
    entry = Entry("big", "file", 0, 8 * 1024**3, 512, 0o644, 0, 0)
    headers = _headers(Member(entry), CREATED)
    assert headers[512:1024].rstrip(b"\0") == b"19 size=8589934592\n"
    with tarfile.open(fileobj=io.BytesIO(headers)) as tar:
        found = tar.next()
    assert found is not None
    assert found.size == entry.size


@pytest.mark.parametrize("paths", [["a"], ["a", "b"]])
def test_a_source_that_ends_early_is_an_error_and_no_short_layer(paths: list[str]) -> None:
    files = image_with({"a": b"x" * 5000})
    start = files.visible["a"].offset
    entries = [Entry(path, "file", 0, 10_000, start + 10_000 * at, 0o644, 0, 0) for at, path in enumerate(paths)]
    with pytest.raises(HubtoolError, match="cut short"):
        write_tar(files, members_of(entries), Times(files), io.BytesIO())


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 3 * canonical_module.GAP), min_size=1, max_size=12), st.integers(0, 2**32))
def test_contents_come_whole_however_they_stand_in_the_image(sizes: list[int], seed: int) -> None:
    random = Random(seed)
    contents = {f"{number}.py": random.randbytes(size) for number, size in enumerate(sizes)}
    names = list(contents)
    random.shuffle(names)
    files = image_with({name: contents[name] for name in names})
    after = again(canonical(files))
    assert {path: after.read(entry, entry.size) for path, entry in after.visible.items()} == contents


def test_a_file_larger_than_what_is_read_at_once_comes_whole() -> None:
    content = os.urandom(2 * canonical_module.AT_ONCE + 3)
    after = again(canonical(image_with({"a": b"1", "b": content, "c": b"2"})))
    assert after.read(after.visible["b"], len(content)) == content
    assert after.text("c") == "2"
