from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hubtool import config
from hubtool.commands.new import new
from hubtool.errors import HubtoolError


def create(directory: Path, *settings: str, template: str = "hub-image") -> None:
    new(directory, template=template, settings=settings, no_input=True)


def refused(directory: Path, *settings: str, template: str = "hub-image") -> str:
    with pytest.raises(HubtoolError) as caught:
        create(directory, *settings, template=template)
    return str(caught.value)


def hubtool(*words: str | Path, cwd: Path, typed: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hubtool", *map(str, words)]
    return subprocess.run(command, cwd=cwd, input=typed, capture_output=True, text=True, timeout=120)


def test_the_folder_s_name_names_the_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    create(tmp_path / "stats-user-image")
    read = config.load(tmp_path / "stats-user-image", {})
    assert list(read.images) == ["stats-user-image"]
    assert read.deployment is not None
    assert read.deployment.hubs == ("stats",)
    printed = capsys.readouterr()
    assert printed.out == f"{tmp_path / 'stats-user-image'}\n"
    assert "git init" in printed.err


def test_a_setting_may_name_the_image_otherwise(tmp_path: Path) -> None:
    create(tmp_path / "My Work", "repository_name=stats-user-image")
    assert list(config.load(tmp_path / "My Work", {}).images) == ["stats-user-image"]


def test_an_empty_folder_and_folders_above_it_are_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    create(tmp_path / "empty")
    create(tmp_path / "a" / "b" / "deep")
    assert (tmp_path / "empty" / "hubtool.yaml").is_file()
    assert (tmp_path / "a" / "b" / "deep" / "hubtool.yaml").is_file()


def test_the_working_folder_itself_may_be_filled(tmp_path: Path) -> None:
    (tmp_path / "image").mkdir()
    done = subprocess.run(
        ["sh", "-c", '"$0" -m hubtool new . --no-input && cat hubtool.yaml', sys.executable],
        cwd=tmp_path / "image",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "registry:" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["image"]


def test_nothing_else_is_left_neither_beside_nor_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".cookiecutterrc").write_text("default_context: {organisation: surprise}\n")
    done = subprocess.run(
        [sys.executable, "-m", "hubtool", "new", "image", "--no-input"],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(home)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "image"]
    assert [path.name for path in home.iterdir()] == [".cookiecutterrc"]
    assert "surprise" not in (tmp_path / "image" / "hubtool.yaml").read_text()


def test_the_folder_can_be_read_by_others_as_the_umask_says(tmp_path: Path) -> None:
    create(tmp_path / "image")
    mask = os.umask(0)
    os.umask(mask)
    assert (tmp_path / "image").stat().st_mode & 0o777 == 0o777 & ~mask


@pytest.mark.parametrize(
    "setting",
    [
        "registry=123456789012.dkr.ecr.eu-west-1.amazonaws.com",
        "registry=localhost:5000",
        "registry=docker.io/my-org",
        "registry=ghcr.io/my-org/images",
        "deployment_repository=my-org/hubs.config",
        "deployment_repository=ssh://git@git.example.org:2222/team/hubs.git",
        "deployment_repository=file:///srv/git/hubs.git",
        "deployment_repository=/srv/git (old)/hübs, a@b.git",
        "deployment_branch=release/2026.1",
        "codeowners=@my-org/image-team,someone@example.org",
        "codeowners=",
        "base_image=docker.io/library/buildpack-deps:24.04",
        "hub_name=0123456789",
    ],
)
def test_a_good_answer_is_taken(tmp_path: Path, setting: str) -> None:
    create(tmp_path / "image", setting)
    assert config.load(tmp_path / "image", {})


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("repository_name=Base Image", "lower-case letters and digits"),
        ("repository_name=../evil", "like base-user-image"),
        ("repository_name=a/b/c", "like base-user-image"),
        ("repository_name=..", "like base-user-image"),
        ("repository_name=", "like base-user-image"),
        ("repository_name=yes", "YAML does not read this word as a name"),
        ("repository_name=123", "starts with a letter"),
        ("repository_name=" + "a" * 101, "aaa...': a name is"),
        ("repository_name=x\ny", "control character"),
        ("repository_name={{ 7 * 7 }}", "lower-case letters"),
        ("organisation=my_org", "letters, digits and '-'"),
        ("organisation=-x", "like my-org"),
        ("organisation='''+__import__('os').system('touch hacked')+'''", "like my-org"),
        ("hub_name=staging hub", "like base"),
        ("hub_name=../../x", "like base"),
        ("registry=https://quay.io/x", "leave out 'https://'"),
        ("registry=my-org/images", "expected a registry's host first"),
        ("registry=quay.io/My-Org", "lower case"),
        ("registry=quay.io/my-org/", "without a tag or a '/' at the end"),
        ("registry=quay.io/my-org:latest", "without a tag"),
        ("registry=quay.io", "like quay.io/my-org"),
        ("registry=us-central1-docker.pkg.dev/only-project", "HOST/PROJECT/REPOSITORY"),
        ("registry=12.dkr.ecr.us-east-1.amazonaws.com", "ACCOUNT.dkr.ecr.REGION"),
        ("registry=$(id).example.org/x", "expected a registry's host"),
        ("deployment_repository=hubs", "owner/name like my-org/my-org-hubs"),
        ("deployment_repository=https://user:secret@git.example.org/hubs", "leave the password out"),
        ('deployment_repository=/srv/a"b', "owner/name like"),
        ("deployment_branch=a..b", "for example staging"),
        ("deployment_branch=-f", "for example staging"),
        ("deployment_branch=x.lock", "for example staging"),
        ("promote_branch=staging", "the same as deployment_branch"),
        ("promote_branch=a b", "or none"),
        ("codeowners=someone", "@my-org/image-team"),
        ("base_image=Base:1", "buildpack-deps:24.04"),
        ("base_image=base:1; id", "buildpack-deps:24.04"),
        ("codeowners=@a @{{x}}", "@my-org/image-team"),
        ("environment=poetry", "not one of: conda, uv"),
        ("python_version=2.7", "not one of: 3.12"),
        ("include_r=YES", "not one of: no, yes"),
        ("hubtool_commit=v0.1.0", "40 hexadecimal digits"),
        ("hubtool_commit=0.1", "40 hexadecimal digits"),
        ("nonsense", "expected KEY=VALUE"),
        ("hub_nam=x", "did you mean 'hub_name'?"),
        ("_hubtool_repository=evil/evil", "no such question"),
        ("=x", "no such question"),
    ],
)
def test_a_bad_answer_is_named_and_leaves_nothing(tmp_path: Path, setting: str, says: str) -> None:
    before = set(os.listdir("."))
    message = refused(tmp_path / "image", setting)
    assert says in message
    assert "secret" not in message
    assert not list(tmp_path.iterdir())
    assert set(os.listdir(".")) == before


