"""Helm charts: which one a file belongs to, and its version, raised where one of its files changes."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from typing import Literal

from hubtool.errors import HubtoolError, Where
from hubtool.pins import Span
from hubtool.pins.finders.app_versions import CHART, read_chart, top_scalar
from hubtool.pins.formats.scalars import value_span
from hubtool.pins.formats.text import Document
from hubtool.pins.prove import Edit, prove
from hubtool.pins.scan import Change

Policy = Literal["auto", "always", "never"]

_VALUES = re.compile(r"values[^/]*\.(?:yaml|yml|json)\Z")
_FOLDER = "charts"
_VERSION = re.compile(r"(?P<start>(?:(?:0|[1-9][0-9]{0,17})\.){2})(?P<patch>0|[1-9][0-9]{0,17})(?P<rest>[-+].*)?\Z")
_HINT = "raise it by hand, or leave versions alone with 'chart_version: never' under 'deployment' in hubtool.yaml"


def with_versions(
    changes: Iterable[Change], files: Collection[str], read: Callable[[str], bytes], policy: Policy
) -> list[Change]:
    """CHANGES, and the version of each chart that one of them belongs to raised as POLICY wants it.

    FILES are the deployment repository's, READ gives the bytes of one. A Chart.yaml that changes anyway has both in
    one change. Raises HubtoolError for a version that can't be raised.
    """
    everything, known = {change.file: change for change in changes}, frozenset(files)
    moved = {change.file for change in everything.values() if any(pin.form == "app-version" for pin in change.pins)}
    for chart in sorted({chart for file in everything if (chart := chart_of(file, known))}):
        if wants_version(chart, known, policy, chart in moved):
            if chart not in everything:
                data = read(chart)
                everything[chart] = Change(chart, data, data, ())
            everything[chart] = _raised(everything[chart])
    return [everything[file] for file in sorted(everything)]


def chart_of(file: str, files: Collection[str]) -> str | None:
    """The Chart.yaml, beside or above, of the chart whose values or schema FILE is; None for any other file, and for
    what stands in a chart's own ``charts`` folder: that is a copy of another chart."""
    *folders, name = file.split("/")
    if name != CHART and not _VALUES.match(name):
        return None
    if any(folder == _FOLDER and _chart_in(folders[:at]) in files for at, folder in enumerate(folders)):
        return None
    charts = (_chart_in(folders[:depth]) for depth in range(len(folders), -1, -1))
    return next((chart for chart in charts if chart in files), None)


def wants_version(chart: str, files: Collection[str], policy: Policy, moved_app_version: bool) -> bool:
    """Whether the version of CHART (a Chart.yaml, one of whose files changes) is to be raised.

    auto: where its appVersion moves, and where it is published: folder charts/NAME, the tree's root, or one with
    a values.schema.json.
    """
    folders = chart.split("/")[:-1]
    if policy != "auto":
        return policy == "always"
    published = not folders or folders[-2:-1] == [_FOLDER] or "/".join([*folders, "values.schema.json"]) in files
    return moved_app_version or published


def raise_version(data: bytes, file: str) -> bytes:
    """A Chart.yaml with its version one patch higher, proven to be the only thing that changes.

    Raises HubtoolError where the version is missing, or not MAJOR.MINOR.PATCH alone.
    """
    document, span = _version(data, file)
    old = document.text[span.start : span.end]
    edit = Edit(span, _next(old, Where(file, document.line(span.start), "version")))
    after = (document.text[: span.start] + edit.text + document.text[span.end :]).encode()
    prove(data, after, [edit], file)
    return after


def _chart_in(folders: list[str]) -> str:
    return "/".join([*folders, CHART])


def _raised(change: Change) -> Change:
    after = raise_version(change.after, change.file)
    old, new = (_written(data, change.file) for data in (change.after, after))
    return replace(change, after=after, note=f"version {old} → {new}")


def _written(data: bytes, file: str) -> str:
    document, span = _version(data, file)
    return document.text[span.start : span.end]


def _version(data: bytes, file: str) -> tuple[Document, Span]:
    document, chart = read_chart(data, file)
    node, why = top_scalar(document, chart, "version")
    start = int((node or chart).start_mark.index) + document.offset
    span = value_span(document, node) if node else None
    if why or span is None:
        raise HubtoolError(why or "missing", where=Where(file, document.line(start), "version"), hint=_HINT)
    return document, span


def _next(version: str, where: Where) -> str:
    found = _VERSION.match(version)
    if found is None:
        raise HubtoolError(f"'{version}' is no MAJOR.MINOR.PATCH", where=where, hint=_HINT)
    if found["rest"]:
        what = "a pre-release" if found["rest"].startswith("-") else "a version with build metadata"
        raise HubtoolError(f"'{version}' is {what}: what follows it is for people to say", where=where, hint=_HINT)
    return f"{found['start']}{int(found['patch']) + 1}"
