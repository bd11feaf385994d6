from __future__ import annotations

import io
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hubtool.commands.transfer import megabytes, move_layers
from hubtool.image.archive import Archive
from hubtool.image.pack import PackedLayer
from hubtool.registries import Credentials, RegistryError
from tests.conftest import LocalRegistry
from tests.image.archives import layer_tar, old_members, sha256, write_tar
from tests.registries import front as fronts
from tests.registries.front import Front
from tests.registries.parts import client_for, fresh_reference, noise

SAME, OTHER = layer_tar({"a": noise(50_000)}), layer_tar({"b": noise(60_000)})


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def front(registry: LocalRegistry) -> Iterator[Front]:
    with fronts.front(registry.host) as server:
        yield server


@pytest.fixture
def login(registry: LocalRegistry) -> Credentials:
    return Credentials(registry.username, registry.password)


def test_a_layer_that_stands_there_twice_travels_once_and_keeps_its_places(
    front: Front, login: Credentials, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_tar(tmp_path / "a.tar", old_members([SAME, OTHER, SAME]))
    with client_for(fresh_reference(front.host), login) as client, Archive(path) as archive:
        moved = move_layers(client, archive.layers, tmp_path)
        assert [entry.layer.diff_id for entry in moved] == [sha256(SAME), sha256(OTHER), sha256(SAME)]
        assert all(client.has_blob(entry.moved.digest) for entry in moved)
        packed = moved[0].layer
        assert isinstance(packed, PackedLayer)
        with pytest.raises(ValueError, match="closed file"):  # its disk space is free again
            packed.open().read()
    assert len(front.requests("PATCH")) == 2
    assert "(2 of 2) sent" in capsys.readouterr().err


def test_the_first_failure_ends_the_others_and_is_the_one_that_is_raised(
    front: Front, login: Credentials, tmp_path: Path
) -> None:
    layers = [layer_tar({"a": noise(40_000, seed)}) for seed in range(30)]
    path = write_tar(tmp_path / "a.tar", old_members(layers))
    with client_for(fresh_reference(front.host), login) as client, Archive(path) as archive:
        client.list_tags()
        front.fault("POST", "/uploads/", status=403, times=1000)
        with pytest.raises(RegistryError, match="may not push"):
            move_layers(client, archive.layers, tmp_path)
    assert len(front.requests("POST")) < 30
    assert [found.name for found in tmp_path.iterdir()] == ["a.tar"]
    assert threading.active_count() < 20


def test_a_terminal_shows_bars_and_keeps_one_line_a_layer(
    front: Front, login: Credentials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    path = write_tar(tmp_path / "a.tar", old_members([SAME, OTHER]))
    with client_for(fresh_reference(front.host), login) as client, Archive(path) as archive:
        move_layers(client, archive.layers, tmp_path)
    shown = terminal.getvalue()
    assert shown.count(") sent, ") == 2
    assert f"layer {sha256(OTHER)[7:19]}" in shown


@pytest.mark.parametrize(
    ("size", "shown"), [(0, "0 bytes"), (99_999, "99999 bytes"), (100_000, "0.1 MB"), (1_234_567_890, "1234.6 MB")]
)
def test_sizes_are_shown_in_megabytes_from_a_tenth_on(size: int, shown: str) -> None:
    assert megabytes(size) == shown