def test_all_bad_answers_are_named_at_once(tmp_path: Path) -> None:
    message = refused(tmp_path / "image", "registry=x", "hub_name=a b")
    assert "registry: 'x'" in message
    assert "hub_name: 'a b'" in message


def test_a_bad_folder_name_is_a_bad_image_name(tmp_path: Path) -> None:
    assert "repository_name: 'My Image'" in refused(tmp_path / "My Image")


def test_a_template_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    assert "did you mean 'hub-image'?" in refused(tmp_path / "image", template="hub-imag")
    assert "templates: hub-image" in refused(tmp_path / "image", template="../../etc")


def occupied(path: Path, kind: str) -> None:
    match kind:
        case "folder":
            path.mkdir()
            (path / "file").write_text("mine")
        case "file":
            path.write_text("mine")
        case "link":
            path.symlink_to(path.parent / "nowhere")


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_what_is_there_is_never_touched(tmp_path: Path, kind: str) -> None:
    occupied(tmp_path / "image", kind)
    before = [(p, p.is_file() and p.read_text()) for p in sorted(tmp_path.rglob("*"))]
    assert "exists and is not an empty folder" in refused(tmp_path / "image")
    assert [(p, p.is_file() and p.read_text()) for p in sorted(tmp_path.rglob("*"))] == before


def test_a_file_in_place_of_a_folder_above_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be created" in refused(tmp_path / "file" / "image")
    assert "cannot be created" in refused(tmp_path / ("x" * 300) / "image")


def test_two_at_once_make_one_whole_repository(tmp_path: Path) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "hubtool", "new", "image", "--no-input"],
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    errors = [process.communicate()[1] for process in started]
    assert sorted(process.returncode for process in started) == [0, 1], errors
    assert [path.name for path in tmp_path.iterdir()] == ["image"]
    create(tmp_path / "other")
    assert len(list((tmp_path / "image").rglob("*"))) == len(list((tmp_path / "other").rglob("*")))
    assert not any("Traceback" in error for error in errors)


def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "hubtool", "new", "image"],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert b"organisation" in _until(process, b"organisation")
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"Traceback" not in error
    assert not list(tmp_path.iterdir())


def _until(process: subprocess.Popen[bytes], words: bytes, seconds: float = 60) -> bytes:
    seen = b""

    def read() -> None:
        nonlocal seen
        assert process.stdout is not None
        while words not in seen and (part := os.read(process.stdout.fileno(), 1000)):
            seen += part

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    deadline = time.monotonic() + seconds
    while reader.is_alive() and time.monotonic() < deadline:
        reader.join(0.1)
    return seen


def test_questions_are_asked_again_until_the_answer_will_do(tmp_path: Path) -> None:
    typed = ["My Org", "cal-icor", "", "quay.io", "quay.io/cal-icor", "", "", "", "2", "2", "1", "", "", "", "", ""]
    done = hubtool("new", "base-user-image", "--set", "tag=date", cwd=tmp_path, typed="\n".join(typed) + "\n")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "organisation: 'My Org': expected the name of a GitHub organisation" in done.stderr
    assert "What tags look like" not in done.stdout
    read = config.load(tmp_path / "base-user-image", {})
    assert (read.registry, read.tag) == ("quay.io/cal-icor", "date")
    assert read.deployment is not None
    assert read.deployment.repository == "cal-icor/cal-icor-hubs"
    assert (tmp_path / "base-user-image" / ".python-version").read_text() == "3.11\n"


def test_with_nobody_to_answer_it_says_how_to_go_on(tmp_path: Path) -> None:
    done = hubtool("new", "image", cwd=tmp_path)
    assert done.returncode == 1
    assert "--no-input" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_every_question_has_a_prompt_and_every_text_answer_a_check() -> None:
    import json

    from hubtool.commands.new import _load_checks, find_template

    source = find_template("hub-image")
    context = json.loads((source / "cookiecutter.json").read_text())
    questions = {key: value for key, value in context.items() if not key.startswith("_")}
    assert set(context["__prompts__"]) == set(questions)
    for key, default in questions.items():
        if not isinstance(default, list):
            assert _load_checks(source)({key: "\x00"}), key
