"""Compressed layers: inflated once, whole or not at all, and never without measure."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import pytest
import zstandard

from hubtool.errors import HubtoolError
from hubtool.image import inflate, spool
from hubtool.image.archive import Archive
from hubtool.image.inflate import Compression, Inflated
from tests.image.archives import layer_tar, new_members, old_members, sha256, write_tar

CONTENT = os.urandom(3000) + b"content " * 300_000
PACKERS: dict[Compression, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}
packed = pytest.mark.parametrize("kind", PACKERS)


def inflated(stored: bytes, kind: Compression, content: bytes = CONTENT, digest: str | None = None) -> Inflated:
    return Inflated(lambda: io.BytesIO(stored), kind, "the layer x", len(stored), sha256(content), digest)


@packed
def test_many_readers_at_once_inflate_once(kind: Compression) -> None:
    opened = []
    stored = PACKERS[kind](CONTENT)

    def open_stored() -> BinaryIO:
        opened.append(1)
        return io.BytesIO(stored)

    data = Inflated(open_stored, kind, "x", len(stored), sha256(CONTENT), sha256(stored))
    with ThreadPoolExecutor(8) as pool:
        found = {sha256(content) for content in pool.map(lambda _: data.open().read(), range(16))}
    data.close()
    assert found == {sha256(CONTENT)}
    assert opened == [1]


@packed
def test_data_in_several_frames_is_read_to_the_end(kind: Compression) -> None:
    stored = b"".join(PACKERS[kind](CONTENT[start : start + 500_000]) for start in range(0, len(CONTENT), 500_000))
    assert inflated(stored, kind).open().read() == CONTENT


@packed
def test_data_cut_anywhere_is_an_error(kind: Compression) -> None:
    stored = PACKERS[kind](CONTENT)
    for length in [*range(0, 40), *range(40, len(stored), 97), len(stored) - 1]:
        data = inflated(stored[:length], kind)
        with pytest.raises(HubtoolError, match=r"the layer x (is damaged|can't be decompressed)"):
            data.open()


@packed
def test_data_with_a_flipped_bit_is_an_error(kind: Compression) -> None:
    stored = PACKERS[kind](CONTENT)
    for place in [*range(0, 20), *range(20, len(stored), 131)]:
        spoilt = bytearray(stored)
        spoilt[place] ^= 4
        data = inflated(bytes(spoilt), kind, digest=sha256(stored))
        with pytest.raises(HubtoolError, match=r"is damaged|can't be decompressed"):
            data.open()


@packed
def test_what_expands_without_measure_is_ended(kind: Compression, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflate, "LARGE", 5_000_000)
    monkeypatch.setattr(inflate, "MAX_RATIO", 100)
    bomb = PACKERS[kind](bytes(20_000_000))
    with pytest.raises(HubtoolError, match="expands to more than"):
        inflated(bomb, kind, bytes(20_000_000)).open()
    small = PACKERS[kind](bytes(4_000_000))
    assert len(inflated(small, kind, bytes(4_000_000)).open().read()) == 4_000_000


def test_a_disk_that_is_nearly_full_is_left_with_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "RESERVE", 1 << 60)
    monkeypatch.setattr(inflate, "CHECK_EVERY", 1)
    with pytest.raises(HubtoolError, match="no space left") as caught:
        inflated(gzip.compress(CONTENT), "gzip").open()
    assert "$TMPDIR" in str(caught.value)


def test_a_full_disk_is_said_so_and_leaves_nothing(tmp_path: Path) -> None:
    members = new_members([layer_tar({"a": os.urandom(300_000)})], "gzip")
    path = write_tar(tmp_path / "a.tar", members)
    (tmp_path / "spool").mkdir()
    code = (
        "import resource, sys; from pathlib import Path; from hubtool.image.archive import Archive;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000));"
        "archive = Archive(Path(sys.argv[1])); archive.layers[0].open_tar()"
    )
    env = {**os.environ, "TMPDIR": str(tmp_path / "spool")}
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, env=env)
    assert "HubtoolError" in done.stderr
    assert "File too large" in done.stderr
    assert list((tmp_path / "spool").iterdir()) == []


def test_what_was_inflated_goes_away_with_the_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    path = write_tar(tmp_path / "a.tar", new_members([layer_tar({"a": b"x" * 5_000_000})], "gzip"))
    with Archive(path) as archive:
        reader = archive.layers[0].open_tar()
        target = max(os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if _spooled(fd, tmp_path))
        assert "deleted" in target
        assert len(reader.read(1000)) == 1000
    assert not [fd for fd in os.listdir("/proc/self/fd") if _spooled(fd, tmp_path)]


def _spooled(fd: str, folder: Path) -> bool:
    try:
        target = os.readlink(f"/proc/self/fd/{fd}")
    except FileNotFoundError:
        return False
    return target.startswith(str(folder)) and "deleted" in target


@packed
def test_a_packed_archive_that_is_cut_is_an_error(kind: Compression, tmp_path: Path) -> None:
    whole = write_tar(tmp_path / "a.tar", old_members([layer_tar({"a": os.urandom(20_000)})])).read_bytes()
    stored = PACKERS[kind](whole)
    (tmp_path / "b").write_bytes(stored)
    with Archive(tmp_path / "b") as archive:
        archive.check()
    for length in range(4, len(stored) - 1000, 301):
        (tmp_path / "b").write_bytes(stored[:length])
        with pytest.raises(HubtoolError) as caught:
            Archive(tmp_path / "b")
        assert str(tmp_path / "b") in str(caught.value)
