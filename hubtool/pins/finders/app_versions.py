"""A chart's appVersion, where it is the tag of an image whose name stands only in the chart's templates: hubtool.yaml
says which (``deployment.charts``)."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Mapping
from dataclasses import replace

import yaml

from hubtool.errors import HubtoolError, Where
from hubtool.pins import Pin, Span, Unreadable
from hubtool.pins.finders.shapes import is_templated
from hubtool.pins.formats.scalars import NULL, value_span
from hubtool.pins.formats.text import Document, read
from hubtool.reference import ImageReference, is_tag

CHART = "Chart.yaml"


def chart_images(charts: Mapping[str, str], files: Collection[str]) -> dict[str, str]:
    """The image (without tag) of each Chart.yaml that CHARTS (``deployment.charts``: folder, image) names.

    Raises HubtoolError for a folder that holds none among FILES or leads outside, and for what is no image.
    """
    return {_chart_file(folder, files): _image(folder, image) for folder, image in charts.items()}


def app_version_pins(data: bytes, file: str, image: str) -> list[Pin]:
    """The appVersion of a Chart.yaml as a pin of IMAGE. What is written there is a text afterwards, in quotes.

    Where there is none, the pin says so. Raises HubtoolError for what is no chart.
    """
    document, chart = read_chart(data, file)
    node, why = top_scalar(document, chart, "appVersion")
    start = int((node or chart).start_mark.index) + document.offset
    span = value_span(document, node) if node else None
    tag = str(node.value) if node and node.tag != NULL else ""
    why = why or _why_not(node, tag, span)
    span = replace(span or Span(start, start), quote=True)
    shown = tag if is_tag(tag) else ""
    return [Pin(file, document.line(start), image, shown, None, "appVersion", "app-version", why is None, why, span)]


def read_chart(data: bytes, file: str) -> tuple[Document, yaml.MappingNode]:
    """A Chart.yaml and its one mapping; raises HubtoolError."""
    try:
        document = read(data, file)
    except Unreadable as error:
        raise HubtoolError(str(error), where=Where(file)) from error
    chart = document.nodes[0] if len(document.nodes) == 1 else None
    if not isinstance(chart, yaml.MappingNode):
        raise HubtoolError("is not a chart: expected one document of keys and values", where=Where(file, 1))
    return document, chart


def top_scalar(document: Document, chart: yaml.MappingNode, key: str) -> tuple[yaml.ScalarNode | None, str | None]:
    """The value at KEY, and why it can't be edited; none of them where it isn't there."""
    values = [value for at, value in chart.value if isinstance(at, yaml.ScalarNode) and at.value == key]
    if not values:
        return None, None
    node = values[0]
    if len(values) > 1:
        return None, "stands twice"
    if not isinstance(node, yaml.ScalarNode):
        return None, "is not a text"
    if is_templated(str(node.value)):
        return node, "is a template's placeholder"
    if value_span(document, node) is None and node.tag != NULL:
        return node, "is written with escapes or over several lines"
    if str(node.tag).startswith("!"):
        return node, f"has the YAML tag {node.tag}"
    return node, "is an anchor that something else uses too" if uses(chart, node) > 1 else None


def uses(chart: yaml.Node, wanted: yaml.Node) -> int:
    """How often WANTED stands in CHART: more than once where it has an anchor that is used."""
    pending, seen, count = [chart], {id(chart)}, 0
    while pending:
        node = pending.pop()
        items = node.value if isinstance(node, yaml.CollectionNode) else ()
        for item in (one for pair in items for one in (pair if isinstance(pair, tuple) else (pair,))):
            count += item is wanted
            if id(item) not in seen:
                seen.add(id(item))
                pending.append(item)
    return count


def _why_not(node: yaml.ScalarNode | None, tag: str, span: Span | None) -> str | None:
    if node is None:
        return "has no appVersion"
    if node.tag == NULL or span is None:
        return "has no tag"
    return None if tag == "" or is_tag(tag) else "is not a tag"


def _chart_file(folder: str, files: Collection[str]) -> str:
    where = Where("hubtool.yaml", key=f"deployment.charts.{folder}")
    clean = posixpath.normpath(folder)
    if clean.startswith(("/", "../")) or clean == "..":
        raise HubtoolError(f"'{folder}' leads outside the deployment repository", where=where)
    file = CHART if clean == "." else f"{clean}/{CHART}"
    if file not in files:
        raise HubtoolError(f"no {file} in the deployment repository", where=where)
    return file


def _image(folder: str, image: str) -> str:
    where = Where("hubtool.yaml", key=f"deployment.charts.{folder}")
    try:
        reference = ImageReference.parse(image)
    except HubtoolError as error:
        raise HubtoolError(error.message, where=where, hint=error.hint) from error
    if reference.tag or reference.digest:
        raise HubtoolError(f"'{image}' has a tag; the chart's appVersion is the tag", where=where)
    return reference.name
