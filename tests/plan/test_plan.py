from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from hubtool import config
from hubtool.errors import HubtoolError
from hubtool.plan import make_plan
from hubtool.plan.source import Source

SOURCE = Source("ab" * 20, datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC), (), "https://example.org/a/b")
TEXT = "registry: quay.io/team\nimages: {one: {labels: {k: v}}, two: {context: sub}}\n"


def read(text: str) -> config.Config:
    return config.parse(text.encode(), Path("hubtool.yaml"), {})


def test_all_images_are_planned_in_the_files_order(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    plan = make_plan(read(TEXT), tmp_path, SOURCE)
    assert [str(variant.reference) for variant in plan] == [
        "quay.io/team/one:abababababab",
        "quay.io/team/two:abababababab",
    ]
    assert [variant.job.context for variant in plan] == [tmp_path, tmp_path / "sub"]
    assert plan[0].job.labels["k"] == "v"
    assert plan[0].job.labels["org.opencontainers.image.source"] == "https://example.org/a/b"


def test_a_tag_can_be_given(tmp_path: Path) -> None:
    (variant,) = make_plan(read(TEXT), tmp_path, SOURCE, ["one"], tag="2026.03.01")
    assert variant.reference.tag == "2026.03.01"
    with pytest.raises(HubtoolError, match="not a tag"):
        make_plan(read(TEXT), tmp_path, SOURCE, ["one"], tag="a b")


def test_an_unknown_image_is_named_with_those_that_exist(tmp_path: Path) -> None:
    with pytest.raises(HubtoolError, match="no image called 'three'") as caught:
        make_plan(read(TEXT), tmp_path, SOURCE, ["three"])
    assert "one, two" in str(caught.value)


@pytest.mark.parametrize("context", ["..", "/etc", "sub/../.."])
def test_a_context_never_leads_outside(tmp_path: Path, context: str) -> None:
    (tmp_path / "sub").mkdir()
    text = f"registry: quay.io/team\nimages: {{one: {{context: {context}}}}}\n"
    with pytest.raises(HubtoolError, match="leads outside"):
        make_plan(read(text), tmp_path, SOURCE)


def test_a_link_to_outside_is_no_context(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "link").symlink_to(tmp_path)
    text = "registry: quay.io/team\nimages: {one: {context: link}}\n"
    with pytest.raises(HubtoolError, match="leads outside"):
        make_plan(read(text), tmp_path / "inside", SOURCE)


def test_a_certificate_bundle_is_found_beside_the_file_or_by_a_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ca.pem").write_text("x")
    monkeypatch.setenv("CA_FOLDER", str(tmp_path))
    for written in ("ca.pem", "$CA_FOLDER/ca.pem"):
        (variant,) = make_plan(
            read(f"registry: a.b/c\nimages: {{x: }}\nsite: {{ca_bundle: {written}}}"), tmp_path, SOURCE
        )
        assert variant.job.ca_bundle == tmp_path / "ca.pem"
    with pytest.raises(HubtoolError, match=r"site\.ca_bundle: no file"):
        make_plan(read("registry: a.b/c\nimages: {x: }\nsite: {ca_bundle: gone.pem}"), tmp_path, SOURCE)
