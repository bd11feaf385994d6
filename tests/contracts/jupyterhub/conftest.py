"""The images of images.py, built, and what the contract says of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import uv

from hubtool.config import Parameters
from hubtool.contracts import TestReport
from hubtool.engines import Engine, EngineBuild
from tests.contracts.conftest import BuildImage, RunContract
from tests.contracts.jupyterhub.images import CASES, FOLDER, WITH_R, Broken

Reports = Callable[[str], TestReport]


@pytest.fixture(scope="session")
def real_image(
    engine: Engine, base_image: str, ca_bundle: Path | None, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """JupyterLab, jupyterhub, nbgitpuller and two kernels in an environment of uv; the daemon keeps it."""
    context = tmp_path_factory.mktemp("context")
    for file in FOLDER.iterdir():
        (context / file.name).write_bytes(file.read_bytes())
    shutil.copy(uv.find_uv_bin(), context / "uv")
    (context / "ca.crt").write_bytes((ca_bundle or Path("/etc/ssl/certs/ca-certificates.crt")).read_bytes())
    base = engine.inspect(base_image)
    assert base is not None
    tag = "hubtool-test-real-hub:1"
    build = EngineBuild(tag, context, args={"BASE": base_image, "BASE_DIGEST": base.id}, network="host")
    for _ in engine.build(build):
        pass
    return tag


@pytest.fixture(scope="session")
def images(good_image: str, real_image: str, build_image: BuildImage) -> Mapping[str, str]:
    """The images that keep every promise."""
    return {
        "good": good_image,
        "real": real_image,
        "with R": build_image("hub-with-r", f"FROM {good_image}\n{WITH_R}", keep=True),
    }


@pytest.fixture(scope="session")
def reports(
    images: Mapping[str, str],
    build_image: BuildImage,
    run_contract: RunContract,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Reports]:
    """The report of each image; they run four at a time, from the first question on."""
    pool = ThreadPoolExecutor(4)

    def make(name: str, broken: Broken) -> TestReport:
        tag = images[broken.on]
        if broken.lines:
            tag = build_image(
                "broken-" + "".join(c if c.isalnum() else "-" for c in name.lower()), f"FROM {tag}\n{broken.lines}"
            )
        folder = tmp_path_factory.mktemp("repository")
        for file, text in broken.files.items():
            (folder / file).write_text(text)
        return run_contract(
            tag,
            start_seconds=broken.start_seconds,
            parameters=Parameters(**broken.parameters),
            context=str(folder) if broken.files else None,
        )

    futures: dict[str, Future[TestReport]] = {name: pool.submit(make, name, case) for name, case in CASES.items()}
    yield lambda name: futures[name].result()
    pool.shutdown(cancel_futures=True)
