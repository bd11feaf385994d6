"""Layers made byte by byte, and what a container of them would see."""

from __future__ import annotations

import functools
import gzip
import io
import tarfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from isal import igzip

from hubtool.errors import HubtoolError
from hubtool.image import tree
from hubtool.image.files import ImageFiles
from hubtool.image.headers import TarError
from hubtool.image.tree import normal

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
    "a whiteout of nothing": ([[("a", "1")], [(".wh.b", ""), ("x/.wh.y", "")]], {"a": "1"}),
    "a file below a file takes its place": ([[("d", "1")], [("d/a", "2")]], {"d/a": "2"}),
    "a folder that a layer only names takes the place of a lower layer's link": (
        [[("usr/lib/a", "1"), ("lib", "->usr/lib")], [("lib/b", "2")]],
        {"usr/lib/a": "1", "lib/b": "2"},
    ),
    "a link of the same layer is followed, one to the root too": (
        [[("x", "->/y"), ("x/a", "1"), ("r", "->/"), ("r/b", "2")]],
        {"y/a": "1", "b": "2"},
    ),
    "links through links": (
        [[("a", "->b/c"), ("b", "->d"), ("d/c/", ""), ("a/x", "1"), ("a/../y", "2")]],
        {"d/c/x": "1", "y": "2"},
    ),
    "a whiteout does not go through links": (
        [[("usr/lib/a", "1"), ("lib", "->usr/lib")], [("lib/.wh.a", ""), ("lib/.wh..wh..opq", "")]],
        {"usr/lib/a": "1"},
    ),
    "a folder takes a link's place": (
        [[("usr/lib/a", "1"), ("lib", "->usr/lib")], [("lib/", ""), ("lib/b", "2")]],
        {"usr/lib/a": "1", "lib/b": "2"},
    ),
    "a link takes a folder's place": (
        [[("lib/a", "1"), ("usr/lib/b", "2")], [("lib", "->usr/lib"), ("lib/c", "3")]],
        {"usr/lib/b": "2", "usr/lib/c": "3"},
    ),
    "a link and a folder take each other's place in one layer": (
        [[("d/", ""), ("l/a", "1"), ("l", "->d"), ("l/b", "2"), ("l/", ""), ("l/c", "3")]],
        {"d/b": "2", "l/c": "3"},
    ),
    "a link that is gone leads nowhere": (
        [[("usr/lib/a", "1"), ("lib", "->usr/lib"), ("lib/b", "2")], [(".wh.lib", ""), ("lib/c", "3")]],
        {"usr/lib/a": "1", "usr/lib/b": "2", "lib/c": "3"},
    ),
    "an opaque root": ([[("a", "1"), ("d/b", "2")], [("c", "3"), (".wh..wh..opq", "")]], {"c": "3"}),
    "a hard link to a file of a lower layer": ([[("a", "1")], [("b", "=a")]], {"a": "1", "b": "1"}),
    "a hard link to a file that its own layer removes": ([[("a", "1")], [(".wh.a", ""), ("b", "=a")]], {"b": "1"}),
    "a hard link whose first name is removed later": ([[("a", "1"), ("b", "=a")], [(".wh.a", "")]], {"b": "1"}),
    "a hard link whose first name is replaced later": (
        [[("a", "1"), ("b", "=a")], [("a", "2")]],
        {"a": "2", "b": "1"},
    ),
    "a hard link through links": ([[("d/a", "1"), ("l", "->d"), ("b", "=l/a")]], {"d/a": "1", "b": "1"}),
    "a hard link to a file that is replaced after it": ([[("a", "1"), ("b", "=a"), ("a", "2")]], {"a": "2", "b": "1"}),
    "what aufs kept aside is seen under its links' names alone": (
        [
            [("a", "1")],
            [(".wh..wh.plnk/7.1", "2"), (".wh..wh.aufs", ""), ("b", "=.wh..wh.plnk/7.1")],
        ],
        {"a": "1", "b": "2"},
    ),
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
                lost = {p for p in expected if p.startswith(name + "/") or name.startswith(p + "/")}
                expected = {p: c for p, c in expected.items() if p not in lost} | {name: content}
    assert seen(image(*layers)) == expected


