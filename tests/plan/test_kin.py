"""Which tags are one variant's, whenever it was released."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubtool.config import load
from hubtool.plan.kin import Kin, find_kin
from hubtool.reference import ImageReference

HEAD = 'registry: quay.io/team\naxes: {python: ["3.13", "3.1"], device: [cpu, gpu]}\nimages:\n'
PATTERNS = {
    "day and commit": '["py{python}{-gpu}", "py{python}{-gpu}-{date}-{commit}"]',
    "version": '["{version}-{python}{gpu}"]',
}
BASES = "{cpu: a, gpu: b}"


def kin_of(folder: Path, tags: str, more: str = "") -> Kin:
    """Of the image `lab` on both axes, with TAGS."""
    image = f"  lab:\n    axes: [python, device]\n    base: {BASES}\n    version: '1.2'\n    tags: {tags}\n"
    (folder / "hubtool.yaml").write_text(HEAD + image + more)
    return find_kin(load(folder, {}), folder / "hubtool.yaml")


@pytest.mark.parametrize(
    ("patterns", "new", "old", "same"),
    [
        ("day and commit", "py3.13-2026.11.16-0123456789ab", "py3.13-2026.11.09-ba9876543210", True),
        ("day and commit", "py3.13-2026.11.16-0123456789ab", "py3.13-2026.11.09-ba9876543210-20261114-2", True),
        ("day and commit", "py3.13-2026.11.16-0123456789ab", "py3.13", True),
        ("day and commit", "py3.13-2026.11.16-0123456789ab", "py3.1-2026.11.09-ba9876543210", False),
        ("day and commit", "py3.13-2026.11.16-0123456789ab", "py3.13-gpu-2026.11.09-ba9876543210", False),
        ("day and commit", "py3.1-gpu-2026.11.16-0123456789ab", "py3.1-gpu", True),
        ("day and commit", "py3.13-2026.11.16-0123456789ab", "py3.12-2026.11.09-ba9876543210", False),
        ("day and commit", "py3.13-2026.11.16-0123456789ab", "latest", False),
        ("day and commit", "py3.13-2026.11.16-0123456789ab", "", False),
        ("day and commit", "test", "py3.13", False),
        ("version", "1.3-3.13", "1.2-3.13", True),
        ("version", "1.3-3.13", "1.2-3.13gpu", False),
        ("version", "1.3-3.13", "1.2-3.1", False),
    ],
)
def test_tags_that_differ_in_day_commit_and_version_are_one_variant_s(
    tmp_path: Path, patterns: str, new: str, old: str, same: bool
) -> None:
    assert kin_of(tmp_path, PATTERNS[patterns]).same(ImageReference.parse(f"quay.io/team/lab:{new}"), old) is same


def test_all_tags_of_an_image_without_variants_are_kin(tmp_path: Path) -> None:
    kin = kin_of(tmp_path, PATTERNS["version"], "  one: {base: a, tags: ['{version}'], version: '3'}\n")
    assert kin.same(ImageReference.parse("quay.io/team/one:4"), "PLACEHOLDER")
    assert kin.same(ImageReference.parse("quay.io/other/image:4"), "latest")


def test_tags_that_hubtool_chooses_itself_are_told_apart_too(tmp_path: Path) -> None:
    image = "  lab: {axes: [python, device], base: " + BASES + "}\n"
    (tmp_path / "hubtool.yaml").write_text(HEAD + image)
    kin = find_kin(load(tmp_path, {}), tmp_path / "hubtool.yaml")
    (repository,) = kin.tags
    tags = {variant: pattern.pattern for pattern, _, variant in kin.tags[repository]}
    assert len(tags) == len(set(tags.values())) == 4


def test_variants_that_differ_in_their_platform_alone_are_one(tmp_path: Path) -> None:
    image = "  lab: {axes: [python, platform], base: a, tags: ['py{python}-{date}']}\n"
    (tmp_path / "hubtool.yaml").write_text(
        'registry: quay.io/team\naxes: {python: ["3.13", "3.1"], platform: [amd64, arm64]}\nimages:\n' + image
    )
    kin = find_kin(load(tmp_path, {}), tmp_path / "hubtool.yaml")
    new = ImageReference.parse("quay.io/team/lab:py3.13-2026.11.16")
    assert kin.same(new, "py3.13-2026.11.09")
    assert not kin.same(new, "py3.1-2026.11.09")
