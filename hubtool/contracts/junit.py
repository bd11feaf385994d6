"""Test reports as JUnit XML, the form that CI services read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from xml.etree import ElementTree

from hubtool.contracts import Outcome, Result, TestReport

# What XML 1.0 can't hold, not even escaped.
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(reports: Iterable[TestReport]) -> str:
    """The reports as JUnit XML, one testsuite an image."""
    root = ElementTree.Element("testsuites")
    for report in reports:
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=_clean(report.reference),
            tests=str(len(report.results)),
            failures=str(report.count("failed")),
            skipped=str(report.count("skipped") + report.count("known")),
            errors="0",
            time=f"{report.seconds:.3f}",
        )
        for result in report.results:
            _case(suite, report, result)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _case(suite: ElementTree.Element, report: TestReport, result: Result) -> None:
    name = f"{result.check} {result.promise}" if result.promise else result.check
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=_clean(f"{report.name}.{result.group}"),
        name=_clean(name),
        time=f"{result.seconds:.3f}",
    )
    if result.outcome == "passed":
        return
    kind = "failure" if result.outcome == "failed" else "skipped"
    first = result.message.splitlines()[0] if result.message else ""
    element = ElementTree.SubElement(case, kind, message=_clean(first))
    element.text = _clean(f"{result.message}\n{result.mend}".strip())


def _clean(text: str) -> str:
    return NOT_XML.sub("\ufffd", text)


@dataclass(frozen=True)
class Case:
    """One testcase of a JUnit report: ``place`` is its file or class."""

    place: str
    name: str
    outcome: Outcome
    seconds: float
    message: str = ""


def read_junit(text: str) -> list[Case]:
    """The testcases of pytest's JUnit XML; none where TEXT is no XML."""
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return []
    return [_read_case(element) for element in root.iter("testcase")]


def _read_case(element: ElementTree.Element) -> Case:
    place, name = element.get("classname", "").replace(".", "/"), element.get("name", "")
    bad = next((child for child in element if child.tag in ("failure", "error")), None)
    skipped = element.find("skipped")
    found = bad if bad is not None else skipped
    outcome: Outcome = "failed" if bad is not None else "skipped" if skipped is not None else "passed"
    message = found.get("message", "") if found is not None else ""
    try:
        seconds = float(element.get("time", "0"))
    except ValueError:
        seconds = 0.0
    return Case(place or name, name if place else "", outcome, seconds, message)
