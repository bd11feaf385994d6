"""Layers made byte by byte, and what a container of them would see."""

from __future__ import annotations

import functools
import gzip
import io
import tarfile
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from isal import igzip

from hubtool.errors import HubtoolError
from hubtool.image.files import ImageFiles, normal

Item = tuple[str, str]  # name, content; a name that ends in "/" is a folder, content "->X" a link, "=X" a hard link


def layer(items: Iterable[Item], **header: int) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", errors="surrogateescape") as tar:
        for name, content in items:
            info = tarfile.TarInfo(name.rstrip("/"))
            for key, value in header.items():
                setattr(info, key, value)
            if name.endswith("/"):
                info.type = tarfile.DIRTYPE
            elif content.startswith("->"):
                info.type, info.linkname = tarfile.SYMTYPE, content[2:]
            elif content.startswith("="):
                info.type, info.linkname = tarfile.LNKTYPE, content[1:]
            data = content.encode() if info.isreg() else b""
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def image(*layers: bytes | list[Item]) -> ImageFiles:
    tars = [data if isinstance(data, bytes) else layer(data) for data in layers]
    return ImageFiles([functools.partial(io.BytesIO, tar) for tar in tars])


def seen(files: ImageFiles) -> dict[str, str]:
    """Paths and contents of the files that a container would see."""
    return {path: files.read(entry, 100).decode() for path, entry in files.visible.items() if entry.kind == "file"}


VIEWS: dict[str, tuple[list[list[Item]], dict[str, str]]] = {
    "a later layer replaces a file": ([[("a", "1")], [("a", "2")]], {"a": "2"}),
    "a whiteout hides a file": ([[("d/a", "1"), ("d/b", "2")], [("d/.wh.a", "")]], {"d/b": "2"}),
    "a whiteout hides a folder": ([[("d/e/a", "1"), ("d/b", "2")], [(".wh.d", "")]], {}),
    "an opaque folder hides what was below, not what comes with it": (
        [[("d/a", "1"), ("d/e/b", "2")], [("d/c", "3"), ("d/.wh..wh..opq", "")]],
        {"d/c": "3"},
    ),
    "a whiteout does not hide its own layer": ([[("a", "1")], [("a", "2"), (".wh.a", "")]], {"a": "2"}),
    "a file in the place of a folder": ([[("d/a", "1")], [("d", "2")]], {"d": "2"}),
    "a file that comes back": ([[("d/a", "1")], [("d/.wh.a", "")], [("d/a", "3")]], {"d/a": "3"}),
    "a folder that comes back has nothing of before": (
        [[("d/a", "1")], [(".wh.d", "")], [("d/", ""), ("d/b", "3")]],
        {"d/b": "3"},
    ),
    "a hard link has the content of its file": ([[("a", "1"), ("b", "=a")]], {"a": "1", "b": "1"}),
    "names with ./ and / in front are one": ([[("./a", "1")], [("/a", "2")]], {"a": "2"}),
    "a name that climbs stays below the root": ([[("../../etc/passwd", "1")]], {"etc/passwd": "1"}),
    "a whiteout of nothing": ([[("a", "1")], [(".wh.b", ""), ("x/.wh.y", "")]], {"a": "1"}),
    "a whiteout without a name": ([[("d/a", "1")], [("d/.wh.", "")]], {"d/a": "1"}),
}


@pytest.mark.parametrize(("layers", "expected"), VIEWS.values(), ids=VIEWS.keys())
def test_what_a_container_sees(layers: list[list[Item]], expected: dict[str, str]) -> None:
    assert seen(image(*layers)) == expected


def test_a_deleted_file_is_still_in_its_layer() -> None:
    files = image([("key", "secret")], [(".wh.key", "")])
    entry = files.layers[0][0]
    assert not files.is_visible(entry)
    assert files.read(entry, 100) == b"secret"


