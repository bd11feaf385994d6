"""hubtool build as a program, in a real engine; the images are small Dockerfiles, so that each takes a second."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import git
import pytest

from hubtool.engines import Engine, get_engine
from hubtool.process import run as run_program
from hubtool.sandbox.dockerd import private_dockerd

pytestmark = pytest.mark.engine
PREFIX = "localhost/hubtool-test"
Hubtool = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def hubtool(docker_host: str, repository: Path) -> Hubtool:
    def run(*words: str, **changes: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "hubtool", "build", *words]
        environment = {**os.environ, "DOCKER_HOST": docker_host, **changes}
        return subprocess.run(argv, capture_output=True, text=True, cwd=repository, env=environment, timeout=300)

    return run


@pytest.fixture
def engine(docker_host: str) -> Engine:
    return get_engine("docker")


@pytest.fixture
def repository(tmp_path: Path, base_image: str, docker_host: str) -> Iterator[Path]:
    """An image repository with two images, committed."""
    root = tmp_path / "repository"
    write(root, "hubtool.yaml", f"registry: {PREFIX}\nimages:\n  one:\n    context: one\n  two:\n    context: two\n")
    for name in ("one", "two"):
        write(root, f"{name}/Dockerfile", f"FROM {base_image}\nRUN echo building {name}\n")
    git.Repo.init(root)
    commit(root)
    yield root
    engine = get_engine("docker")
    client = engine._client  # type: ignore[attr-defined]
    for image in client.images.list(filters={"reference": f"{PREFIX}/*"}):
        for tag in image.tags:
            engine.remove_image(tag)


def write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def commit(root: Path) -> str:
    """Commit everything; the first 12 digits."""
    repo = git.Repo(root)
    repo.git.add("-A")
    repo.git.execute(["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", "x"])
    return str(repo.head.commit.hexsha)[:12]


def head(root: Path) -> str:
    return str(git.Repo(root).head.commit.hexsha)[:12]


def built(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_all_images_are_built_recorded_and_reused(hubtool: Hubtool, repository: Path, engine: Engine) -> None:
    first = built(hubtool("--json"))
    assert [one["reference"] for one in first] == [f"{PREFIX}/{name}:{head(repository)}" for name in ("one", "two")]
    for one in first:
        held = engine.inspect(one["reference"])
        assert held is not None
        assert (one["id"], one["size"], one["engine"], one["reused"]) == (held.id, held.size, "docker", False)
        assert f"building {one['image']}" in Path(repository, one["log"]).read_text()
        record = json.loads((repository / f".hubtool/{one['image']}.json").read_text())
        assert (record["reference"], record["image_id"], record["engine"]) == (one["reference"], held.id, "docker")
    again = hubtool("--json")
    assert "nothing to do" in again.stderr
    assert [(one["id"], one["reused"]) for one in built(again)] == [(one["id"], True) for one in first]
    assert [one["reused"] for one in built(hubtool("--json", "one", "--rebuild"))] == [False]


def test_a_record_of_tests_and_pushes_stays_while_the_image_does(hubtool: Hubtool, repository: Path) -> None:
    built(hubtool("--json", "one"))
    file = repository / ".hubtool/one.json"
    record = {**json.loads(file.read_text()), "tested": "jupyterhub", "digest": "sha256:1"}
    file.write_text(json.dumps(record))
    built(hubtool("--json", "one"))
    assert json.loads(file.read_text()) == record
    write(repository, "one/new", "x")
    commit(repository)
    built(hubtool("--json", "one"))
    assert json.loads(file.read_text())["tested"] is None


def test_a_dirty_tree_is_built_only_when_told_and_says_so(hubtool: Hubtool, repository: Path) -> None:
    write(repository, "one/new", "x")
    refused = hubtool("one")
    assert refused.returncode == 1
    assert "one/new" in refused.stderr
    assert "--dirty" in refused.stderr
    first = built(hubtool("one", "--dirty", "--json"))[0]
    assert first["reference"].endswith(f"{head(repository)}-dirty")
    assert built(hubtool("one", "--dirty", "--json"))[0]["reused"]
    write(repository, "one/new", "y")
    assert not built(hubtool("one", "--dirty", "--json"))[0]["reused"]


def test_a_build_that_fails_ends_with_the_last_lines_and_the_log(hubtool: Hubtool, repository: Path) -> None:
    write(
        repository, "one/Dockerfile", (repository / "one/Dockerfile").read_text() + "RUN echo it broke here; exit 4\n"
    )
    tag = commit(repository)
    done = hubtool("one")
    assert done.returncode == 1
    log = repository / f".hubtool/logs/one-{tag}.log"
    error = done.stderr[done.stderr.index("hubtool: ") :]
    assert "it broke here" in error
    assert f"the whole log: .hubtool/logs/one-{tag}.log" in error
    assert "it broke here" in log.read_text()
    assert "Traceback" not in done.stderr
    assert not (repository / ".hubtool/one.json").exists()


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_a_killed_build_can_be_run_again(
    hubtool: Hubtool, repository: Path, engine: Engine, docker_host: str, sign: signal.Signals
) -> None:
    text = (repository / "one/Dockerfile").read_text()
    write(repository, "one/Dockerfile", f"{text}RUN echo {sign.name} {time.time()} && sleep 4\n")
    tag = commit(repository)
    argv = [sys.executable, "-m", "hubtool", "build", "one"]
    environment = {**os.environ, "DOCKER_HOST": docker_host}
    process = subprocess.Popen(argv, cwd=repository, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if "&& sleep 4" in line:
            break
    process.send_signal(sign)
    left = process.stderr.read() if sign is not signal.SIGKILL else ""
    process.stderr.close()
    assert process.wait(20) == (-9 if sign is signal.SIGKILL else 130)
    assert sign is signal.SIGKILL or "run the same command again" in left
    assert engine.inspect(f"{PREFIX}/one:{tag}") is None
    assert not (repository / ".hubtool/one.json").exists()
    assert built(hubtool("one", "--json"))[0]["reference"] == f"{PREFIX}/one:{tag}"


def test_two_builds_at_once_of_one_image_both_end_well(repository: Path, docker_host: str, engine: Engine) -> None:
    text = (repository / "one/Dockerfile").read_text()
    write(repository, "one/Dockerfile", f"{text}RUN echo {time.time()} && sleep 1\n")
    commit(repository)
    argv = [sys.executable, "-m", "hubtool", "build", "one", "--json"]
    environment = {**os.environ, "DOCKER_HOST": docker_host}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    both = [subprocess.Popen(argv, cwd=repository, env=environment, text=True, **pipes) for _ in range(2)]  # type: ignore[call-overload]
    results = []
    for process in both:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        results.append(json.loads(out)[0])
    assert results[0]["id"] == results[1]["id"]
    record = json.loads((repository / ".hubtool/one.json").read_text())
    held = engine.inspect(results[0]["reference"])
    assert held is not None
    assert record["image_id"] == held.id


def test_the_dockerfile_is_printed_and_nothing_is_built(hubtool: Hubtool, repository: Path, engine: Engine) -> None:
    done = hubtool("two", "--print-dockerfile", DOCKER_HOST="unix:///no/such.sock")
    assert done.returncode == 0
    assert done.stdout == (repository / "two/Dockerfile").read_text() + "\n"
    assert engine.inspect(f"{PREFIX}/two:{head(repository)}") is None


def test_github_actions_reads_outputs_and_a_summary(hubtool: Hubtool, repository: Path, tmp_path: Path) -> None:
    output, summary = tmp_path / "output", tmp_path / "summary"
    done = hubtool("one", GITHUB_ACTIONS="true", GITHUB_OUTPUT=str(output), GITHUB_STEP_SUMMARY=str(summary))
    assert done.stdout == f"{PREFIX}/one:{head(repository)}\n"
    lines = output.read_text().splitlines()
    values = {line.partition("<<")[0]: lines[at + 1] for at, line in enumerate(lines) if "<<" in line}
    assert values == {
        "image": f"{PREFIX}/one",
        "tag": head(repository),
        "reference": f"{PREFIX}/one:{head(repository)}",
    }
    assert f"| `{PREFIX}/one:{head(repository)}` |" in summary.read_text()


@pytest.mark.parametrize(
    ("words", "changes", "said"),
    [
        (["three"], {}, "no image called 'three'"),
        (["--engine", "podman"], {}, "no engine called 'podman'"),
        (["--engine", "docker"], {"DOCKER_HOST": "unix:///no/such.sock"}, "Docker does not answer"),
        (["--no-cache", "--cache-write"], {}, "goes with neither --cache nor --cache-write"),
        (["--cache", "NOT A REFERENCE"], {}, "is not an image reference"),
        (["--tag", "-x"], {}, "is not a tag"),
    ],
)
def test_what_can_not_be_built_is_an_error(
    hubtool: Hubtool, words: list[str], changes: dict[str, str], said: str
) -> None:
    done = hubtool(*words, **changes)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_base_image_that_is_nowhere_is_an_error(hubtool: Hubtool, repository: Path) -> None:
    write(repository, "one/Dockerfile", "FROM localhost:1/no/such/base:1\n")
    commit(repository)
    done = hubtool("one")
    assert done.returncode == 1
    assert "localhost:1/no/such/base:1" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def small_docker(tmp_path: Path, base_image: str, engine: Engine) -> Iterator[str]:
    """A Docker daemon with a small disk: room for the base image, twice while it is loaded."""
    folder = tmp_path / "disk"
    folder.mkdir()
    engine.export(base_image, tmp_path / "base.tar")
    size = (tmp_path / "base.tar").stat().st_size
    run_program("mount", "-t", "tmpfs", "-o", f"size={2 * size + 100_000_000}", "hubtool-test", folder)
    try:
        with private_dockerd(folder) as host:
            run_program("docker", "--host", host, "load", "--input", tmp_path / "base.tar")
            (tmp_path / "base.tar").unlink()
            yield host
    finally:
        run_program("umount", "--lazy", folder, check=False)


@pytest.mark.slow
def test_a_full_disk_and_an_engine_that_dies_are_told_for_what_they_are(
    hubtool: Hubtool, repository: Path, small_docker: str, base_image: str
) -> None:
    write(repository, "one/Dockerfile", f"FROM {base_image}\nRUN dd if=/dev/zero of=/big bs=1M count=2000\n")
    commit(repository)
    full = hubtool("one", DOCKER_HOST=small_docker)
    assert full.returncode == 1
    assert "the build ran out of disk space" in full.stderr
    assert "docker system prune" in full.stderr
    write(repository, "one/Dockerfile", f"FROM {base_image}\nRUN echo now && sleep 30\n")
    commit(repository)
    argv = [sys.executable, "-m", "hubtool", "build", "one"]
    environment = {**os.environ, "DOCKER_HOST": small_docker}
    process = subprocess.Popen(argv, cwd=repository, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.rstrip().endswith(" now"):
            break
    pid = Path(small_docker.removeprefix("unix://")).with_name("dockerd.pid").read_text()
    os.kill(int(pid), signal.SIGKILL)
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 1
    assert "Docker stopped answering during the build" in said
    assert "Traceback" not in said
