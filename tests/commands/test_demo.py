from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
from pathlib import Path

import git
import pytest

from hubtool.sandbox.services import free_port


def demo(folder: Path, docker_host: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "hubtool", "demo", "--directory", str(folder)]
    environment = {**os.environ, "DOCKER_HOST": docker_host}
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=580)


@pytest.mark.engine
@pytest.mark.slow
def test_the_demo_shows_the_diff_and_the_digest_and_then_finds_nothing_to_do(
    tmp_path: Path, docker_host: str, base_image: str
) -> None:
    first = demo(tmp_path, docker_host)
    assert first.returncode == 0, first.stderr
    assert "-      tag: PLACEHOLDER" in first.stdout
    assert "# Pull request" in first.stdout or "== Pull request 1" in first.stdout
    image = re.search(r"^image: 127\.0\.0\.1:\d+/\S+:([0-9a-f]{12})@(sha256:[0-9a-f]{64})$", first.stdout, re.M)
    assert image is not None
    assert f"+      tag: {image[1]}" in first.stdout.replace('"', "").replace("'", "")
    assert git.Repo(tmp_path / "base-user-image").head.commit.hexsha.startswith(image[1])

    again = demo(tmp_path, docker_host)
    assert again.returncode == 0, again.stderr
    assert f"{image[1]}@{image[2]}" in again.stdout
    assert "has this image, tested: nothing to build" in again.stderr
    assert [path.name for path in (tmp_path / "deployment.git" / "requests").glob("*.md")] == ["1.md"]


def test_a_folder_that_is_a_file_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = demo(tmp_path / "file", f"tcp://127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_two_demos_in_one_folder_do_not_meet(tmp_path: Path) -> None:
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = demo(tmp_path, f"tcp://127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert "another demo is at work" in done.stderr
