"""The template as cookiecutter's own users meet it, and as a wheel carries it."""

from __future__ import annotations

import os
import re
import shutil
import site
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.templates.conftest import PROJECT, program

IDENTITY = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository with what `cookiecutter` needs of this project, committed."""
    root = tmp_path_factory.mktemp("project") / "hubtool"
    root.mkdir()
    shutil.copy(PROJECT / "cookiecutter.json", root)
    shutil.copytree(PROJECT / "cookiecutter-template", root / "cookiecutter-template")
    for words in (["init", "-q"], ["add", "-A"], [*IDENTITY, "commit", "-q", "-m", "one"]):
        subprocess.run(["git", *words], cwd=root, check=True)
    return root


def head(root: Path) -> str:
    return subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=root, check=True, capture_output=True, text=True
    ).stdout.strip()


def cookiecutter(
    template: str | Path, out: Path, *answers: str, typed: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run cookiecutter as a program, with a home of its own."""
    home = out.parent / "home"
    home.mkdir(exist_ok=True)
    out.mkdir(exist_ok=True)
    command = [program("cookiecutter"), str(template), "--output-dir", str(out)]
    if typed is None:
        command.append("--no-input")
    return subprocess.run(
        [*map(str, command), *answers],
        env={**os.environ, "HOME": str(home)},
        input=typed or "",
        capture_output=True,
        text=True,
    )


def pinned(root: Path) -> set[str]:
    text = "".join(file.read_text() for file in (root / ".github" / "workflows").iterdir())
    return set(re.findall(r"@([0-9a-f]{40}) ", text))


def test_a_local_checkout_is_a_template(project: Path, tmp_path: Path) -> None:
    done = cookiecutter(project, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert pinned(tmp_path / "out" / "base-user-image") == {head(project)}


def test_a_clone_url_is_a_template(project: Path, tmp_path: Path) -> None:
    subprocess.run(["git", "clone", "-q", "--bare", project, tmp_path / "hubtool.git"], check=True)
    done = cookiecutter(
        f"file://{tmp_path}/hubtool.git", tmp_path / "out", "repository_name=stats-image", "environment=uv"
    )
    assert done.returncode == 0, done.stderr
    assert pinned(tmp_path / "out" / "stats-image") == {head(project)}
    assert (tmp_path / "out" / "stats-image" / "uv.lock").is_file()


def test_the_root_asks_which_template_and_then_its_questions(project: Path, tmp_path: Path) -> None:
    done = cookiecutter(project, tmp_path / "out", typed="\n" * 20)
    assert done.returncode == 0, done.stderr
    assert "Hub image" in done.stdout
    assert "Name of the repository" in done.stdout
    assert (tmp_path / "out" / "base-user-image" / "hubtool.yaml").is_file()


@pytest.mark.parametrize(
    "answer",
    [
        "repository_name=Bad Name",
        "repository_name=../outside",
        "repository_name=a/b",
        "repository_name=it's",
        "repository_name='''+exit(0)+'''",
        'repository_name="""+exit(0)+"""',
        'repository_name="\\',
        "registry=nowhere",
        "hub_name=a/b",
        "organisation=a b",
        "codeowners=nobody",
        "hubtool_commit=main",
    ],
)
def test_a_bad_answer_is_named_and_leaves_nothing(project: Path, tmp_path: Path, answer: str) -> None:
    done = cookiecutter(project, tmp_path / "out", answer)
    assert done.returncode == 1
    assert f"error: {answer.split('=')[0]}: " in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "out").iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "out"]


def test_a_copy_without_history_asks_for_the_commit(project: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns(".git"))
    # Inside some other repository: its commit is not the template's.
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run(["git", *IDENTITY, "commit", "-q", "--allow-empty", "-m", "other"], cwd=tmp_path, check=True)
    done = cookiecutter(copy, tmp_path / "out")
    assert done.returncode == 1
    assert "error: hubtool_commit: 'auto': cannot tell which commit" in done.stderr
    assert not list((tmp_path / "out").iterdir())
    commit = "0123456789" * 4
    assert cookiecutter(copy, tmp_path / "out", f"hubtool_commit={commit}").returncode == 0
    assert pinned(tmp_path / "out" / "base-user-image") == {commit}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that is built from the sdist, as an index would hand it out."""
    out = tmp_path_factory.mktemp("dist")
    subprocess.run([program("uv"), "build", "--quiet", "--out-dir", out, PROJECT], check=True)
    (found,) = out.glob("*.whl")
    return found


def test_a_wheel_is_enough_to_make_a_repository(wheel: Path, tmp_path: Path) -> None:
    subprocess.run([program("uv"), "venv", "--quiet", "--python", sys.executable, tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([program("uv"), "pip", "install", "--quiet", "--no-deps", "--python", python, wheel], check=True)
    # Dependencies from here, to be quick; what is editable here is not found that way.
    subprocess.run(
        [tmp_path / "venv" / "bin" / "hubtool", "new", "base-user-image", "--no-input"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": site.getsitepackages()[0]},
        check=True,
    )
    made = tmp_path / "base-user-image"
    assert os.access(made / "postBuild", os.X_OK)
    assert (made / "start").stat().st_mode & 0o111
    assert pinned(made) == {head(PROJECT)}


def test_the_wheel_holds_no_file_of_ours_but_the_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        names = opened.namelist()
    assert not [name for name in names if not name.startswith(("hubtool/", "hubtool-"))]
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]
    assert "hubtool/_templates/COMMIT" in names
