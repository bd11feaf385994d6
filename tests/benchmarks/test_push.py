"""How benchmarks/push counts; the images themselves are too large for a test."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.push import images
from benchmarks.push.bench import Row
from benchmarks.push.meter import Pulled, Registry, measure, pulled
from hubtool.reference import ImageReference
from hubtool.sandbox.registry import local_registry
from tests.commands.looking import layer_of, publish
from tests.registries.parts import client_for

LAYERS = [layer_of({f"file-{number}": "x" * size}) for number, size in enumerate((1, 30_000, 60_000))]
CHANGED = layer_of({"file-1": "y" * 30_000})


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with local_registry(tmp_path) as host:
        yield Registry(host, tmp_path)


def test_a_node_pulls_what_it_has_not_and_by_chain_all_above_that(registry: Registry) -> None:
    with client_for(ImageReference(registry.host, "hub/image").with_tag("old"), None) as client:
        publish(client, "old", LAYERS)
        publish(client, "new", [LAYERS[0], CHANGED, LAYERS[2]])
    sizes = [len(layer) for layer in (LAYERS[0], CHANGED, LAYERS[2])]
    assert pulled(registry, "hub/image", "old", "new") == Pulled(sizes[1], sum(sizes[1:]), sum(sizes))
    assert pulled(registry, "hub/image", "new", "new") == Pulled(0, 0, sum(sizes))


def test_what_a_command_sends_is_counted_in_the_registrys_storage(registry: Registry, tmp_path: Path) -> None:
    digest = "ab" * 32
    new = registry.folder / "blobs/docker/registry/v2/blobs/sha256/ab" / digest / "data"
    code = "import pathlib, sys; file = pathlib.Path(sys.argv[1]); file.parent.mkdir(parents=True);"
    busy = "sum(range(10**7)); room = bytearray(10**8); print('told', file=sys.stderr)"
    argv = [sys.executable, "-c", f"{code} file.write_bytes(bytes(1234)); {busy}", str(new)]
    cost = measure(argv, registry, os.getpid())
    assert registry.blobs() == {f"sha256:{digest}": 1234}
    assert cost.uploaded == 1234
    assert cost.said == "told\n"
    assert cost.memory > 10**8
    assert cost.seconds > 0
    assert cost.processor > 0
    assert measure(["true"], registry, os.getpid()).uploaded == 0


def test_a_command_that_fails_ends_the_benchmark_and_says_why(registry: Registry) -> None:
    with pytest.raises(SystemExit, match="exit code 3\noh no"):
        measure(["sh", "-c", "echo oh no >&2; exit 3"], registry, os.getpid())


def test_every_package_of_the_images_is_pinned_and_those_that_change_are_older() -> None:
    pins = dict(line.split("==") for line in images.PINS.read_text().splitlines())
    assert {*images.STACK, *images.SIBLING, *images.SMALL, *images.SMALL_SIBLING} <= pins.keys()
    assert all(pins[name] != version for name, version in images.OLDER.items())


@pytest.mark.parametrize(("good", "verdict"), [(True, "ok"), (False, "MISSED"), (None, "")])
def test_a_row_says_whether_the_target_is_met(good: bool | None, verdict: str) -> None:
    row = Row.of("size, MB", "2", ["1", "3", "4"], good)
    assert row.cells() == ("size, MB", "2", "1", "3", "4", verdict)
