"""Variants of a stack, ready for the verbs: which are chosen, what they are called, what they are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubtool.config import load
from hubtool.errors import HubtoolError
from hubtool.plan import Variant, make_plan
from tests.plan.stacks import BASE, HEAD
from tests.plan.test_plan import SOURCE

IMAGES = (
    BASE
    + """\
  tool:
    from: base
    axes: [python, device]
    tags: ["py{python}{-gpu}", "py{python}{-gpu}-{commit}", "{date}-{python}{-gpu}"]
    skip: [{where: {python: "3.12", device: gpu}, why: too old}]
  alone: {axes: {python: first}, tags: [latest]}
"""
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "hubtool.yaml").write_text(HEAD + IMAGES)
    return tmp_path


def plan(root: Path, *images: str, **options: object) -> dict[str, Variant]:
    found = make_plan(load(root, {}), root, SOURCE, images, **options)  # type: ignore[arg-type]
    return {variant.image: variant for variant in found}


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        ([], ["base[cpu]", "base[gpu]", "tool[3.13,cpu]", "tool[3.13,gpu]", "tool[3.12,cpu]", "alone"]),
        (["tool"], ["tool[3.13,cpu]", "tool[3.13,gpu]", "tool[3.12,cpu]"]),
        (["tool[3.12]"], ["tool[3.12,cpu]"]),
        (["tool[3.12,gpu]"], ["tool[3.12,gpu]"]),
        (["tool[gpu,3.12]"], ["tool[3.12,gpu]"]),
        (["tool[cpu]", "alone", "tool[cpu]"], ["tool[3.13,cpu]", "tool[3.12,cpu]", "alone"]),
    ],
)
def test_the_skipped_are_chosen_only_where_they_are_named_in_full(
    root: Path, names: list[str], chosen: list[str]
) -> None:
    assert list(plan(root, *names)) == chosen


def test_with_parents_a_variant_comes_after_what_it_is_built_on(root: Path) -> None:
    assert list(plan(root, "tool[3.13,gpu]", with_parents=True)) == ["base[gpu]", "tool[3.13,gpu]"]


@pytest.mark.parametrize(
    ("name", "says", "hint"),
    [
        ("tool[3.11]", "no variant 'tool[3.11]'", "variants of tool: tool[3.13,cpu], tool[3.13,gpu], "),
        ("tol[3.12]", "no image called 'tol'", "images here: base, tool, alone"),
    ],
)
def test_a_name_that_means_nothing_is_told_with_those_that_do(root: Path, name: str, says: str, hint: str) -> None:
    with pytest.raises(HubtoolError) as caught:
        plan(root, name)
    assert caught.value.message == says
    assert str(caught.value.hint).startswith(hint)


def test_hubs_pin_the_first_tag_that_never_moves(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBTOOL_DATE", "2026.07.06")
    tool = plan(root)["tool[3.13,gpu]"]
    assert str(tool.reference) == "quay.io/team/tool:py3.13-gpu-abababababab"
    assert not tool.moves
    assert tool.further == (("py3.13-gpu", True), ("2026.07.06-3.13-gpu", False))
    alone = plan(root)["alone"]
    assert (alone.reference.tag, alone.moves, alone.further) == ("latest", True, ())


@pytest.mark.parametrize("day", ["today", "2026-07-06", "a b"])
def test_a_day_that_is_none_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch, day: str) -> None:
    monkeypatch.setenv("HUBTOOL_DATE", day)
    with pytest.raises(HubtoolError, match="HUBTOOL_DATE is '"):
        plan(root)


def test_variants_of_one_repository_have_newest_releases_and_caches_of_their_own(root: Path) -> None:
    found = plan(root)
    assert found["tool[3.13,gpu]"].newest == "hubtool-newest-tool-3.13-gpu"
    assert found["alone"].newest == "hubtool-newest"
    caches = {str(variant.cache.reference) for variant in found.values() if variant.cache}
    assert "quay.io/team/tool:buildcache-tool-3.13-gpu" in caches
    assert "quay.io/team/alone:buildcache" in caches
    assert len(caches) == len(found)


def test_layers_are_looked_for_in_parents_then_in_an_image_of_each_other_name(root: Path) -> None:
    (root / "hubtool.yaml").write_text(
        HEAD + IMAGES + "share_layers_with: [quay.io/team/far, ghcr.io/team/elsewhere]\n"
    )
    found = plan(root)

    def near(variant: str) -> list[str]:
        return [str(one).removeprefix("quay.io/team/") for one in found[variant].packing.siblings]

    far, alone = "far:hubtool-newest", "alone:hubtool-newest"
    first, base = "tool:hubtool-newest-tool-3.13-cpu", "base:hubtool-newest-base-"
    assert near("tool[3.13,gpu]") == [f"{base}gpu", far, f"{base}cpu", first, alone]
    assert near("tool[3.13,cpu]") == [f"{base}cpu", far, alone]
    assert near("base[gpu]") == [far, f"{base}cpu", first, alone]


def test_a_tag_that_is_given_is_for_one_variant_of_a_repository(root: Path) -> None:
    given = plan(root, "tool[3.12,cpu]", "alone", tag="try")
    assert [str(variant.reference) for variant in given.values()] == ["quay.io/team/tool:try", "quay.io/team/alone:try"]
    assert all(variant.further == () and not variant.moves for variant in given.values())
    with pytest.raises(HubtoolError, match=r"tool\[3.13,cpu\] and .* would all be quay.io/team/tool:try"):
        plan(root, "tool", tag="try")


def test_a_build_is_told_the_variants_base_arguments_and_labels(root: Path) -> None:
    job = plan(root)["base[gpu]"].job
    assert (job.settings.base, job.image) == ("cuda:12", "base[gpu]")
    assert job.labels["org.opencontainers.image.revision"] == SOURCE.commit


def test_what_is_named_in_full_is_that_alone_also_where_axes_share_values(tmp_path: Path) -> None:
    head = 'registry: quay.io/team\naxes: {old: ["1", "2"], new: ["1", "2"]}\nimages:\n'
    skip = "skip: [{where: {old: '2'}, why: gone}]"
    (tmp_path / "hubtool.yaml").write_text(f"{head}  a: {{axes: [old, new]}}\n  b: {{axes: {{old: ['2']}}, {skip}}}\n")
    assert list(plan(tmp_path, "a[2,1]")) == ["a[2,1]"]
    assert list(plan(tmp_path, "b")) == ["b"]
    assert "b" not in plan(tmp_path)


def test_values_of_skipped_variants_alone_are_told_why(root: Path) -> None:
    text = (root / "hubtool.yaml").read_text().replace('{python: "3.12", device: gpu}', "{device: gpu}")
    (root / "hubtool.yaml").write_text(text)
    with pytest.raises(HubtoolError) as caught:
        plan(root, "tool[gpu]")
    assert caught.value.message == "tool[gpu] is left out: too old"
    assert str(caught.value.hint).endswith("in full: tool[3.13,gpu], tool[3.12,gpu]")
