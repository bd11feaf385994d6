"""Where a scalar's own characters stand, and which tags YAML would not read as text."""

from __future__ import annotations

import re

import yaml

from hubtool.pins import Span
from hubtool.pins.formats.text import Document

STR = "tag:yaml.org,2002:str"
NULL = "tag:yaml.org,2002:null"

# YAML 1.1 (yaml.org/type), YAML 1.2 core schema, and Go's yaml packages, which Helm reads with (they take
# underscores in numbers, one-digit months and days, and strconv's words). "_" is dropped before the match.
_WORDS = frozenset(["y", "n", "yes", "no", "true", "false", "on", "off", "null", "nan", "inf", "infinity"])
_NUMBER = re.compile(
    r"[0-9]+(?:\.[0-9]*)?(?:e[-+]?[0-9]+)?|0x[0-9a-f.]+(?:p[-+]?[0-9]+)?|0b[01]+|0o[0-7]+"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:t.*)?",
    re.IGNORECASE,
)


def reads_as_text(tag: str) -> bool:
    """Whether TAG without quotes is text in every YAML: not a number, date, bool, null or infinity."""
    bare = tag.replace("_", "")
    return bare != "" and bare.lower() not in _WORDS and not _NUMBER.fullmatch(bare)


def value_span(document: Document, node: yaml.ScalarNode) -> Span | None:
    """The characters of NODE's value, without quotes, anchor and YAML tag.

    None where the value is not written as it reads: escapes, folding, block scalars.
    """
    value, text = str(node.value), document.text
    end = int(node.end_mark.index) + document.offset
    plain = node.style not in ("'", '"')
    if node.style in ("|", ">") or (plain and not value):
        return None
    if not plain:
        end -= 1
    start = end - len(value)
    if start < node.start_mark.index + document.offset or text[start:end] != value:
        return None
    if not plain and text[start - 1] != node.style:
        return None
    return Span(start, end, alone=True, plain=plain, quote=document.kind != "yaml")
