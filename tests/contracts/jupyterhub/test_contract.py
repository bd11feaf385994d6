"""The jupyterhub contract, held against images that keep it and images that break one promise each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hubtool.contracts import TestReport
from tests.contracts.conftest import BuildImage, RunContract, containers_of
from tests.contracts.jupyterhub.images import BROKEN, CASES, RUN

CHECKS = sorted(
    [*(f"J{number}" for number in range(1, 9)), "J4", "J6", *(f"K{number}" for number in range(1, 8)), "K4", "K5", "K5"]
)


@pytest.mark.parametrize(
    ("name", "skipped"),
    [("good", ["K4", "K4", "K5"]), ("real", ["J3", "K4"]), ("with R", ["J3", "K4", "K5"])],
)
def test_a_good_image_keeps_every_promise(name: str, skipped: list[str], reports: Callable[[str], TestReport]) -> None:
    report = reports(name)
    assert [result.message for result in report.failed] == []
    assert sorted(result.check for result in report.results) == CHECKS
    assert sorted(result.check for result in report.results if result.outcome == "skipped") == skipped
    assert report.passed


def test_what_answered_is_said(reports: Callable[[str], TestReport]) -> None:
    notes = {result.check: result.message for result in reports("real").results if result.outcome == "passed"}
    assert notes["K5"] == "answered: jupyterlab, nbgitpuller, jupyter_server_proxy"


@pytest.mark.parametrize("name", RUN)
def test_a_broken_image_fails_its_one_check(name: str, reports: Callable[[str], TestReport]) -> None:
    report, broken = reports(name), BROKEN[name]
    assert {result.check: result.message for result in report.failed}.keys() == {broken.fails}
    assert any(broken.says in failed.message for failed in report.failed), report.failed
    assert all(failed.mend for failed in report.failed)
    assert not report.passed


def test_every_check_has_an_image_that_fails_only_it() -> None:
    assert sorted({broken.fails for broken in BROKEN.values()}) == sorted(set(CHECKS))


def test_what_the_container_said_is_kept_and_shown(reports: Callable[[str], TestReport]) -> None:
    (failed,) = reports("entrypoint that ends at once").failed
    assert "| cannot find it" in failed.message
    path = failed.message.partition("all of it: ")[2].partition(")")[0]
    assert "cannot find it" in Path(path).read_text()


def test_an_image_without_anything_in_it_is_judged(build_image: BuildImage, run_contract: RunContract) -> None:
    image = build_image("nothing", "FROM scratch\nCOPY Dockerfile /\nUSER 1234\n")
    report = run_contract(image)
    outcomes = {result.check: result.outcome for result in report.results}
    assert [check for check, outcome in outcomes.items() if outcome == "failed"] == ["J1", "J2", "J8", "K1"]
    assert [check for check, outcome in outcomes.items() if outcome == "passed"] == ["J5", "J6", "J7"]
    messages = {result.check: result.message for result in report.failed}
    assert messages["J1"] == "it runs as uid 1234 (USER '1234'), expected 1000"
    assert "the engine can't start it" in messages["K1"]
    assert containers_of(image) == {}


def test_nothing_is_left_when_all_is_done(reports: Callable[[str], TestReport]) -> None:
    for name in CASES:
        assert containers_of(reports(name).reference) == {}