LINKS: list[tuple[list[Item], str, str | None]] = [
    ([("bin", "->usr/bin"), ("usr/bin/x", "1")], "/bin/x", "1"),
    ([("a", "->/b"), ("b", "->c"), ("c", "1")], "a", "1"),
    ([("d/a", "->../../../b"), ("b", "1")], "d/a", "1"),
    ([("a", "->b"), ("b", "->a")], "a", None),
    ([("a", "->a/a")], "a", None),
    ([("a", "->nothing")], "a", None),
    ([("d/", "")], "d", None),
]


@pytest.mark.parametrize(("items", "path", "expected"), LINKS)
def test_links_are_followed_and_end(items: list[Item], path: str, expected: str | None) -> None:
    assert image(items).text(path) == expected


def test_a_program_is_found_on_the_path_only_when_it_can_run() -> None:
    files = image(layer([("a/x", "")], mode=0o644), layer([("b/x", "1"), ("b/y", "2")], mode=0o755))
    found = files.which("x", "/a:/nowhere::/b")
    assert found is not None
    assert found.path == "b/x"
    assert files.which("z", "/a:/b") is None


def test_names_that_are_not_utf8_are_kept_apart() -> None:
    files = image([("caf\udce9", "1"), ("café", "2")])
    assert seen(files) == {"caf\udce9": "1", "café": "2"}


def test_long_names_are_whole() -> None:
    name = "/".join(["folder" * 20] * 5)
    assert seen(image([(name, "1")])) == {name: "1"}


@pytest.mark.parametrize("opened", [gzip.GzipFile, igzip.IGzipFile], ids=["gzip", "igzip"])
def test_a_compressed_layer_is_read_through_any_seekable_reader(opened: type) -> None:
    packed = gzip.compress(layer([("a", "1"), ("b", "2")]))
    assert seen(ImageFiles([lambda: opened(fileobj=io.BytesIO(packed))])) == {"a": "1", "b": "2"}


WHOLE = layer([("a", "1" * 3000), ("b", "2" * 3000)])
DAMAGED = {
    "cut in a file": WHOLE[:2000],
    "cut in a header": WHOLE[: 512 + 3072 + 100],
    "broken second header": WHOLE[: 512 + 3072] + b"x" * 512 + WHOLE[512 + 3072 + 512 :],
    "not a tar": b"hello " * 1000,
    "random": bytes(range(256)) * 20,
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_layer_is_an_error_that_names_it(data: bytes) -> None:
    with pytest.raises(HubtoolError, match="layer 2 of the image can't be read"):
        _ = image([("a", "1")], data).visible


@pytest.mark.parametrize("data", [b"", b"\0" * 1024, layer([])], ids=["no bytes", "zeros", "empty tar"])
def test_an_empty_layer_is_a_layer(data: bytes) -> None:
    assert seen(image([("a", "1")], data)) == {"a": "1"}


NAMES = st.sampled_from(["a", "b", "d/a", "d/b", "d/e/a", "d", "d/e", ".wh.a", "d/.wh.a", "d/.wh.e", ".wh.d"])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(NAMES.map(lambda name: (name, name)), max_size=5, unique=True), max_size=4))
def test_the_view_is_that_of_a_plain_reading_of_the_rules(layers: list[list[Item]]) -> None:
    expected: dict[str, str] = {}
    for items in layers:
        for name, _ in items:
            folder, _, last = name.rpartition("/")
            if last.startswith(".wh."):
                gone = f"{folder}/{last[4:]}".lstrip("/")
                expected = {p: c for p, c in expected.items() if p != gone and not p.startswith(gone + "/")}
        for name, content in items:
            if ".wh." not in name:
                expected = {p: c for p, c in expected.items() if not p.startswith(name + "/")} | {name: content}
    assert seen(image(*layers)) == expected


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="a./", max_size=12))
def test_no_name_leads_out(name: str) -> None:
    assert ".." not in normal(name).split("/")
    assert not normal(name).startswith("/")
