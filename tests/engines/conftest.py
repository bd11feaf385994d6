"""Both engines with the same small image in each."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hubtool.engines import Engine, EngineBuild, get_engine
from hubtool.process import run

SMALL = "localhost/hubtool-test:engines"


def tar_of(**files: str) -> io.BytesIO:
    """A tar stream with FILES; ``Dockerfile`` is usually one."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    stream.seek(0)
    return stream


@pytest.fixture(scope="session")
def docker_engine(docker_host: str, base_image: str) -> Iterator[Engine]:
    engine = get_engine("docker")
    engine.tag(base_image, SMALL)
    yield engine
    engine.remove_image(SMALL)


@pytest.fixture(scope="session")
def buildah_engine(docker_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """buildah with a storage of its own for this session."""
    folder = tmp_path_factory.mktemp("buildah")
    settings = folder / "storage.conf"
    settings.write_text(f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/root"\nrunroot = "{folder}/run"\n')
    os.environ["CONTAINERS_STORAGE_CONF"] = str(settings)
    try:
        engine = get_engine("buildah")
        docker_engine.export(SMALL, folder / "base.tar")
        engine.load(folder / "base.tar")
        (folder / "base.tar").unlink()
        yield engine
    finally:
        # Its storage mounts itself; the folder can only be removed when that has ended.
        run("buildah", "rm", "--all", check=False)
        run("umount", "--recursive", folder / "root" / "overlay", check=False)
        del os.environ["CONTAINERS_STORAGE_CONF"]


@pytest.fixture(params=["docker", "buildah"])
def engine(request: pytest.FixtureRequest) -> Engine:
    found: Engine = request.getfixturevalue(f"{request.param}_engine")
    return found


@pytest.fixture
def context() -> Path:
    return Path(__file__).parent


def build_of(text: str, tag: str = "localhost/hubtool-test:made", **options: object) -> EngineBuild:
    return EngineBuild(tag, tar_of(Dockerfile=text), **options)  # type: ignore[arg-type]


def no_working_container(engine: Engine) -> None:
    """Checks that no build left one."""
    if engine.name == "buildah":
        assert run("buildah", "containers", "--quiet").stdout == ""
