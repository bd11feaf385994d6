from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hubtool.commands.pins import MAX_TOLD, list_pins, set_pins
from hubtool.errors import HubtoolError

DIGEST, OTHER_DIGEST = "sha256:" + "a" * 64, "sha256:" + "b" * 64
COMMON, PROD = "deployments/a/config/common.yaml", "deployments/a/config/prod.yaml"
FILES = {
    COMMON: "jupyterhub:\n  singleuser:\n    image:\n      name: quay.io/org/hub\n      tag: old # stays\n",
    PROD: "jupyterhub:\n  singleuser:\n    image:\n      tag: older\n",
    "deployments/b/hubploy.yaml": f"images:\n  image_name: quay.io/org/hub:old@{DIGEST}\n",
    "deployments/b/config/common.yaml": "image: '{value}'\n",
    "deployments/b/secrets/prod.yaml": "image: ENC[x]\nsops:\n  version: 3\n",
    "hub/values.yaml": "image: ghcr.io/org/hub:old\ndescription: use quay.io/org/hub:old\n",
}
HUB = "quay.io/org/hub"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "hubs"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def hubtool(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "hubtool", "pins", *words]
    return subprocess.run(argv, capture_output=True, text=True, cwd=cwd, check=False)


def told(folder: Path, capsys: pytest.CaptureFixture[str], **options: object) -> list[dict[str, object]]:
    defaults: dict[str, object] = {"hub": None, "image": None, "root": folder, "as_json": True}
    list_pins(folder, **{**defaults, **options})  # type: ignore[arg-type]
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, list)
    return found


def set_to(folder: Path, tag: str, **options: object) -> None:
    flags = dict.fromkeys(("all_tags", "pin_digest", "dry_run", "as_json"), False)
    defaults: dict[str, object] = {"image": HUB, "hub": None, "from_tag": None, "root": folder, **flags}
    set_pins(folder, tag=tag, **{**defaults, **options})  # type: ignore[arg-type]


def state(root: Path) -> dict[str, str]:
    return {name: (root / name).read_text() for name in FILES}


# ---- list


