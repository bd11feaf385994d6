"""The plug-ins, as the program jupyter-repo2docker uses them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hubtool.engines import Engine
from hubtool.process import run
from tests.builders.conftest import write_files

pytestmark = pytest.mark.engine
PROGRAM = Path(sys.executable).parent / "jupyter-repo2docker"


def test_repo2docker_builds_and_runs_with_our_docker(docker: Engine, base_image: str, tmp_path: Path) -> None:
    write_files(tmp_path, {"Dockerfile": f"FROM {base_image}\nCOPY x /x\n", "x": "content"})
    image = "localhost/hubtool-test:plugin"
    words = ["--engine", "hubtool-docker", "--user-id", "1000", "--user-name", "ann", "--image-name", image]
    try:
        done = run(PROGRAM, *words, tmp_path, "cat", "/x")
        assert "content" in done.stdout + done.stderr
        held = docker.inspect(image)
        assert held is not None
        assert held.config["Labels"]["repo2docker.repo"] == "local"
    finally:
        docker.remove_image(image)


def test_a_build_that_fails_fails_repo2docker(docker: Engine, base_image: str, tmp_path: Path) -> None:
    write_files(tmp_path, {"Dockerfile": f"FROM {base_image}\nRUN echo it broke; exit 3\n"})
    words = [
        "--engine",
        "hubtool-docker",
        "--no-run",
        "--image-name",
        "localhost/hubtool-test:broken",
        "--user-id",
        "1000",
    ]
    done = run(PROGRAM, *words, tmp_path, check=False)
    assert done.returncode != 0
    assert "it broke" in done.stdout + done.stderr
    assert docker.inspect("localhost/hubtool-test:broken") is None


def test_a_push_is_refused_with_the_way_to_do_it(docker: Engine, base_image: str, tmp_path: Path) -> None:
    write_files(tmp_path, {"Dockerfile": f"FROM {base_image}\n"})
    words = ["--engine", "hubtool-docker", "--no-run", "--push", "--image-name", "localhost/x:y", "--user-id", "1000"]
    done = run(PROGRAM, *words, tmp_path, check=False)
    assert done.returncode != 0
    assert "hubtool push" in done.stdout + done.stderr


@pytest.mark.slow
def test_repo2docker_builds_runs_and_stops_with_our_buildah(docker: Engine, base_image: str, tmp_path: Path) -> None:
    settings = tmp_path / "storage.conf"
    settings.write_text(f'[storage]\ndriver = "overlay"\ngraphroot = "{tmp_path}/root"\nrunroot = "{tmp_path}/run"\n')
    environment = {**os.environ, "CONTAINERS_STORAGE_CONF": str(settings)}
    docker.export(base_image, tmp_path / "base.tar")
    run("buildah", "pull", "--quiet", f"docker-archive:{tmp_path}/base.tar", env=dict(environment))
    write_files(tmp_path / "repository", {"Dockerfile": f"FROM {base_image}\nCOPY x /x\n", "x": "content\n"})
    words = ["--engine", "hubtool-buildah", "--user-id", "1000", "--image-name", "localhost/hubtool-test:plugin"]
    argv = [str(PROGRAM), *words, str(tmp_path / "repository"), "sh", "-c", "cat /x; sleep 60"]
    try:
        process = subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == "content":
                break
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert "Stopping container" in process.stdout.read()
        process.stdout.close()
        process.wait(20)
        assert time.monotonic() - started < 15
        assert run("buildah", "containers", "--quiet", env=dict(environment)).stdout == ""
    finally:
        run("buildah", "rm", "--all", env=dict(environment), check=False)
        run("umount", "--recursive", tmp_path / "root" / "overlay", check=False)
