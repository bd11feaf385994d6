from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
import zstandard

from hubtool.errors import HubtoolError
from hubtool.image.archive import Archive
from hubtool.image.docker_archive import StoredLayer, relabelled, write_docker_archive

LAYER = b"a layer" * 1000


def stored(data: bytes, packed: bytes | None = None) -> StoredLayer:
    content = packed or data
    return StoredLayer(f"sha256:{hashlib.sha256(data).hexdigest()}", len(content), lambda: io.BytesIO(content))


def write(target: Path, config: dict[str, Any], *layers: StoredLayer) -> Path:
    write_docker_archive(target, {"architecture": "amd64", "os": "linux", "config": config}, layers, "quay.io/a/b:1")
    return target


def test_what_is_written_is_read(tmp_path: Path) -> None:
    with Archive(write(tmp_path / "a.tar", {"User": "1000"}, stored(LAYER), stored(b"x"), stored(LAYER))) as archive:
        archive.check()
        assert archive.tags == ("quay.io/a/b:1",)
        assert archive.config["config"] == {"User": "1000"}
        assert [layer.size for layer in archive.layers] == [len(LAYER), 1, len(LAYER)]
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert len(tar.getnames()) == 4  # a layer that is there twice lies there once


def test_equal_images_are_equal_bytes(tmp_path: Path) -> None:
    first, second = (write(tmp_path / name, {}, stored(LAYER)).read_bytes() for name in "ab")
    assert first == second


LABELS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "some": ({"Labels": {"a": "1", "b": "1"}}, {"a": "1"}),
    "null": ({"Labels": None}, {}),
    "none": ({}, {}),
    "no object": ({"Labels": 3}, {}),
}


@pytest.mark.parametrize(("config", "own"), LABELS.values(), ids=LABELS)
def test_labels_are_added_and_all_else_stays(tmp_path: Path, config: dict[str, Any], own: dict[str, str]) -> None:
    before = write(tmp_path / "a.tar", {"Cmd": ["x"], **config}, stored(LAYER))
    with Archive(before) as archive:
        relabelled(archive, {"b": "2", "c": "3"}, "quay.io/a/b:2", tmp_path / "b.tar")
    with Archive(tmp_path / "b.tar") as archive:
        archive.check()
        assert archive.config["config"] == {"Cmd": ["x"], "Labels": {**own, "b": "2", "c": "3"}}
        assert archive.tags == ("quay.io/a/b:2",)


def test_a_layer_that_old_engines_do_not_load_is_inflated(tmp_path: Path) -> None:
    before = write(tmp_path / "a.tar", {}, stored(LAYER, zstandard.compress(LAYER)))
    with Archive(before) as archive:
        relabelled(archive, {}, "quay.io/a/b:2", tmp_path / "b.tar")
    with Archive(tmp_path / "b.tar") as archive:
        archive.check()
        assert archive.layers[0].compression == "none"


def test_a_damaged_layer_is_said(tmp_path: Path) -> None:
    before = write(tmp_path / "a.tar", {}, stored(LAYER, zstandard.compress(b"another")))
    with Archive(before) as archive, pytest.raises(HubtoolError, match="layer sha256:"):
        relabelled(archive, {}, "quay.io/a/b:2", tmp_path / "b.tar")
