"""What the builder's tests share: writing repositories, jobs, a mirror, looking into images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hubtool.builders import BuildJob
from hubtool.config import EnvironmentName, Image, Site
from hubtool.engines import ContainerSpec, Engine, get_engine
from hubtool.reference import ImageReference
from tests.builders.repo2docker.mirror import Mirror, running_mirror

MakeJob = Callable[..., BuildJob]


def write_files(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write FILES below ROOT, with their folders."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def make_job(
    context: Path,
    *,
    base: str | None = None,
    environment: EnvironmentName = "auto",
    site: Site | None = None,
    ca_bundle: Path | None = None,
    reference: str = "localhost/test:job",
    network: str | None = None,
    **settings: Any,
) -> BuildJob:
    return BuildJob(
        image="test",
        context=context,
        reference=ImageReference.parse(reference),
        settings=Image(base=base, **settings),
        environment=environment,
        site=site or Site(),
        ca_bundle=ca_bundle,
        network=network,
    )


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with running_mirror() as found:
        yield found


@pytest.fixture(scope="session")
def docker(docker_host: str) -> Engine:
    return get_engine("docker")


def shell(engine: Engine, image: str, script: str, user: str | None = None) -> str:
    """What SCRIPT prints in a container of IMAGE, by sh and without the image's entrypoint."""
    container = engine.run(ContainerSpec(image, entrypoint=["sleep", "600"], command=[], user=user))
    try:
        done = container.exec(["sh", "-c", script])
    finally:
        container.remove()
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
