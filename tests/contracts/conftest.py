"""Images that keep the jupyterhub contract, and images that break one promise of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest
import uv

from hubtool.contracts import Settings, TestReport
from hubtool.contracts.runner import run_checks
from hubtool.engines import Engine, EngineBuild, get_engine

PACKAGES = "jupyterhub jupyter-server ipykernel nbconvert nbgitpuller jupyter-server-proxy pip"
GOOD = """\
FROM {base}
RUN useradd --create-home --uid 1000 --shell /bin/bash jovyan && install -d -o jovyan /srv/repo
RUN --mount=type=bind,target=/mnt export SSL_CERT_FILE=/mnt/ca.crt UV_NO_CACHE=1 \\
 && /mnt/uv venv -q --python python3 /srv/venv \\
 && /mnt/uv pip install -q --compile-bytecode --python /srv/venv/bin/python {packages}
ENV PATH=/srv/venv/bin:/usr/local/bin:/usr/bin:/bin
USER jovyan
WORKDIR /srv/repo
LABEL org.opencontainers.image.source=https://forge.example/team/hub-image \\
      org.opencontainers.image.revision=0123456789abcdef0123456789abcdef01234567 \\
      org.opencontainers.image.created=2026-01-31T12:00:00Z \\
      org.opencontainers.image.base.name={base} \\
      org.opencontainers.image.base.digest={digest}
"""

BuildImage = Callable[..., str]
RunContract = Callable[..., TestReport]


@pytest.fixture(scope="session")
def engine(docker_host: str) -> Engine:
    return get_engine("docker")


@pytest.fixture(scope="session")
def build_image(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BuildImage]:
    """Builds an image of a Dockerfile, with the files given beside it; removed at the end unless kept."""
    made = []

    def build(name: str, dockerfile: str, *files: Path, keep: bool = False) -> str:
        tag = f"hubtool-test-{name}:1"
        context = tmp_path_factory.mktemp("context")
        (context / "Dockerfile").write_text(dockerfile)
        for file in files:
            shutil.copy(file, context / file.name)
        if not keep:
            made.append(tag)
        for _ in engine.build(EngineBuild(tag=tag, context=context, network="host")):
            pass
        return tag

    yield build
    for tag in made:
        engine.remove_image(tag)


@pytest.fixture(scope="session")
def good_image(
    engine: Engine,
    base_image: str,
    build_image: BuildImage,
    ca_bundle: Path | None,
    tmp_path_factory: pytest.TempPathFactory,
) -> str:
    """An image that keeps every promise; the daemon keeps it for the next run."""
    certificates = tmp_path_factory.mktemp("ca") / "ca.crt"
    shutil.copyfile(ca_bundle or Path("/etc/ssl/certs/ca-certificates.crt"), certificates)
    base = engine.inspect(base_image)
    assert base is not None
    dockerfile = GOOD.format(base=base_image, digest=base.id, packages=PACKAGES)
    return build_image("hub", dockerfile, Path(uv.find_uv_bin()), certificates, keep=True)


@pytest.fixture(scope="session")
def run_contract(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> RunContract:
    """Runs the jupyterhub contract, or what the settings say, against an image that the engine holds."""

    def run(tag: str, **settings: object) -> TestReport:
        held = engine.inspect(tag)
        assert held is not None
        said = {"contract": "jupyterhub", "log_folder": str(tmp_path_factory.mktemp("logs")), **settings}
        chosen = Settings(engine=engine.name, image=held.id, name=tag.partition(":")[0], **said)  # type: ignore[arg-type]
        results, seconds = run_checks(engine, chosen, lambda _: None)
        return TestReport(chosen.name, tag, held.id, chosen.contract, results, seconds)

    return run


def containers_of(image: str) -> dict[str, list[str]]:
    """The containers of IMAGE that the daemon has, running or not, each with the names of its volumes."""
    client = docker.from_env()
    try:
        found = client.api.containers(all=True, filters={"ancestor": image})
        return {item["Id"]: [mount["Name"] for mount in item["Mounts"] if mount.get("Name")] for item in found}
    finally:
        client.close()


def volumes() -> set[str]:
    """The names of the daemon's volumes."""
    client = docker.from_env()
    try:
        return {item["Name"] for item in client.api.volumes()["Volumes"] or ()}
    finally:
        client.close()
