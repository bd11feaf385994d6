"""Images for Onyxia that keep every promise."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import uv

from tests.contracts.conftest import BuildImage

IMAGE = Path(__file__).parent / "image"
INIT = IMAGE / "onyxia-init.sh"
IDE = IMAGE / "ide.py"
RSTUDIO = """\
USER root
COPY --chmod=755 ide.py /init
WORKDIR /home/onyxia/work
EXPOSE 8787
ENTRYPOINT ["/opt/onyxia-init.sh"]
CMD ["/init"]
"""


def dockerfile(name: str, base: str) -> str:
    return (IMAGE / name).read_text().replace("ARG BASE\n", "").replace("${BASE}", base)


@pytest.fixture(scope="session")
def certificates(ca_bundle: Path | None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What builds trust, as ca.crt."""
    file = tmp_path_factory.mktemp("ca") / "ca.crt"
    shutil.copyfile(ca_bundle or Path("/etc/ssl/certs/ca-certificates.crt"), file)
    return file


@pytest.fixture(scope="session")
def code_server_image(base_image: str, build_image: BuildImage) -> str:
    """With a stand-in for code-server; the daemon keeps it for the next run."""
    files = [INIT, IDE, IMAGE / "conda", IMAGE / "Rscript"]
    return build_image("onyxia", dockerfile("Dockerfile", base_image), *files, keep=True)


@pytest.fixture(scope="session")
def rstudio_image(code_server_image: str, build_image: BuildImage) -> str:
    """With a stand-in for RStudio, which can't be had from Debian, PyPI or npm."""
    return build_image("onyxia-rstudio", f"FROM {code_server_image}\n{RSTUDIO}", IDE, keep=True)


@pytest.fixture(scope="session")
def jupyter_image(base_image: str, build_image: BuildImage, certificates: Path) -> str:
    """A real JupyterLab; the daemon keeps it for the next run."""
    files = [INIT, Path(uv.find_uv_bin()), certificates]
    return build_image("onyxia-jupyter", dockerfile("jupyter.Dockerfile", base_image), *files, keep=True)