def test_each_pin_is_told_with_the_keys_that_others_build_on(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(root, capsys)
    assert found[0] == {
        "file": COMMON,
        "line": 5,
        "image": HUB,
        "tag": "old",
        "digest": None,
        "path": "jupyterhub.singleuser.image.tag",
        "form": "split",
        "editable": True,
        "why": None,
    }
    assert [(pin["file"], pin["line"], pin["image"], pin["tag"], pin["digest"], pin["form"]) for pin in found[1:]] == [
        (PROD, 4, HUB, "older", None, "tag-only"),
        ("deployments/b/config/common.yaml", 1, "{value}", "", None, "inline"),
        ("deployments/b/hubploy.yaml", 2, HUB, "old", DIGEST, "inline"),
        ("hub/values.yaml", 1, "ghcr.io/org/hub", "old", None, "inline"),
    ]
    assert [(pin["editable"], pin["why"]) for pin in found[1:3]] == [
        (True, None),
        (False, "is a template's placeholder, not an image"),
    ]


def test_one_hub_and_one_image_can_be_asked_for(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert {pin["file"] for pin in told(root, capsys, hub="a")} == {COMMON, PROD}
    assert [pin["file"] for pin in told(root, capsys, image=HUB)] == [COMMON, PROD, "deployments/b/hubploy.yaml"]
    assert [pin["image"] for pin in told(root, capsys, image="ghcr.io/org/hub")] == ["ghcr.io/org/hub"]
    assert len(told(root, capsys, image="org/hub")) == 4, "on whatever host"
    assert told(root, capsys, image="hub") == []
    assert told(root, capsys, image=HUB, hub="b")[0]["digest"] == DIGEST


def test_docker_hub_may_be_left_out(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "hub/values.yaml").write_text("image: org/x:1\nbuild_image: docker.io/org/x:2\n")
    assert len(told(root, capsys, image="org/x")) == len(told(root, capsys, image="docker.io/org/x")) == 2


@pytest.mark.parametrize("image", ["org/hub:old", f"org/hub@{DIGEST}", "Org/hub", "", "a b"])
def test_what_is_no_image_is_one_error(root: Path, image: str) -> None:
    with pytest.raises(HubtoolError, match=r"is not an image reference|without tag and digest"):
        set_to(root, "new", image=image)
    with pytest.raises(HubtoolError, match=r"is not an image reference|without tag and digest"):
        list_pins(root, hub=None, image=image, root=root, as_json=True)


def test_people_read_a_table_and_what_was_not_read(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    list_pins(root, hub="b", image=None, root=root, as_json=False)
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].split() == ["place", "image", "path", "left", "because"]
    assert lines[2].split(maxsplit=3) == [
        "deployments/b/config/common.yaml:1",
        "{value}",
        "image",
        "is a template's placeholder, not an image",
    ]
    assert lines[3].split() == ["deployments/b/hubploy.yaml:2", f"{HUB}:old@{DIGEST[:19]}…", "images.image_name"]
    assert err == "warning: not read: deployments/b/secrets/prod.yaml is encrypted by SOPS\n"


def test_very_many_files_that_were_not_read_are_counted(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(MAX_TOLD + 5):
        (root / f"{number}.yaml").write_bytes(b"\0GITCRYPT\0")
    list_pins(root, hub=None, image=None, root=root, as_json=True)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == MAX_TOLD + 1
    assert lines[-1] == "warning: not read: 6 more"


def test_nothing_there_is_said(tmp_path: Path) -> None:
    done = hubtool("list", str(tmp_path), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"no pin in {tmp_path}\n"
    done = hubtool("list", "--json", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


def test_a_folder_that_is_not_there_is_one_error(tmp_path: Path) -> None:
    done = hubtool("list", "gone", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "hubtool: no folder gone\n")


def test_names_of_files_can_not_write_to_the_terminal(tmp_path: Path) -> None:
    for name in ("\x1b[2Ja.yaml", "b\nc.yaml"):
        (tmp_path / name).write_text("image: org/x:1\n")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.yaml")).write_text("image: org/x:1\n")
    done = hubtool("list", ".", cwd=tmp_path)
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()[2:]] == [
        r"\x1b[2Ja.yaml:1",
        r"b\nc.yaml:1",
        r"\udcff.yaml:1",
    ]
    moved = hubtool("set", "--image", "org/x", "--tag", "2", ".", cwd=tmp_path)
    assert moved.returncode == 0
    assert "\x1b" not in moved.stdout
    assert all((tmp_path / name).read_text() == "image: org/x:2\n" for name in os.listdir(tmp_path))


def test_a_reader_that_has_enough_is_no_error(root: Path) -> None:
    (root / "many.yaml").write_text("".join(f"a{number}: {{image: org/x:1}}\n" for number in range(5000)))
    listing = f"{sys.executable} -m hubtool pins list . | head -1; exit ${{PIPESTATUS[1]}}"
    done = subprocess.run(["bash", "-c", listing], capture_output=True, text=True, cwd=root, check=True)
    assert "Traceback" not in done.stderr
    assert "Broken pipe" not in done.stderr


def test_hubtool_yaml_says_where_hubs_are_and_which_charts_carry_an_image(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "Chart.yaml").write_text("name: x\nversion: 1.0.0\nappVersion: '7'\n")
    (tmp_path / "hubtool.yaml").write_text(
        "registry: quay.io/org\nimages: {hub: {}}\ndeployment:\n  repository: org/hubs\n"
        "  paths: {elsewhere: [hub]}\n  charts: {'.': org/desk}\n"
    )
    assert [pin["file"] for pin in told(root, capsys, hub="elsewhere", root=tmp_path)] == ["hub/values.yaml"]
    (pin,) = told(root, capsys, image="org/desk", root=tmp_path)
    assert (pin["file"], pin["tag"], pin["form"]) == ("Chart.yaml", "7", "app-version")
    set_to(root, "8", image="org/desk", root=tmp_path)
    assert (root / "Chart.yaml").read_text() == "name: x\nversion: 1.0.1\nappVersion: '8'\n"


def test_it_starts_without_what_it_does_not_need(root: Path) -> None:
    heavy = ("pydantic", "httpx", "git", "github", "rich", "boto3", "docker", "ruamel", "multiprocessing")
    code = (
        "import sys, hubtool.main\n"
        "sys.argv = ['hubtool', 'pins', *sys.argv[1:]]\n"
        "try: hubtool.main.run()\n"
        f"finally: print('heavy:', [name for name in {heavy!r} if name in sys.modules])\n"
    )
    for words in (
        ["list", "--json", "--hub", "a", "."],
        ["set", "--image", HUB, "--tag", "x", "--all-tags", "--hub=a"],
    ):
        argv = [sys.executable, "-c", code, *words]
        done = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=root)
        assert done.stdout.endswith("heavy: []\n")


# ---- set


def test_the_pins_at_one_tag_move_and_the_others_are_told(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_to(root, "123456789012", hub="a", from_tag="old")
    assert state(root) == FILES | {COMMON: FILES[COMMON].replace("tag: old", 'tag: "123456789012"')}
    out, err = capsys.readouterr()
    assert '-      tag: old # stays\n+      tag: "123456789012" # stays\n' in out
    assert err.splitlines() == [
        f"warning: left as it is: {PROD}:4: jupyterhub.singleuser.image.tag: {HUB}:older",
        f"moved 1 tag in 1 file to {HUB}:123456789012",
    ]


def test_pins_at_several_tags_need_a_word_more(root: Path) -> None:
    with pytest.raises(HubtoolError, match="stand at 2 tags"):
        set_to(root, "new", hub="a")
    assert state(root) == FILES
    set_to(root, "new", hub="a", all_tags=True)
    assert [text.count("tag: new") for text in state(root).values()] == [1, 1, 0, 0, 0, 0]


def test_a_second_time_there_is_nothing_to_do(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_to(root, "new", hub="a", all_tags=True)
    stamps = {name: (root / name).stat() for name in FILES}
    capsys.readouterr()
    set_to(root, "new", hub="a")
    assert capsys.readouterr() == ("", f"nothing to do, it is at {HUB}:new\n")
    assert {name: (root / name).stat() for name in FILES} == stamps
    set_to(root, "new", hub="a", as_json=True)
    assert json.loads(capsys.readouterr().out) == []


def test_a_dry_run_shows_what_would_change_and_changes_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_to(root, "new", hub="a", all_tags=True, dry_run=True)
    dry = capsys.readouterr()
    assert state(root) == FILES
    assert dry.err == f"would move 2 tags in 2 files to {HUB}:new\n"
    set_to(root, "new", hub="a", all_tags=True)
    assert capsys.readouterr().out == dry.out


def test_the_changes_are_told_as_json(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_to(root, f"new@{OTHER_DIGEST}", from_tag="old", as_json=True)
    assert json.loads(capsys.readouterr().out) == [
        {"file": COMMON, "line": 5, "path": "jupyterhub.singleuser.image.tag", "old": "old", "new": "new"},
        {
            "file": "deployments/b/hubploy.yaml",
            "line": 2,
            "path": "images.image_name",
            "old": f"old@{DIGEST}",
            "new": f"new@{OTHER_DIGEST}",
        },
    ]
    assert (root / "deployments/b/hubploy.yaml").read_text().endswith(f"{HUB}:new@{OTHER_DIGEST}\n")


def test_a_digest_is_added_where_that_is_asked_for(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_to(root, f"new@{DIGEST}", hub="a", from_tag="old", pin_digest=True, as_json=True)
    assert [(one["old"], one["new"]) for one in json.loads(capsys.readouterr().out)] == [("old", f"new@{DIGEST}")]
    assert (root / COMMON).read_text() == FILES[COMMON].replace("tag: old", f"tag: new@{DIGEST}")
    set_to(root, f"new@{DIGEST}", hub="a", from_tag="new", pin_digest=True)
    assert capsys.readouterr().err.endswith(f"nothing to do, it is at {HUB}:new@{DIGEST}\n")


def test_who_shares_a_file_that_changes_is_told(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cluster = "hubs:\n" + "".join(f"- {{name: {hub}, helm_chart_values_files: [v.yaml]}}\n" for hub in "xyz")
    (root / "config/clusters/c").mkdir(parents=True)
    (root / "config/clusters/c/cluster.yaml").write_text(cluster)
    (root / "config/clusters/c/v.yaml").write_text(FILES[COMMON])
    set_to(root, "new", hub="y")
    assert capsys.readouterr().err.splitlines() == [
        "warning: y shares what changes with c/x, c/z",
        f"moved 1 tag in 1 file to {HUB}:new",
    ]


def test_github_actions_is_told_which_files_changed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_OUTPUT", str(root / "output"))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(root / "summary"))
    set_to(root, "new", hub="a", all_tags=True)
    assert f"\n{COMMON}\n{PROD}\n" in (root / "output").read_text()
    assert f"moved 2 tags in 2 files to {HUB}:new" in (root / "summary").read_text()


def test_a_digest_that_is_not_known_stops_all(root: Path) -> None:
    with pytest.raises(HubtoolError, match="the digest of 'new' is not known"):
        set_to(root, "new", from_tag="old")
    assert state(root) == FILES


@pytest.mark.parametrize("tag", ["", "-x", "a b", "a/b", "a:b", "new@", "new@sha256:1", "x" * 129])
def test_what_is_no_tag_is_one_error(root: Path, tag: str) -> None:
    with pytest.raises(HubtoolError, match=r"is not a tag|bad digest"):
        set_to(root, tag, all_tags=True)
    assert state(root) == FILES


def test_an_image_that_nobody_pins_names_those_that_are(root: Path) -> None:
    with pytest.raises(HubtoolError, match=f"no pin of org/hubs; images pinned there:\n.*\n  {HUB}") as caught:
        set_to(root, "new", image="org/hubs")
    assert caught.value.hint == f"did you mean {HUB}?" or caught.value.hint == "did you mean ghcr.io/org/hub?"


def test_an_image_on_several_hosts_has_to_be_named_with_its_host(root: Path) -> None:
    with pytest.raises(HubtoolError, match=r"pinned on 2 hosts: ghcr\.io/org/hub, quay\.io/org/hub"):
        set_to(root, "new", image="org/hub")


def test_a_file_that_could_not_be_read_but_speaks_of_the_image_is_told(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "deployments/a/broken.yaml").write_text(f"image: [{HUB}:old\n")
    (root / "deployments/a/other.yaml").write_text("image: [org/x:old\n")
    set_to(root, "new", hub="a", from_tag="old")
    assert "warning: not read, but it speaks of the image: deployments/a/broken.yaml is not YAML" in (
        err := capsys.readouterr().err
    )
    assert "other.yaml" not in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--image", HUB], "Missing option '--tag'"),
        (["--tag", "new"], "Missing option '--image'"),
        (["--image", HUB, "--tag", "new", "--from", "old", "--all-tags"], "exclude each other"),
        (["--image", HUB, "--tag", "new", "--pin-digest"], "needs the digest"),
        (["--image", HUB, "--tag", "new", ".", "more"], "unexpected extra argument"),
    ],
)
def test_wrong_usage_ends_with_2_and_changes_nothing(root: Path, words: list[str], message: str) -> None:
    done = hubtool("set", *words, cwd=root)
    assert done.returncode == 2
    assert message in done.stderr
    assert state(root) == FILES


def test_the_program_does_it_too(root: Path) -> None:
    done = hubtool("set", "--image", HUB, "--tag", "new", "--hub", "a", "--from", "older", ".", cwd=root)
    assert done.returncode == 0, done.stderr
    assert state(root) == FILES | {PROD: FILES[PROD].replace("older", "new")}
    listed = json.loads(hubtool("list", "--json", "--hub", "a", ".", cwd=root).stdout)
    assert [pin["tag"] for pin in listed] == ["old", "new"]
