from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("repo2docker", "boto3", "docker", "github", "cookiecutter", "pytest")


def hubtool(
    *words: str, cwd: Path | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hubtool", *words], capture_output=True, text=True, cwd=cwd, env=env, check=False
    )


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, hubtool.main\n"
        "sys.argv = ['hubtool', '--help']\n"
        "try: hubtool.main.run()\n"
        f"finally: print('heavy:', [name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Commands:" in done.stdout
    assert done.stdout.strip().endswith("heavy: []")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--version",), 0),
        (("--help",), 0),
        (("no-such-verb",), 2),
        (("build", "--no-such-option"), 2),
        (("bump",), 2),
    ],
)
def test_exit_codes_tell_usage_from_failure(words: tuple[str, ...], code: int) -> None:
    assert hubtool(*words).returncode == code


@pytest.mark.parametrize("verb", ["build", "test", "push", "release"])
def test_a_folder_without_hubtool_yaml_is_one_clear_error(verb: str, tmp_path: Path) -> None:
    done = hubtool(verb, cwd=tmp_path)
    assert done.returncode == 1
    assert "no hubtool.yaml" in done.stderr
    assert "hubtool new" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words", [("plan",), ("bump", "--hub", "a", "--image", "b/c", "--tag", "d", "--deployment", ".")]
)
def test_without_git_the_error_says_so(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "hubtool.yaml").write_text("registry: quay.io/team\nimages: {lab: {}}\n")
    done = hubtool(*words, cwd=tmp_path, env={**os.environ, "PATH": str(tmp_path)})
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "hubtool: git is not installed\n  Debian, Ubuntu: apt-get install git\n"


def test_what_else_cannot_be_imported_is_a_bug(tmp_path: Path) -> None:
    (tmp_path / "yaml.py").write_text("raise ImportError('no yaml')\n")
    done = hubtool("plan", cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert done.returncode == 3
    assert "no yaml" in done.stderr
    assert "bug in hubtool" in done.stderr
