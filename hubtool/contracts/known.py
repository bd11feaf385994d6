"""Checks that an image is known to fail, for a while: hubtool.yaml's known_issues."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import replace

from hubtool.config import KnownIssue
from hubtool.contracts import Result


def judged(result: Result, issues: Sequence[KnownIssue], today: datetime.date) -> Result:
    """RESULT of a contract's check, in the light of ISSUES: up to an issue's last day a failure is "known"; past it, it
    fails and says so."""
    issue = next((issue for issue in issues if issue.check == result.check), None)
    if issue is None or result.outcome != "failed":
        return result
    if today <= issue.until:
        said = f"known until {issue.until} ({issue.reason}): {result.message}"
        return replace(result, outcome="known", message=said)
    said = f"it was known until {issue.until} ({issue.reason}), and that is over: {result.message}"
    return replace(result, message=said)


def can_go(results: Sequence[Result], issues: Sequence[KnownIssue]) -> list[str]:
    """What is to be said of ISSUES whose checks ran and all passed."""
    outcomes = {issue.check: {r.outcome for r in results if r.check == issue.check} for issue in issues}
    passed = [check for check, found in outcomes.items() if found == {"passed"}]
    return [f"{check} passes: it can go from known_issues in hubtool.yaml" for check in passed]
