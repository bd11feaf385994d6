from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import zstandard

from hubtool.errors import HubtoolError
from hubtool.image.archive import Archive
from hubtool.image.compress import Packing
from hubtool.image.pack import Packed, Writer, digest_of, image_manifest, pack_layer, pack_stream
from tests.image.archives import Link, layer_tar, new_members, old_members, sha256, write_tar

LAYERS = [layer_tar({"a": b"one" * 100_000}), layer_tar({"b": os.urandom(200_000)}), layer_tar({})]


def archive_of(folder: Path, members: dict[str, bytes | Link]) -> Archive:
    return Archive(write_tar(folder / "a.tar", members))


def test_a_packed_layer_unpacks_to_itself(tmp_path: Path) -> None:
    with archive_of(tmp_path, old_members(LAYERS)) as archive:
        for layer, expected in zip(archive.layers, LAYERS, strict=True):
            packed = pack_layer(layer, tmp_path)
            stored = packed.open().read()
            assert gzip.decompress(stored) == expected
            assert (packed.digest, packed.size) == (sha256(stored), len(stored))
            assert packed.media_type == "application/vnd.oci.image.layer.v1.tar+gzip"
            packed.close()
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar"]


def test_the_same_layer_is_the_same_bytes_every_time_and_in_every_process(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", old_members(LAYERS))
    with Archive(path) as archive, ThreadPoolExecutor(4) as pool:
        digests = {pack.digest for pack in pool.map(lambda layer: pack_layer(layer, tmp_path), [archive.layers[0]] * 4)}
    code = (
        "import sys; from pathlib import Path; from hubtool.image.archive import Archive;"
        "from hubtool.image.pack import pack_layer;"
        "print(pack_layer(Archive(Path(sys.argv[1])).layers[0], Path(sys.argv[2])).digest)"
    )
    env = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    other = subprocess.run(
        [sys.executable, "-c", code, path, tmp_path], env=env, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert digests == {other}


def test_the_header_has_neither_time_nor_name(tmp_path: Path) -> None:
    with archive_of(tmp_path, old_members(LAYERS)) as archive:
        header = pack_layer(archive.layers[0], tmp_path).open().read(10)
    assert header[:4] == b"\x1f\x8b\x08\x00"  # no flags: no name
    assert header[4:8] == b"\0\0\0\0"


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_a_layer_that_is_compressed_already_is_taken_as_it_is(tmp_path: Path, kind: str) -> None:
    members = new_members(LAYERS, kind)
    with archive_of(tmp_path, members) as archive:
        packed = pack_layer(archive.layers[0], tmp_path)
        assert packed.open().read() == next(iter(members.values()))
        assert packed.digest == archive.layers[0].digest
        assert packed.media_type == f"application/vnd.oci.image.layer.v1.tar+{kind}"
        packed.close()
        assert packed.open().read(2)  # closing gives back only what was written for it


def test_a_layer_that_is_not_what_the_config_says_is_refused(tmp_path: Path) -> None:
    members = old_members(LAYERS)
    members[f"{0:064x}/layer.tar"] = layer_tar({"a": b"another"})
    with archive_of(tmp_path, members) as archive, pytest.raises(HubtoolError, match="a layer is damaged: its config"):
        pack_layer(archive.layers[0], tmp_path)


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_a_compressed_layer_that_is_not_what_its_name_says_is_refused(tmp_path: Path, kind: str) -> None:
    members = new_members(LAYERS, kind)
    name = next(iter(members))
    blob = members[name]
    assert isinstance(blob, bytes)
    members[name] = blob[:-1] + bytes([blob[-1] ^ 1])
    with archive_of(tmp_path, members) as archive, pytest.raises(HubtoolError, match="is damaged"):
        pack_layer(archive.layers[0], tmp_path)


def test_progress_is_told_up_to_the_last_byte(tmp_path: Path) -> None:
    told: list[int] = []
    with archive_of(tmp_path, old_members(LAYERS)) as archive:
        pack_layer(archive.layers[0], tmp_path, told.append)
    assert told == sorted(told)
    assert told[-1] == len(LAYERS[0])


def test_a_full_disk_is_said_so_and_leaves_nothing(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", old_members(LAYERS))
    code = (
        "import resource, sys; from pathlib import Path; from hubtool.image.archive import Archive;"
        "from hubtool.image.pack import pack_layer; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000));"
        "archive = Archive(Path(sys.argv[1])); pack_layer(archive.layers[1], Path(sys.argv[2]))"
    )
    done = subprocess.run([sys.executable, "-c", code, path, tmp_path], capture_output=True, text=True)
    assert "HubtoolError" in done.stderr
    assert "File too large while packing a layer" in done.stderr
    assert [found.name for found in tmp_path.iterdir()] == ["a.tar"]


def test_the_manifest_names_what_travels_and_is_the_same_every_time(tmp_path: Path) -> None:
    with archive_of(tmp_path, old_members(LAYERS)) as archive:
        packed = [pack_layer(layer, tmp_path) for layer in archive.layers]
        first = image_manifest(archive.config_bytes, packed)
        assert first == image_manifest(archive.config_bytes, packed)
        document = json.loads(first)
        assert document["config"] == {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": archive.config_digest,
            "size": len(archive.config_bytes),
        }
    assert [layer["digest"] for layer in document["layers"]] == [layer.digest for layer in packed]
    assert [layer["size"] for layer in document["layers"]] == [layer.size for layer in packed]
    assert document["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert digest_of(first) == sha256(first)


TAR = LAYERS[0] + LAYERS[1]


def in_pieces(size: int) -> Callable[[Writer], None]:
    def write(out: Writer) -> None:
        for start in range(0, len(TAR), size):
            out.write(TAR[start : start + size])

    return write


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_stream_is_packed_while_it_is_written(compression: Packing) -> None:
    out = io.BytesIO()
    packed = pack_stream(in_pieces(10_000), out, compression, sha256(TAR))
    stored = out.getvalue()
    unzstd = zstandard.ZstdDecompressor().decompressobj().decompress
    unpacked = gzip.decompress(stored) if compression == "gzip" else unzstd(stored)
    assert unpacked == TAR
    assert (packed.diff_id, packed.digest, packed.size) == (sha256(TAR), sha256(stored), len(stored))
    assert packed.media_type.endswith(f"tar+{compression}")


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_packing_again_gives_the_same_bytes(compression: Packing) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda size: pack_stream(in_pieces(size), io.BytesIO(), compression), [1 << 20] * 4)
        assert len({packed.digest for packed in found}) == 1


def test_a_stream_that_is_not_what_it_should_be_is_refused() -> None:
    with pytest.raises(HubtoolError, match=f"a layer is damaged: its config says {sha256(b'')}"):
        pack_stream(in_pieces(1 << 20), io.BytesIO(), diff_id=sha256(b""))


def test_an_error_of_who_takes_the_bytes_ends_the_packing() -> None:
    class Full(io.RawIOBase):
        def write(self, data: object) -> int:
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        pack_stream(in_pieces(1 << 20), Full())


def test_annotations_stand_in_the_manifest_sorted_and_only_where_there_are_some() -> None:
    layers = [
        Packed(sha256(b"a"), sha256(b"b"), 5, "some/type"),
        Packed(sha256(b"a"), sha256(b"b"), 5, "some/type", {"z": "1", "a": "2"}),
    ]
    document = json.loads(image_manifest(b"{}", layers, {"y": "1", "b": "2"}))
    assert [list(layer) for layer in document["layers"]] == [
        ["mediaType", "digest", "size"],
        ["mediaType", "digest", "size", "annotations"],
    ]
    assert list(document["layers"][1]["annotations"].items()) == [("a", "2"), ("z", "1")]
    assert list(document["annotations"].items()) == [("b", "2"), ("y", "1")]
