from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hubtool.errors import HubtoolError
from hubtool.image.archive import Archive
from tests.image.archives import (
    Link,
    config_of,
    layer_tar,
    manifest_of,
    new_members,
    old_members,
    sha256,
    write_tar,
)

LAYERS = [layer_tar({"etc/a": b"one"}), layer_tar({"etc/b": b"two" * 1000}), layer_tar({"etc/a": b"one"})]
Members = dict[str, bytes | Link]


@pytest.mark.parametrize(
    ("members", "compression"),
    [
        (old_members(LAYERS), "none"),
        (new_members(LAYERS), "none"),
        (new_members(LAYERS, "gzip"), "gzip"),
        (new_members(LAYERS, "zstd"), "zstd"),
    ],
)
def test_every_layout_gives_the_same_layers(tmp_path: Path, members: Members, compression: str) -> None:
    with Archive(write_tar(tmp_path / "a.tar", members)) as archive:
        assert archive.config_bytes == config_of(LAYERS)
        assert archive.config_digest == sha256(config_of(LAYERS))
        assert archive.tags == ("team/image:v1",)
        assert [layer.diff_id for layer in archive.layers] == [sha256(layer) for layer in LAYERS]
        assert {layer.compression for layer in archive.layers} == {compression}
        for layer, expected in zip(archive.layers, LAYERS, strict=True):
            with layer.open_tar() as tar:
                assert tar.read() == expected
                tar.seek(-512, io.SEEK_END)
                assert tar.read() == expected[-512:]


def test_a_layer_that_is_a_link_to_another_is_followed(tmp_path: Path) -> None:
    members = old_members(LAYERS)
    assert any(isinstance(content, tuple) for content in members.values())
    with Archive(write_tar(tmp_path / "a.tar", members)) as archive, archive.layers[2].open() as layer:
        assert layer.read() == LAYERS[0]


def test_the_archive_of_a_real_engine_is_read(docker_host: str, tmp_path: Path) -> None:
    client = docker.DockerClient(base_url=docker_host)
    tag = "hubtool-test/archive:v1"
    client.api.import_image_from_data(layer_tar({"hello": b"world"}), repository=tag.partition(":")[0], tag="v1")
    try:
        image = client.images.get(tag)
        with (tmp_path / "a.tar").open("wb") as stream:
            stream.writelines(image.save(named=True))
        with Archive(tmp_path / "a.tar") as archive:
            assert archive.config_digest == image.id
            assert archive.tags == (tag,)
            assert [layer.diff_id for layer in archive.layers] == image.attrs["RootFS"]["Layers"]
            with archive.layers[0].open_tar() as tar:
                assert sha256(tar.read()) == archive.layers[0].diff_id
    finally:
        client.images.remove(tag, force=True)
        client.close()


def test_layers_are_read_side_by_side_from_a_file_that_is_gone(tmp_path: Path) -> None:
    big = [layer_tar({"a": bytes([number]) * 3_000_000}) for number in range(4)]
    path = write_tar(tmp_path / "a.tar", old_members(big))
    with Archive(path) as archive, ThreadPoolExecutor(4) as pool:
        path.unlink()
        found = list(pool.map(lambda layer: sha256(layer.open().read()), archive.layers * 3))
    assert found == [sha256(layer) for layer in big] * 3


def _without(members: Members, name: str) -> Members:
    return {key: content for key, content in members.items() if key != name}


def _config_name(members: Members) -> str:
    manifest = members["manifest.json"]
    assert isinstance(manifest, bytes)
    return str(json.loads(manifest)[0]["Config"])


