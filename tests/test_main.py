from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("repo2docker", "boto3", "docker", "github", "cookiecutter", "pytest")


def hubtool(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hubtool", *words], capture_output=True, text=True, cwd=cwd, check=False
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
