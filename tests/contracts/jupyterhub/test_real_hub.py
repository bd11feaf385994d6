"""A real JupyterHub spawns the same images, so that the stub of a hub can't lie: both must judge them alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hubtool.contracts import TestReport
from tests.contracts.every import long
from tests.contracts.jupyterhub.hub import real_hub
from tests.contracts.jupyterhub.images import RUN

pytestmark = long
SECONDS = 60
# The checks that say whether a hub can start an image and lets the right people in.
START = {"J2", "J4", "K1", "K2"}
# What a hub that spawns does not look at: whether people can log in there, whether a server is in use, and whether
# people find the programs that they had.
UNSEEN = {
    "server whom the hub's login does not know",
    "server that never says that it is in use",
    "packages in the home directory",
}
BAD = [name for name, case in RUN.items() if case.lines and case.fails in START and name not in UNSEEN]
GOOD = ["good", "real", "runs as root", "kernel that fails", "start script that does not hand on SIGTERM"]


@pytest.fixture(scope="module")
def spawns(
    docker_host: str, cache_dir: Path, reports: Callable[[str], TestReport], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], str]]:
    """What a real hub says of an image, "" where it comes up; it starts six at a time."""
    tags = {name: reports(name).reference for name in (*GOOD, *BAD)}
    with real_hub(cache_dir, tmp_path_factory.mktemp("hub"), SECONDS) as hub, ThreadPoolExecutor(6) as pool:
        said = {name: pool.submit(hub.spawns, f"user{n}", tag) for n, (name, tag) in enumerate(tags.items())}
        yield lambda name: said[name].result()


@pytest.mark.parametrize("name", [*GOOD, *BAD])
def test_a_real_hub_and_the_contract_agree(
    name: str, spawns: Callable[[str], str], reports: Callable[[str], TestReport]
) -> None:
    said = spawns(name)
    failed = {result.check: result.message for result in reports(name).failed if result.check in START}
    assert (said == "") == (not failed), f"the hub: {said or 'it is up'}; the contract: {failed or 'passed'}"
    assert (said == "") == (name in GOOD)