REFUSED: list[tuple[list[Item], str]] = [
    ([("../../etc/passwd", "1")], "leads outside"),
    ([("a/../../b", "1")], "leads outside"),
    ([("/../b", "1")], "leads outside"),
    ([("..", "->a")], "leads outside"),
    ([("b", "=../a")], "leads outside"),
    ([("", "1")], "root is not a folder"),
    ([(".", "->/etc")], "root is not a folder"),
    ([("d/.wh.", "")], "hides no file"),
    ([("d/.wh...", "")], "hides no file"),
    ([("b", "=a"), ("a", "1")], "hard link to 'a', which is no file here"),
    ([("d/", ""), ("b", "=d")], "hard link to 'd', which is no file here"),
    ([("a", "->b"), ("b", "->a"), ("a/x", "1")], "below too many folders or links"),
    ([("a", "->a/a"), ("a/x", "1")], "below too many folders or links"),
    ([("/".join("d" * 300), "1")], "below too many folders or links"),
    ([("evil\x1b[2J/../../x", "1")], r"evil\\x1b\[2J"),
]


@pytest.mark.parametrize(("items", "said"), REFUSED)
def test_a_layer_that_no_engine_unpacks_is_an_error(items: list[Item], said: str) -> None:
    with pytest.raises(HubtoolError, match=said) as caught:
        _ = image([("d/x", "1")], items).visible
    assert "layer 2 of the image can't be read" in str(caught.value)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="a./", max_size=12))
def test_no_name_leads_out(name: str) -> None:
    try:
        path = normal(name)
    except TarError:
        assert ".." in name
    else:
        assert not {"", ".", ".."} & set(path.split("/")) or path == ""


def test_links_that_multiply_end_soon() -> None:
    chain = [(f"l{number}", "->" + "/".join([f"l{number + 1}"] * 1000)) for number in range(60)]
    with pytest.raises(HubtoolError, match="too many folders or links"):
        _ = image([*chain, ("l0/x", "1")]).visible
    assert image(chain).find("l0") is None


def test_folders_that_are_only_names_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "MAX_FOLDERS", 3_000_000)
    deep = [("/".join([f"{number}", *("d" * 15 for _ in range(200))]), "") for number in range(50)]
    with pytest.raises(HubtoolError, match="folders are too many and too deep"):
        _ = image(deep).visible


def test_files_in_all_layers_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hubtool.image.files.MAX_ENTRIES", 5)
    assert len(image([("a", ""), ("b", "")], [("c", ""), ("d", ""), ("e", "")]).visible) == 5
    with pytest.raises(HubtoolError, match="more than 5 files"):
        _ = image([("a", ""), ("b", "")], [("a", ""), ("b", ""), ("c", ""), ("d", "")]).visible


def twins(files: ImageFiles) -> dict[str, str]:
    return {path: entry.twin for path, entry in files.visible.items() if entry.twin}


def test_names_of_one_file_are_told() -> None:
    first = [("m", "1"), ("b", "=m"), ("z", "=m"), ("s", "->m"), ("t", "=s"), ("other", "1")]
    files = image(first)
    assert twins(files) == {"m": "b", "z": "b", "t": "s"}
    assert files.visible["t"].target == "m"
    assert twins(image(first, [(".wh.b", "")])) == {"z": "m", "t": "s"}
    assert twins(image(first, [("b", "2"), ("y", "=b")])) == {"z": "m", "t": "s", "y": "b"}
    assert twins(image(first, [(".wh.b", ""), (".wh.z", "")])) == {"t": "s"}
    assert twins(image(first, [("a", "=other")])) == {"m": "b", "z": "b", "t": "s", "other": "a"}


