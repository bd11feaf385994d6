"""One image that keeps the contract, and for every promise an image that breaks it and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hubtool.contracts import TestReport
from tests.contracts.conftest import BuildImage, RunContract, containers_of

ROOT = "USER root\n"
RUN_USER = "USER jovyan\n"
# Random bytes, no key of anyone.
BODY = "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g"
KEY = f"-----BEGIN PRIVATE KEY-----\\n{BODY}\\n-----END PRIVATE KEY-----\\n"
SINGLEUSER = "/srv/venv/bin/jupyterhub-singleuser"


def entrypoint(script: str) -> str:
    """Dockerfile lines for an image whose entrypoint is SCRIPT, a shell script of one line."""
    return f"{ROOT}RUN printf '#!/bin/sh\\n{script}\\n' > /srv/start && chmod +x /srv/start\n{RUN_USER}" + (
        'ENTRYPOINT ["/srv/start"]\n'
    )


@dataclass(frozen=True)
class Broken:
    """An image: what is added to the good one, the one check that shall fail, and words of what it says."""

    lines: str
    fails: str
    says: str
    settings: dict[str, Any] = field(default_factory=dict)


BROKEN = {
    "runs as root": Broken(ROOT, "J1", "it runs as root: USER is 'root'"),
    "no jupyterhub-singleuser": Broken(
        f"{ROOT}RUN rm {SINGLEUSER}\n{RUN_USER}",
        "J2",
        "no jupyterhub-singleuser in PATH=/srv/venv",
    ),
    "jupyterhub-singleuser that can't start": Broken(
        f"{ROOT}RUN printf '#!/bin/sh\\necho no such module >&2; exit 3\\n' > {SINGLEUSER}\n{RUN_USER}",
        "J2",
        "ends with code 3: no such module",
    ),
    "start script in the home directory": Broken(
        f"{RUN_USER}RUN printf '#!/bin/sh\\nexec \"$@\"\\n' > /home/jovyan/start && chmod +x /home/jovyan/start\n"
        'ENTRYPOINT ["/home/jovyan/start"]\n',
        "J4",
        "starts only with the home directory of the image",
        {"start_seconds": 25},
    ),
    "packages in the home directory": Broken(
        f"{RUN_USER}RUN mkdir -p ~/.local/bin && touch ~/.local/bin/tool\n", "J4", "/home/jovyan/.local/bin/tool"
    ),
    "deleted key": Broken(
        f"{RUN_USER}RUN printf -- '{KEY}' > /srv/repo/deploy\nRUN rm /srv/repo/deploy\n",
        "J5",
        "a private key: /srv/repo/deploy (layer",
    ),
    "server that never answers": Broken(
        entrypoint("exec sleep 300"), "K1", "no answer within 3 s", {"start_seconds": 3}
    ),
    "entrypoint that ends at once": Broken(
        entrypoint("echo cannot find it; exit 7"), "K1", "the container ended with code 7"
    ),
    "kernel that fails": Broken(
        f'{ROOT}RUN sed -i \'s/"-m"/"-m-missing"/\' /srv/venv/share/jupyter/kernels/python3/kernel.json\n{RUN_USER}',
        "K3",
        "kernel python3: dies when it is started",
    ),
}


@pytest.fixture(scope="module")
def reports(
    good_image: str, build_image: BuildImage, run_contract: RunContract
) -> Iterator[Callable[[str], TestReport]]:
    """The report of each image; they run two at a time, from the first question on."""
    pool = ThreadPoolExecutor(2)

    def make(name: str, broken: Broken) -> TestReport:
        tag = build_image(
            "broken-" + "".join(c if c.isalnum() else "-" for c in name), f"FROM {good_image}\n{broken.lines}"
        )
        return run_contract(tag, **{"start_seconds": 60, **broken.settings})

    futures: dict[str, Future[TestReport]] = {"good": pool.submit(run_contract, good_image, start_seconds=60)}
    futures |= {name: pool.submit(make, name, broken) for name, broken in BROKEN.items()}
    yield lambda name: futures[name].result()
    pool.shutdown(cancel_futures=True)


def test_a_good_image_keeps_every_promise(reports: Callable[[str], TestReport]) -> None:
    report = reports("good")
    assert sorted((r.check, r.outcome, r.message) for r in report.results) == [
        (check, "passed", "") for check in ("J1", "J2", "J4", "J4", "J5", "K1", "K3")
    ]
    assert report.passed
    assert report.seconds < 60


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_image_fails_its_one_check(name: str, reports: Callable[[str], TestReport]) -> None:
    report, broken = reports(name), BROKEN[name]
    assert {result.check: result.message for result in report.failed}.keys() == {broken.fails}
    (failed,) = report.failed
    assert broken.says in failed.message
    assert failed.mend
    assert not report.passed


def test_what_the_container_said_is_kept_and_shown(reports: Callable[[str], TestReport]) -> None:
    (failed,) = reports("entrypoint that ends at once").failed
    assert "| cannot find it" in failed.message
    path = failed.message.partition("all of it: ")[2].partition(")")[0]
    assert "cannot find it" in Path(path).read_text()


def test_an_image_without_anything_in_it_is_judged(build_image: BuildImage, run_contract: RunContract) -> None:
    image = build_image("nothing", "FROM scratch\nCOPY Dockerfile /\nUSER 1234\n")
    report = run_contract(image)
    assert {(result.check, result.outcome) for result in report.results} == {
        ("J1", "failed"),
        ("J2", "failed"),
        ("J4", "passed"),
        ("J4", "skipped"),
        ("J5", "passed"),
        ("K1", "failed"),
        ("K3", "skipped"),
    }
    assert report.failed[0].message == "it runs as uid 1234 (USER '1234'), expected 1000"
    assert "the engine can't start it" in report.failed[-1].message
    assert containers_of(image) == {}


def test_nothing_is_left_when_all_is_done(reports: Callable[[str], TestReport]) -> None:
    for name in ("good", *BROKEN):
        assert containers_of(reports(name).reference) == {}
