from __future__ import annotations

import json
from pathlib import Path

import pytest

from hubtool.commands.rollback import rollback
from hubtool.errors import HubtoolError
from hubtool.reference import ImageReference
from tests.forges.repositories import commit, sha, show
from tests.pins.bumping import FILE, NAME, NEW, OLD, hubs, image, nobody, pin
from tests.pins.labs import chart, lab, live, values, variants

__all__ = ["chart", "hubs", "image", "lab", "nobody", "pin"]


@pytest.fixture
def root(tmp_path: Path, image: ImageReference, hubs: Path, pin: str) -> Path:
    """An image repository whose hub went from OLD to NEW."""
    commit(hubs, "staging", {FILE: pin.replace(f"tag: {OLD}", f'tag: "{NEW}"')})
    folder = tmp_path / "base-user-image"
    folder.mkdir()
    (folder / "hubtool.yaml").write_text(
        f"registry: {image.registry}/team\nimages:\n  base-user-image: {{}}\ndeployment:\n  repository: ../{NAME}.git\n"
    )
    return folder


def call(root: Path, **options: object) -> None:
    defaults: dict[str, object] = dict.fromkeys(("image", "deployment", "branch", "from_tag"))
    flags: dict[str, object] = {"root": root, "dry_run": False, "as_json": True}
    rollback(["base"], **{**defaults, **flags, **options})  # type: ignore[arg-type]


def test_hubtool_yaml_says_image_and_repository(root: Path, hubs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call(root)
    told = json.loads(capsys.readouterr().out)
    assert (told["old"], told["new"], told["files"]) == ([NEW], OLD, [FILE])
    assert told["commit"] == sha(hubs, "hubtool/rollback/base/team-base-user-image")


def test_the_line_of_a_pull_request_works_anywhere(
    tmp_path: Path, root: Path, hubs: Path, image: ImageReference, capsys: pytest.CaptureFixture[str]
) -> None:
    call(tmp_path, image=image.name, deployment=str(hubs), as_json=False)
    assert capsys.readouterr().out.startswith("base: created file://")


def test_a_dry_run_shows_the_diff(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call(root, dry_run=True, as_json=False)
    out = capsys.readouterr().out
    assert f'-      tag: "{NEW}" # at the release\n+      tag: "{OLD}" # at the release' in out
    assert "would push hubtool/rollback/base/team-base-user-image and open:" in out


def test_an_image_with_a_tag_is_refused(root: Path) -> None:
    with pytest.raises(HubtoolError, match="the tag goes into --tag"):
        call(root, image="team/base-user-image:1")


def test_hubtool_yaml_tells_variants_apart(chart: Path, lab: ImageReference, tmp_path: Path) -> None:
    live(chart, lab, ("cpu-2", "gpu-2"))
    (tmp_path / "hubtool.yaml").write_text(variants(lab))
    call(tmp_path, deployment=str(chart), branch="staging")
    assert show(chart, "hubtool/rollback/base/team-lab", FILE).decode() == values(lab, "cpu-1", "gpu-1")
