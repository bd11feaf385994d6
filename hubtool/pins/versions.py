"""The versions of images in a hubtool.yaml, raised in place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import yaml

from hubtool.errors import HubtoolError, Where
from hubtool.pins.edit import splice
from hubtool.pins.finders.app_versions import read_chart, top_scalar, uses
from hubtool.pins.formats.scalars import reads_as_text, value_span
from hubtool.pins.formats.text import Document
from hubtool.pins.prove import Edit, prove

_LAST_NUMBER = re.compile(r"(?P<before>.*?)(?P<number>\d{1,18})(?P<after>\D*)", re.DOTALL)


def next_version(version: str) -> str:
    """VERSION with its last number one higher, as wide as it was: 3.9 → 3.10, 2026.07 → 2026.08. Raises HubtoolError
    for one that has none."""
    found = _LAST_NUMBER.fullmatch(version)
    if found is None:
        raise HubtoolError(f"the version '{version}' has no number that could be raised")
    number = str(int(found["number"]) + 1).zfill(len(found["number"]))
    return found["before"] + number + found["after"]


def with_versions(data: bytes, file: Path, versions: Mapping[str, str]) -> bytes:
    """The hubtool.yaml DATA with VERSIONS (image: version), and not a byte else changed, which is proven.

    Raises HubtoolError for an image whose version does not stand with it, or not as it reads.
    """
    document, top = read_chart(data, str(file))
    images = _mapping(top, "images")
    edits = [_edit(document, images and _mapping(images, name), name, versions[name], file) for name in versions]
    after = splice(document.text, edits).encode()
    prove(data, after, edits, str(file))
    return after


def _mapping(parent: yaml.MappingNode, key: str) -> yaml.MappingNode | None:
    found = [value for at, value in parent.value if isinstance(at, yaml.ScalarNode) and at.value == key]
    return found[0] if len(found) == 1 and isinstance(found[0], yaml.MappingNode) else None


def _edit(document: Document, image: yaml.MappingNode | None, name: str, version: str, file: Path) -> Edit:
    node, why = top_scalar(document, image, "version") if image else (None, None)
    if node and not why and uses(document.nodes[0], node) > 1:
        why = "is an anchor that something else uses too"
    span = value_span(document, node) if node and not why else None
    if span is None:
        line = document.line(image.start_mark.index + document.offset) if image else None
        raise HubtoolError(
            f"the version can't be raised: it {why or 'does not stand here'}",
            where=Where(file, line, f"images.{name}.version"),
            hint='give the image a version of its own, as version: "1.0"',
        )
    return Edit(span, version, quoted=span.plain and not reads_as_text(version))