def test_which_entry_is_visible_is_told_of_links_too() -> None:
    files = image([("a", "1"), ("b", "=a"), ("l", "->d"), ("l/x", "1")], [(".wh.a", "")])
    assert [[files.is_visible(entry) for entry in entries] for entries in files.layers] == [
        [False, True, True, True],
        [False],
    ]


def test_a_folder_without_an_entry_is_as_engines_make_it_and_an_entry_says_otherwise_at_any_time() -> None:
    files = image(layer([("d/e/a", "1"), ("d/", "")], mode=0o700, uid=5), [("d/e/.wh.a", "")])
    assert {path: (entry.kind, entry.mode, entry.uid) for path, entry in files.visible.items()} == {
        "d": ("folder", 0o700, 5),
        "d/e": ("folder", 0o755, 0),
    }


def test_a_folder_in_a_later_layer_keeps_what_is_in_it_and_gets_the_later_mode() -> None:
    files = image(layer([("d/", ""), ("d/a", "1")], mode=0o755), layer([("d/", "")], mode=0o1700, uid=7, mtime=9))
    folder = files.visible["d"]
    assert (folder.kind, folder.mode, folder.uid, folder.mtime, folder.layer) == ("folder", 0o1700, 7, 9, 1)
    assert seen(files) == {"d/a": "1"}


def test_contents_are_read_from_several_threads_and_anew_after_a_close() -> None:
    items = [(f"f{number}", f"{number}" * 3000) for number in range(200)]
    files = image(items)
    for _ in range(2):
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda item: files.open(files.visible[item[0]]).read().decode(), items))
        assert found == [content for _, content in items]
        files.close()
    assert files.open(files.visible["f7"]).read(3) == b"777"


def test_the_content_of_what_is_no_file_is_empty() -> None:
    files = image([("d/", ""), ("l", "->d"), ("a", "1")])
    assert [files.open(files.visible[path]).read() for path in ("d", "l", "a")] == [b"", b"", b"1"]
    assert [files.read(files.visible[path], 9) for path in ("d", "l", "a")] == [b"", b"", b"1"]


def test_content_that_went_away_after_the_reading_is_an_error() -> None:
    stream = io.BytesIO(layer([("a", "1" * 3000)]))
    files = ImageFiles([lambda: stream])
    entry = files.visible["a"]
    stream.truncate(2000)
    with pytest.raises(HubtoolError, match="cut short"):
        files.read(entry, 3000)
    with pytest.raises(HubtoolError, match="cut short"):
        files.open(entry).read()


FLAT = st.sampled_from(["a", "b", "c", "d/a", "d/b"])
LINKED = st.lists(st.lists(st.tuples(FLAT, st.sampled_from(["file", "gone"]) | FLAT), max_size=6), max_size=4)


@settings(max_examples=300, deadline=None)
@given(LINKED)
def test_names_of_one_file_are_those_of_a_plain_reading_of_the_rules(layers: list[list[tuple[str, str]]]) -> None:
    files: dict[str, str] = {}  # the content of each file is a name of its own, so it says which file a name means
    made: list[list[Item]] = []
    for number, wanted in enumerate(layers):
        gone = {name for name, what in wanted if what == "gone"}
        before, files = files, {name: content for name, content in files.items() if name not in gone}
        items: list[Item] = [(f"{name[:-1]}.wh.{name[-1]}", "") for name in gone]
        for name, what in wanted:
            if what == "file":
                files[name] = f"{number}.{len(items)}"
                items.append((name, files[name]))
            elif what != "gone" and (content := files.get(what) or before.get(what)):
                files[name] = content
                items.append((name, f"={what}"))
        made.append(items)
    read = image(*made)
    assert seen(read) == files
    firsts = {content: min(name for name in files if files[name] == content) for content in files.values()}
    assert twins(read) == {name: firsts[content] for name, content in files.items() if firsts[content] != name}
