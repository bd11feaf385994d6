"""Reports for people, for GitHub, and for CI services."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from hubtool.contracts import CANNOT_START, Outcome, Result, TestReport, in_order
from hubtool.contracts.junit import Case, junit, read_junit
from hubtool.contracts.report import as_json, as_markdown, as_text


def result(check: str, outcome: Outcome, message: str = "") -> Result:
    mend = "mend it so" if outcome == "failed" else ""
    return Result("jupyterhub", check, f"promise of {check}", outcome, 1.25, message, mend)


def report(*results: Result) -> TestReport:
    return TestReport("img", "r.example/img:1", "sha256:1", "jupyterhub", results, 9.5)


MIXED = report(
    result("J1", "passed"), result("J5", "failed", "a key: /srv/key\nand more"), result("K3", "skipped", "no kernel")
)


def test_the_table_says_what_to_do_and_why_not() -> None:
    text = as_text(MIXED)
    lines = {line.split()[0]: line for line in text.splitlines() if line}
    assert lines["J1"].split()[1] == "passed"
    assert "promise of J1" in lines["J1"]
    assert "no kernel" in lines["K3"]
    assert "FAILED" in text
    assert "mend it so" in text
    assert "J5 failed: a key: /srv/key\nand more" in text
    assert text.endswith("r.example/img:1: FAILED (1 passed, 1 failed, 1 skipped, 10 s)")


KNOWN = report(result("J5", "known", "known until 2999-01-01 (soon): a key"), result("J1", "passed", "3 warnings"))


def test_what_is_known_is_shown_everywhere_and_fails_nothing() -> None:
    assert KNOWN.passed
    assert KNOWN.summary == "1 passed, 1 known"
    assert "known until 2999-01-01 (soon): a key" in as_text(KNOWN)
    assert "⏳ known" in as_markdown(KNOWN)
    assert as_json(KNOWN)["results"][0]["outcome"] == "known"
    suite = ElementTree.fromstring(junit([KNOWN])).find("testsuite")
    assert suite is not None
    assert (suite.get("failures"), suite.get("skipped")) == ("0", "1")
    assert suite.find("testcase/skipped") is not None


def test_what_a_passing_check_noted_is_shown() -> None:
    assert "promise of J1 (3 warnings)" in as_text(KNOWN)


def test_checks_stand_in_the_order_of_their_ids_and_others_after_them() -> None:
    mixed = [Result("tests", "A_check", "", "passed", 0), *(result(check, "passed") for check in ("K1", "J10", "J2"))]
    assert [one.check for one in in_order(mixed, "jupyterhub")] == ["J2", "J10", "K1", "A_check"]


VERDICTS = [
    ([result("J1", "passed")], True),
    ([result("J1", "passed"), result("K3", "skipped", "no known cell")], True),
    ([result("J1", "failed")], False),
    ([result("J1", "passed"), result("K1", "skipped", f"{CANNOT_START}: no")], False),
    ([], True),
]


@pytest.mark.parametrize(("results", "passed"), VERDICTS)
def test_only_what_was_started_and_did_not_fail_passes(results: list[Result], passed: bool) -> None:
    assert report(*results).passed is passed
    assert as_json(report(*results))["passed"] is passed


def test_text_of_an_image_is_no_markup_in_the_summary() -> None:
    text = as_markdown(report(result("J5", "failed", "a | b <img src=x> `x` [l](u)\nnext")))
    (row,) = [line for line in text.splitlines() if "J5" in line]
    assert row.count("|") == 5
    assert "<img" not in row
    assert "[l]" not in row


def test_junit_counts_and_keeps_the_messages() -> None:
    suite = ElementTree.fromstring(junit([MIXED])).find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "1")
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert failure.get("message") == "a key: /srv/key"
    assert failure.text == "a key: /srv/key\nand more\nmend it so"


@pytest.mark.parametrize("text", ["\x00\x1b[31m", "\ud800", "]]>", "<&\"'>", "\ufffe", "日本語 🚀"])
def test_any_text_gives_a_junit_that_can_be_read(text: str) -> None:
    written = junit([report(result("K1", "failed", text))])
    assert ElementTree.fromstring(written.encode()).find("testsuite/testcase/failure") is not None


JUNIT = """<?xml version="1.0"?><testsuites><testsuite>
<testcase classname="image-tests.test_a" name="test_x[1.5]" time="0.5"/>
<testcase classname="image-tests.test_a" name="test_y" time="nonsense"><failure message="m &lt;"/></testcase>
<testcase classname="" name="image-tests.test_b" time="0"><error message="collection failure">e</error></testcase>
<testcase classname="t" name="n"><skipped message="why"/></testcase>
</testsuite></testsuites>"""


def test_the_junit_of_pytest_is_read() -> None:
    assert read_junit(JUNIT) == [
        Case("image-tests/test_a", "test_x[1.5]", "passed", 0.5),
        Case("image-tests/test_a", "test_y", "failed", 0.0, "m <"),
        Case("image-tests.test_b", "", "failed", 0.0, "collection failure"),
        Case("t", "n", "skipped", 0.0, "why"),
    ]


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {name} "{f"&{below};" * 10}">' for below, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize("text", ["", "not xml", "<a>", f"{BOMB}]><x>&i;</x>"], ids=["empty", "text", "cut", "bomb"])
def test_what_is_no_junit_has_no_cases(text: str) -> None:
    assert read_junit(text) == []
