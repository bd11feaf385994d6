"""A test report as a table for people, Markdown for a step summary, and JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from hubtool.console import table
from hubtool.contracts import Promise, Result, TestReport

HEADER = ("check", "result", "seconds", "what it promises, or what to do")
SHOWN = 110


def as_text(report: TestReport) -> str:
    """The table of all checks, and below it what each failed one found and what to do."""
    rows = [
        (r.check, r.outcome.upper() if r.outcome == "failed" else r.outcome, _took(r), _said(r)) for r in report.results
    ]
    parts = [table(rows, HEADER)] if rows else []
    parts += [_failure(result) for result in report.failed]
    parts += [f"what its containers said: {report.logs}"] if report.failed and report.logs else []
    parts += report.notes
    verdict = "passed" if report.passed else "FAILED" if report.failed else "not tested"
    parts.append(f"{report.reference}: {verdict} ({report.summary}, {report.seconds:.0f} s)")
    return "\n\n".join(parts)


def _failure(result: Result) -> str:
    mend = f"\n  to mend: {result.mend}" if result.mend else ""
    return f"{result.check} failed: {result.message}{mend}"


def _took(result: Result) -> str:
    return f"{result.seconds:.1f}"


def _said(result: Result) -> str:
    """What stands in the last column: the promise, what to do where it failed, why it was skipped; one line."""
    text = {"failed": result.mend or result.promise, "passed": result.promise}.get(result.outcome, result.message)
    if result.outcome == "passed" and result.message:
        text = f"{text} ({result.message})"
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else line[: SHOWN - 1] + "…"


def as_markdown(report: TestReport) -> str:
    """The report for a step summary of GitHub Actions."""
    mark = {"passed": "✅", "failed": "❌", "known": "⏳", "skipped": "⏭️"}
    lines = [
        f"### Test of `{_cell(report.reference)}`: {report.summary}",
        "",
        "| check | result | seconds | |",
        "|---|---|---|---|",
    ]
    for result in report.results:
        said = f"{result.message} {result.mend}" if result.outcome == "failed" else _said(result)
        lines.append(
            f"| {_cell(result.check)} | {mark[result.outcome]} {result.outcome} | {_took(result)} | {_cell(said)} |"
        )
    return "\n".join([*lines, *(f"\n{_cell(note)}" for note in report.notes)])


def _cell(text: str) -> str:
    """Text from an image or its tests as one cell of a Markdown table: nothing in it is markup."""
    plain = " ".join(text.split())[:500]
    for char, safe in (("&", "&amp;"), ("<", "&lt;"), ("|", "&#124;"), ("`", "&#96;"), ("[", "&#91;")):
        plain = plain.replace(char, safe)
    return plain


def as_json(report: TestReport) -> dict[str, Any]:
    """The report as plain data."""
    return {
        "image": report.name,
        "reference": report.reference,
        "id": report.image_id,
        "contract": report.contract,
        "passed": report.passed,
        "summary": report.summary,
        "seconds": round(report.seconds, 3),
        "notes": list(report.notes),
        "results": [asdict(result) for result in report.results],
    }


def promises_as_text(found: Iterable[Promise]) -> str:
    """What ``hubtool test --list`` prints."""
    return "\n\n".join(map(_promise, found))


def _promise(promise: Promise) -> str:
    where = f"{promise.contract} ({', '.join(promise.profiles)})" if promise.profiles else promise.contract
    mend = f"To mend: {promise.mend}" if promise.mend else ""
    lines = [f"{where} {promise.check}  {promise.promise}".rstrip(), promise.breaks, mend]
    return "\n    ".join(filter(None, lines))
