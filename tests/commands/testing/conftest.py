"""hubtool test, as a program, in image repositories of a few files."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hubtool.engines import Engine, EngineBuild, get_engine

TAG = "v1"
YAML = "registry: registry.example/team\nimages:\n  small: {contract: none}\n"
REFERENCE = f"registry.example/team/small:{TAG}"

Build = Callable[[str, str], str]


@pytest.fixture(scope="session")
def engine(docker_host: str) -> Engine:
    return get_engine("docker")


@pytest.fixture(scope="session")
def build(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Build]:
    """Builds an image of a Dockerfile, held by the engine under a reference until the end; gives its id."""
    made = []

    def build(reference: str, dockerfile: str) -> str:
        context = tmp_path_factory.mktemp("context")
        (context / "Dockerfile").write_text(dockerfile)
        made.append(reference)
        for _ in engine.build(EngineBuild(tag=reference, context=context)):
            pass
        held = engine.inspect(reference)
        assert held is not None
        return held.id

    yield build
    for reference in made:
        engine.remove_image(reference)


@pytest.fixture(scope="session")
def image(build: Build, base_image: str) -> str:
    """A small image, under the reference that hubtool.yaml gives it; its id."""
    return build(REFERENCE, f'FROM {base_image}\nUSER 1000\nWORKDIR /srv/repo\nCMD ["sleep", "300"]\n')


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """An image repository with one test that passes, committed."""
    root = tmp_path / "repo"
    root.mkdir()
    (root / "hubtool.yaml").write_text(YAML)
    (root / ".gitignore").write_text(".hubtool/\n")
    write_image_test(root, "assert True")
    git(root, "init", "-q")
    commit(root)
    return root


def write_image_test(root: Path, line: str) -> None:
    write(root, "image-tests/test_it.py", f"def test_it():\n    {line}\n")


def write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def commit(root: Path) -> None:
    git(root, "add", ".")
    git(root, "-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-q", "-m", "x")


def git(root: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=root, check=True)


def hubtool(cwd: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "HUBTOOL_ENGINE": "docker", **environment}
    command = [sys.executable, "-m", "hubtool", "test", *words]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=240)
