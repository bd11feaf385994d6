"""Images for Onyxia that keep every promise: those of the template onyxia-ide."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.contracts.conftest import BuildImage
from tests.contracts.onyxia import mirror
from tests.contracts.onyxia.repository import TEMPLATE, build, make_repository

IMAGE = Path(__file__).parent / "image"
INIT = TEMPLATE / "base/onyxia-init.sh"
IDE = IMAGE / "ide.py"
NOWHERE = "127.0.0.1:9/team"  # a registry that is not there
# Programs that the init script sets up where they are there.
MORE = """\
USER root
COPY --chmod=755 conda Rscript /usr/local/bin/
RUN printf '#!/bin/sh\\n' > /usr/local/bin/mc && chmod 755 /usr/local/bin/mc
"""


@pytest.fixture(scope="session")
def certificates(ca_bundle: Path | None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What builds trust, as ca.crt."""
    file = tmp_path_factory.mktemp("ca") / "ca.crt"
    shutil.copyfile(ca_bundle or Path("/etc/ssl/certs/ca-certificates.crt"), file)
    return file


@pytest.fixture(scope="session")
def package_args(docker_host: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """Build arguments that lead to stand-ins for code-server and RStudio."""
    folder = tmp_path_factory.mktemp("mirror")
    checksums = mirror.stand_ins(folder, IDE)
    with mirror.served(folder) as addresses:
        yield {**checksums, **addresses, "R_PACKAGES": "r-base-core"}


@pytest.fixture(scope="session")
def images(
    base_image: str,
    package_args: Mapping[str, str],
    ca_bundle: Path | None,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, str]:
    """The template's images, by name; the daemon keeps them for the next run."""
    answers = ["ides=code-server jupyter rstudio", f"registry={NOWHERE}", "deployment_repository=none"]
    root = tmp_path_factory.mktemp("repository") / "onyxia-images"
    make_repository(root, *answers, f"base_image={base_image}", args=package_args)
    return build(root, "--tag", "test", "--jobs", "3", ca_bundle=ca_bundle)


@pytest.fixture(scope="session")
def code_server_image(images: Mapping[str, str], build_image: BuildImage) -> str:
    """With a stand-in for code-server, and with mc and stand-ins for conda and R."""
    lines = [f"FROM {images['code-server']}", MORE, "USER onyxia"]
    return build_image("onyxia", "\n".join(lines), IMAGE / "conda", IMAGE / "Rscript")


@pytest.fixture(scope="session")
def rstudio_image(images: Mapping[str, str], build_image: BuildImage) -> str:
    """With a stand-in for RStudio's service, and a real R; with mc and a stand-in for conda."""
    more = MORE.replace("conda Rscript", "conda")
    return build_image("onyxia-rstudio", f"FROM {images['rstudio']}\n{more}", IMAGE / "conda")


@pytest.fixture(scope="session")
def jupyter_image(images: Mapping[str, str]) -> str:
    """A real JupyterLab."""
    return images["jupyter"]