GOOD = old_members(LAYERS)
CONFIG = _config_name(GOOD)
FIRST = f"{0:064x}/layer.tar"


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({}, "'manifest.json' is missing"),
        ({"hello": b"world"}, "'manifest.json' is missing"),
        ({"manifest.json": b"{"}, "manifest.json is not JSON"),
        ({"manifest.json": b"\xff"}, "manifest.json is not JSON"),
        ({"manifest.json": b"[" * 100_000}, "manifest.json is not JSON"),
        ({"manifest.json": b"{}"}, "names no image"),
        ({"manifest.json": b"[]"}, "names no image"),
        ({"manifest.json": b"[1]"}, "names no image"),
        ({"manifest.json": b'[{"Config":"a"},{"Config":"b"}]'}, "names 2 images"),
        ({"manifest.json": b'[{"Config":7}]'}, "has no 'Config'"),
        ({"manifest.json": manifest_of("../../etc/passwd", [])}, "is missing"),
        ({"manifest.json": manifest_of("/etc/passwd", [])}, "is missing"),
        (_without(GOOD, CONFIG), "is missing"),
        (_without(GOOD, FIRST), "is missing"),
        ({**GOOD, CONFIG: b"{}"}, "does not have the hash"),
        ({**GOOD, "manifest.json": manifest_of(CONFIG, [FIRST])}, "do not fit"),
        ({"c.json": b"[]", "manifest.json": manifest_of("c.json", [])}, "not a JSON object"),
        ({"c.json": b"{", "manifest.json": manifest_of("c.json", [])}, "is not JSON"),
        ({"c.json": b'{"rootfs": 7}', "manifest.json": manifest_of("c.json", ["x"])}, "do not fit"),
        ({"c.json": b'{"rootfs": {"diff_ids": [7]}}', "manifest.json": manifest_of("c.json", ["x"])}, "without digest"),
        (
            {"c.json": b'{"rootfs": {"diff_ids": ["sha256:x"]}}', "manifest.json": manifest_of("c.json", ["x"])},
            "without digest",
        ),
        ({**GOOD, FIRST: ("symlink", "/etc/passwd")}, "absolute path"),
        ({**GOOD, FIRST: ("symlink", "../../../etc/passwd")}, "is missing"),
        ({**GOOD, FIRST: ("symlink", "layer.tar")}, "link without end"),
        ({**GOOD, FIRST: ("link", "/etc/passwd")}, "absolute path"),
        ({**GOOD, "../outside": b"x"}, "leads outside"),
        ({**GOOD, "/absolute": b"x"}, "absolute path"),
        ({**GOOD, "c\x1b[31m\n/../x": b"x"}, r"c\\x1b\[31m\\n/\.\./x' leads outside"),
    ],
)
def test_an_archive_that_is_not_one_is_an_error_that_says_why(tmp_path: Path, members: Members, said: str) -> None:
    path = write_tar(tmp_path / "a.tar", members)
    with pytest.raises(HubtoolError, match=said) as caught:
        Archive(path)
    assert str(caught.value).startswith(f"{path}: not an image archive")


@pytest.mark.parametrize("content", [b"", b"hello", b"\0" * 100, b"\x1f\x8b" + b"\0" * 2000, bytes(range(256)) * 40])
def test_what_is_no_tar_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(content)
    with pytest.raises(HubtoolError, match=r"not an image archive|can't be decompressed") as caught:
        Archive(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there_or_may_not_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(HubtoolError, match="cannot be read: No such file"):
        Archive(tmp_path / "none")
    with pytest.raises(HubtoolError, match=r"'manifest\.json' is missing"):
        Archive(tmp_path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 0.999))
def test_an_archive_cut_short_anywhere_is_an_error_or_whole(tmp_path: Path, share: float) -> None:
    path = write_tar(tmp_path / "whole.tar", GOOD)
    cut = tmp_path / "cut.tar"
    shutil.copy(path, cut)
    with cut.open("r+b") as stream:
        stream.truncate(int(path.stat().st_size * share))
    try:
        with Archive(cut) as archive:
            found: object = [sha256(layer.open().read()) for layer in archive.layers]
    except HubtoolError:
        found = None
    assert found in (None, [sha256(layer) for layer in LAYERS])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_an_archive_with_flipped_bytes_never_ends_in_anything_but_our_error(
    tmp_path: Path, data: st.DataObject
) -> None:
    path = write_tar(tmp_path / "a.tar", GOOD)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        with Archive(path) as archive:
            told: object = archive.config
    except HubtoolError as error:
        told = str(error)
    assert told


@pytest.mark.parametrize("spoil", [lambda blob: blob[:-20], lambda blob: blob[:20] + b"\0" * 10 + blob[30:]])
def test_a_compressed_layer_that_is_damaged_is_an_error(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    members = new_members(LAYERS, "gzip")
    name = next(iter(members))
    blob = members[name]
    assert isinstance(blob, bytes)
    members[name] = spoil(blob)
    with (
        Archive(write_tar(tmp_path / "a.tar", members)) as archive,
        pytest.raises(HubtoolError, match="can't be decompressed"),
    ):
        archive.layers[0].open_tar()
