from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from hubtool.commands.sameness import content_of
from hubtool.image.layout import Layout

KEYS = [("dpkg::a",), ("pypi:b", "pypi:c"), ("volatile",)]
INLINE_CACHE: Mapping[str, Any] = {"moby.buildkit.cache.v0": "x"}
CONFIG = {
    "architecture": "amd64",
    "os": "linux",
    "created": "2026-01-01T00:00:00Z",
    "history": [{"created_by": "RUN a"}],
    "config": {"Env": ["A=1"], "Labels": {"a": "b", "org.opencontainers.image.revision": "1"}},
}


def image(
    layers: Sequence[str] = ("1", "2", "3"), keys: Sequence[tuple[str, ...]] | None = KEYS, **changes: Any
) -> tuple[bytes, bytes]:
    """Manifest and config of an image whose LAYERS hold the packages KEYS; laid out by nobody where there are none."""
    notes = Layout(tuple(keys)).as_annotations() if keys else [None] * len(layers)
    descriptors = [
        {
            "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
            "digest": "sha256:" + "0" * 64,
            "size": 1,
            **({"annotations": {"hubtool.layer": note}} if note else {}),
        }
        for note in notes
    ]
    config = {**CONFIG, "rootfs": {"type": "layers", "diff_ids": list(layers)}, **changes}
    return json.dumps({"layers": descriptors}).encode(), json.dumps(config).encode()


def settings(**changes: Any) -> Mapping[str, Any]:
    return {"config": {**CONFIG["config"], **changes}}  # type: ignore[dict-item]


def labels(**changes: str) -> Mapping[str, Any]:
    found = {f"org.opencontainers.image.{key.replace('_', '.')}": value for key, value in changes.items()}
    return settings(Labels={"a": "b", **found})


@pytest.mark.parametrize(
    "other",
    [
        image(),
        image(created="2026-02-02T00:00:00Z", history=[]),
        image(layers=("1", "2", "written anew")),
        image(**labels(revision="2", created="3", base_digest="sha256:4")),
        image(**settings(Labels={"a": "b", "hubtool.archive": "0"})),
        image(**INLINE_CACHE),
        image(parent="sha256:0", container="0", container_config={"Hostname": "builder"}),
        image(**settings(Hostname="builder", Image="sha256:0")),
    ],
)
def test_when_and_of_which_commit_it_was_built_makes_no_other_image(other: tuple[bytes, bytes]) -> None:
    assert content_of(*image()) == content_of(*other) is not None


@pytest.mark.parametrize(
    "other",
    [
        image(layers=("1", "changed", "3")),
        image(layers=("2", "1", "3")),
        image(layers=("1",), keys=KEYS[:1]),
        image(layers=("1", "2", "3", "4"), keys=[*KEYS[:2], ("pypi:d",), KEYS[2]]),
        image(layers=("1", "2", "another"), keys=[*KEYS[:2], ("pypi:d", "volatile")]),
        image(**settings(Env=["A=2"])),
        image(**settings(User="1000")),
        image(**settings(Labels={"a": "c"})),
        image(architecture="arm64"),
    ],
)
def test_what_a_container_sees_makes_another(other: tuple[bytes, bytes]) -> None:
    assert content_of(*image()) != content_of(*other)


def test_layers_as_they_were_built_count_one_and_all() -> None:
    assert content_of(*image(keys=None)) == content_of(*image(keys=None))
    assert content_of(*image(keys=None)) != content_of(*image(("1", "2", "another"), keys=None))


@pytest.mark.parametrize(
    ("manifest", "config"),
    [
        (b"", b""),
        (image()[0], b"[]"),
        (image()[0], b"{}"),
        (image()[0], b'{"rootfs": {"diff_ids": 1}}'),
        (image()[0], image(("1",))[1]),
    ],
)
def test_what_can_not_be_read_is_no_image(manifest: bytes, config: bytes) -> None:
    assert content_of(manifest, config) is None


@pytest.mark.parametrize("manifest", [b"", b"[]", b'{"layers": 1}', b'{"layers": [1, null]}', b"\xff", b"[" * 100_000])
def test_a_manifest_that_says_nothing_of_layers_leaves_all_of_them_to_count(manifest: bytes) -> None:
    found = content_of(manifest, image()[1])
    assert found is not None
    assert found.layers == ("1", "2", "3")
