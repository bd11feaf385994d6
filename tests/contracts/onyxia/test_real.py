"""A real code-server, from npm, with Node from PyPI. Its native modules are compiled: that takes three minutes."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import docker as docker_sdk
import pytest

from hubtool.engines import Engine
from tests.contracts.conftest import BuildImage, RunContract
from tests.contracts.onyxia import mirror
from tests.contracts.onyxia.conftest import IMAGE, NOWHERE
from tests.contracts.onyxia.repository import build, make_repository

WANTED = "HUBTOOL_TEST_REAL"
NAME = "code-server-package"


@pytest.fixture
def package(
    engine: Engine,
    base_image: str,
    build_image: BuildImage,
    certificates: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A mirror's folder with a package of the real code-server."""
    if engine.inspect(f"hubtool-test-{NAME}:1") is None and not os.environ.get(WANTED):
        pytest.skip(f"{WANTED}=1 builds it; later runs find it in the daemon's cache")
    dockerfile = (IMAGE / "code-server.Dockerfile").read_text().replace("ARG BASE\n", "").replace("${BASE}", base_image)
    image = build_image(NAME, dockerfile, certificates, keep=True)
    client = docker_sdk.from_env()
    container = client.containers.create(image, command=["-"])
    try:
        data = b"".join(container.get_archive("/code-server.deb")[0])
    finally:
        container.remove()
        client.close()
    folder = tmp_path_factory.mktemp("mirror")
    file = folder / f"v{mirror.CODE_SERVER}" / f"code-server_{mirror.CODE_SERVER}_{mirror.architecture()}.deb"
    file.parent.mkdir()
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        packed = tar.extractfile("code-server.deb")
        assert packed is not None
        file.write_bytes(packed.read())
    return folder


@pytest.mark.slow
def test_the_template_s_code_server_keeps_every_promise(
    package: Path, base_image: str, ca_bundle: Path | None, run_contract: RunContract, tmp_path: Path
) -> None:
    answers = [f"registry={NOWHERE}", "deployment_repository=none", f"base_image={base_image}"]
    with mirror.served(package) as addresses:
        root = make_repository(tmp_path / "onyxia-images", *answers, args=addresses)
        image = build(root, "code-server", "--tag", "real", ca_bundle=ca_bundle)["code-server"]
    report = run_contract(image, contract="onyxia", profile="code-server", user="onyxia", start_seconds=120)
    assert [(result.check, result.message) for result in report.failed] == []
    skipped = {result.check for result in report.results if result.outcome == "skipped"}
    assert skipped == {"R11", "S13", "V3", "V4"}  # not asked for; no conda and no R in it
    assert report.passed
