"""Checks that an image is known to fail: until the last day, and not after it."""

from __future__ import annotations

import datetime

import pytest

from hubtool.config import KnownIssue
from hubtool.contracts import Outcome, Result
from hubtool.contracts.known import can_go, judged

LAST = datetime.date(2026, 12, 31)
ISSUE = KnownIssue(check="J5", reason="upstream's key, reported", until=LAST)
DAY = datetime.timedelta(days=1)


def result(outcome: Outcome, check: str = "J5") -> Result:
    return Result("jupyterhub", check, "no keys", outcome, 1.0, "a key: /srv/key")


CASES: list[tuple[Outcome, str, datetime.date, Outcome, str]] = [
    ("failed", "J5", LAST, "known", "known until 2026-12-31 (upstream's key, reported): a key: /srv/key"),
    (
        "failed",
        "J5",
        LAST + DAY,
        "failed",
        "known until 2026-12-31 (upstream's key, reported), and that is over: a key",
    ),
    ("failed", "J50", LAST, "failed", "a key: /srv/key"),
    ("passed", "J5", LAST, "passed", "a key: /srv/key"),
    ("skipped", "J5", LAST, "skipped", "a key: /srv/key"),
]


@pytest.mark.parametrize(("outcome", "check", "today", "then", "said"), CASES)
def test_a_failure_is_known_up_to_the_last_day(
    outcome: Outcome, check: str, today: datetime.date, then: Outcome, said: str
) -> None:
    found = judged(result(outcome, check), [ISSUE], today)
    assert found.outcome == then
    assert said in found.message


def test_an_issue_whose_checks_all_pass_can_go() -> None:
    assert "J5 passes" in can_go([result("passed"), result("passed")], [ISSUE])[0]
    assert can_go([result("passed"), result("known")], [ISSUE]) == []
    assert can_go([result("passed"), result("skipped")], [ISSUE]) == []
    assert can_go([result("passed", "J1")], [ISSUE]) == []
