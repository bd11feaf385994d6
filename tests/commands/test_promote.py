from __future__ import annotations

import json
from pathlib import Path

import pytest

from hubtool.commands.promote import promote
from hubtool.errors import HubtoolError
from hubtool.reference import ImageReference
from tests.forges.repositories import commit, git, show
from tests.pins.bumping import FILE, NAME, NEW, OLD, hubs, image, nobody, pin
from tests.pins.labs import chart, lab, live, values, variants

__all__ = ["chart", "hubs", "image", "lab", "nobody", "pin"]


@pytest.fixture
def root(tmp_path: Path, image: ImageReference, hubs: Path, pin: str) -> Path:
    """An image repository whose hub is at NEW on staging and at OLD on prod."""
    git(hubs, "branch", "prod", "staging")
    commit(hubs, "staging", {FILE: pin.replace(OLD, NEW)})
    folder = tmp_path / "base-user-image"
    folder.mkdir()
    (folder / "hubtool.yaml").write_text(
        f"registry: {image.registry}/team\nimages:\n  base-user-image: {{}}\n"
        f"deployment:\n  repository: ../{NAME}.git\n  branch: staging\n  promote: prod\n"
    )
    return folder


def add(root: Path, text: str) -> None:
    file = root / "hubtool.yaml"
    file.write_text(file.read_text() + text)


def call(root: Path, **options: object) -> None:
    defaults: dict[str, object] = dict.fromkeys(("image", "deployment", "branch", "from_tag", "from_hub"))
    flags: dict[str, object] = {"root": root, "dry_run": False, "as_json": True}
    promote(["base"], **{**defaults, **flags, **options})  # type: ignore[arg-type]


def test_the_pins_of_the_hub_are_promoted(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call(root)
    told = json.loads(capsys.readouterr().out)
    assert (told["old"], told["new"], told["branch"]) == ([OLD], NEW, "hubtool/bump/base/team-base-user-image@prod")


def test_what_has_not_soaked_is_not_yet_proposed_and_no_error(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(root, "  soak: 7d\n")
    call(root, as_json=False)
    assert capsys.readouterr().out.startswith(f"base: not yet, {NEW} of ")


def test_a_whole_branch_is_merged_where_hubtool_yaml_says_so(
    root: Path, hubs: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(root, "  promote_by: merge\n")
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    call(root)
    told = json.loads(capsys.readouterr().out)
    assert (told["head"], told["base"], told["request"]["number"]) == ("staging", "prod", 1)
    assert [(one["hub"], one["old"], one["tag"]) for one in told["pins"]] == [("base", OLD, NEW)]
    assert "pull_request_number<<" in (tmp_path / "output").read_text()
    assert 'head: "staging"\nbase: "prod"' in (hubs / "requests/1.md").read_text()


def test_a_whole_branch_has_no_single_image(root: Path) -> None:
    add(root, "  promote_by: merge\n")
    with pytest.raises(HubtoolError, match="merges the whole branch"):
        call(root, image="base-user-image")


def test_a_hub_without_a_common_image_is_an_error(root: Path, tmp_path: Path, hubs: Path) -> None:
    commit(hubs, "prod", {FILE: "a: 1\n"})
    with pytest.raises(HubtoolError, match="not pinned both"):
        call(root)


def test_hubtool_yaml_tells_variants_apart(chart: Path, lab: ImageReference, tmp_path: Path) -> None:
    live(chart, lab, ("cpu-2", "gpu-3"))
    (tmp_path / "hubtool.yaml").write_text(variants(lab) + f"deployment: {{repository: {chart}, promote: prod}}\n")
    call(tmp_path, branch="staging")
    assert show(chart, "hubtool/bump/base/team-lab@prod", FILE).decode() == values(lab, "cpu-2", "gpu-3")
