from __future__ import annotations

import json
from pathlib import Path

import pytest

from hubtool.commands.parcels import parcels_of
from hubtool.errors import HubtoolError
from hubtool.image.archive import Archive
from hubtool.plan import Packing
from tests.image.archives import layer_tar, new_members, old_members, write_tar

LAYERS = [layer_tar({"srv/a": b"one" * 1000}), layer_tar({"srv/b": b"two" * 1000})]


@pytest.mark.parametrize("style", ["old", "gzip", "zstd"])
def test_an_image_is_laid_out_only_where_its_layers_are_what_its_config_says(tmp_path: Path, style: str) -> None:
    members = old_members(LAYERS) if style == "old" else new_members(LAYERS, style)
    with (
        Archive(write_tar(tmp_path / "whole.tar", members)) as archive,
        parcels_of(archive, Packing(), None) as parcels,
    ):
        assert len(parcels.layers) == len(json.loads(parcels.config)["rootfs"]["diff_ids"]) > 0
    name, stored = next(iter(members.items()))
    assert isinstance(stored, bytes)
    other = layer_tar({"srv/a": b"ONE" * 1000}) if style == "old" else stored[:-1] + bytes([stored[-1] ^ 1])
    with (
        Archive(write_tar(tmp_path / "other.tar", {**members, name: other})) as archive,
        pytest.raises(HubtoolError, match=r"damaged|decompressed"),
        parcels_of(archive, Packing(), None),
    ):
        pass
