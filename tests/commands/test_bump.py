from __future__ import annotations

import json
from pathlib import Path

import pytest

from hubtool.commands.bump import bump
from hubtool.errors import HubtoolError
from hubtool.plan.records import Record, write_record
from hubtool.reference import ImageReference
from hubtool.registries import find_release
from tests.forges.repositories import sha
from tests.pins.bumping import FILE, NAME, NEW, NEWER, OLD, OTHER, hubs, image, nobody, pin

__all__ = ["hubs", "image", "nobody", "pin"]


@pytest.fixture
def root(tmp_path: Path, image: ImageReference, hubs: Path) -> Path:
    """An image repository whose image was pushed."""
    folder = tmp_path / "base-user-image"
    folder.mkdir()
    (folder / "hubtool.yaml").write_text(
        f"registry: {image.registry}/team\nimages:\n  base-user-image: {{}}\n"
        f"deployment:\n  repository: ../{NAME}.git\n  hubs: [base]\n"
    )
    write_record(folder, "base-user-image", Record(f"{image.name}:{NEW}", "id", "docker", digest="sha256:" + "1" * 64))
    return folder


def call(root: Path, **options: object) -> None:
    defaults: dict[str, object] = dict.fromkeys(("image", "tag", "deployment", "branch", "from_tag"))
    flags: dict[str, object] = {"all_tags": False, "root": root, "dry_run": False, "as_json": True}
    bump(**{"hubs": ["base"], **defaults, **flags, **options})  # type: ignore[arg-type]


def test_everything_can_come_from_hubtool_yaml_and_the_last_push(
    root: Path, image: ImageReference, hubs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call(root)
    told = json.loads(capsys.readouterr().out)
    assert told == {
        "hub": "base",
        "hubs": ["base"],
        "image": image.name,
        "old": [OLD],
        "new": NEW,
        "further": [],
        "digest": told["digest"],
        "files": [FILE],
        "touched": ["base"],
        "request": {"number": 1, "url": (hubs / "requests/1.md").as_uri(), "state": "created"},
        "commit": sha(hubs, told["branch"]),
        "branch": "hubtool/bump/base/team-base-user-image",
        "waiting": None,
    }


def test_without_hubtool_yaml_the_options_are_enough(
    tmp_path: Path, image: ImageReference, hubs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call(tmp_path, image=image.name, tag=NEWER, deployment=str(hubs), as_json=False)
    out = capsys.readouterr().out
    assert out.startswith(
        f"base: created {(hubs / 'requests/1.md').as_uri()}\n  1 tag to {image.name}:{NEWER} in {FILE}\n"
    )
    assert f"+      tag: {NEWER} # at the release" in out


@pytest.mark.parametrize("name", ["base-user-image", "team/base-user-image"])
def test_an_image_may_be_named_as_hubtool_yaml_does_or_without_its_host(
    root: Path, image: ImageReference, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    call(root, image=name)
    assert json.loads(capsys.readouterr().out)["image"] == image.name


def test_a_second_run_says_that_there_is_nothing_to_do(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call(root)
    capsys.readouterr()
    call(root, as_json=False)
    assert capsys.readouterr().out.startswith("base: nothing to do, file://")


def test_a_dry_run_prints_the_diff_and_the_body(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call(root, dry_run=True, as_json=False)
    out = capsys.readouterr().out
    assert out.startswith(f"--- a/{FILE}\n+++ b/{FILE}\n")
    assert "would push hubtool/bump/base/team-base-user-image and open:" in out
    assert "Moves hub `base` to" in out


def test_a_bare_name_in_hubtool_yaml_starts_at_its_folder(
    root: Path, hubs: Path, image: ImageReference, capsys: pytest.CaptureFixture[str]
) -> None:
    hubs.rename(root / "some-hubs.git")
    text = (root / "hubtool.yaml").read_text().replace(f"../{NAME}.git", "some-hubs.git")
    (root / "hubtool.yaml").write_text(text)
    call(root)
    assert json.loads(capsys.readouterr().out)["request"]["number"] == 1


def test_github_actions_gets_outputs_and_a_summary(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    call(root)
    output = (tmp_path / "output").read_text()
    assert "pull_request_number<<" in output
    assert "requests/1.md" in output
    assert "### Bump of hub base: [#1](" in (tmp_path / "summary").read_text()


def test_rings_of_hubtool_yaml_stand_for_their_hubs(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "hubtool.yaml").write_text((root / "hubtool.yaml").read_text() + "  rings: {canary: [other, base]}\n")
    call(root, rings=["canary"])
    assert [one["hub"] for one in json.loads(capsys.readouterr().out)] == ["base", "other"]
    call(root, rings=["canary"], hubs=[], group=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["hub"], told["hubs"], told["files"]) == ("ring=canary", ["other", "base"], [FILE, OTHER])
    with pytest.raises(HubtoolError, match="no ring 'canari'") as caught:
        call(root, rings=["canari"])
    assert caught.value.hint == "rings there: canary"


def test_the_request_tells_what_the_image_was_tested_for(root: Path, hubs: Path, image: ImageReference) -> None:
    digest = find_release(image.with_tag(NEW))
    assert digest is not None
    tested = Record(f"{image.name}:{NEW}", "id", "docker", "jupyterhub", "14 passed", digest.reference.digest)
    write_record(root, "base-user-image", tested)
    call(root)
    assert "- tests: `contract jupyterhub: 14 passed`" in (hubs / "requests/1.md").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"from_tag": "x", "all_tags": True}, "exclude each other"),
        ({"image": "team/base-user-image:1"}, "the tag goes into --tag"),
        ({"image": "NOT an image"}, "not an image reference"),
        ({"tag": "no tag"}, "'no tag' is not a tag"),
        ({"branch": "nowhere"}, "no branch 'nowhere'"),
        ({"branch": "--upload-pack=x"}, "is not a branch's name"),
        ({"deployment": "/nowhere/at/all"}, "no git repository at /nowhere/at/all"),
        ({"deployment": "https://gitlab.com/a/b"}, "no way to open pull requests at gitlab"),
        ({"image": "quay.io/elsewhere/image"}, "no push of quay.io/elsewhere/image is recorded here"),
        ({"from_tag": "gone"}, "stands at 'gone'"),
    ],
)
def test_a_wrong_option_is_an_error_that_says_what_is_wrong(
    root: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises(HubtoolError, match=message):
        call(root, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "no image given"),
        ({"image": "team/x"}, "no tag given"),
        ({"image": "team/x", "tag": "1"}, "no deployment repository given"),
    ],
)
def test_without_hubtool_yaml_what_is_missing_is_named(
    tmp_path: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises(HubtoolError, match=message):
        call(tmp_path, **options)
