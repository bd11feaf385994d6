"""Pins of a template that can't be read as YAML even with its expressions masked: line by line, and only where a
line can mean one thing. A name and its tag are two lines at one indent in one block."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hubtool.pins import Form, Pin, Span, shapes
from hubtool.pins.shapes import Place
from hubtool.pins.text import STATEMENTS
from hubtool.reference import is_tag

_LINE = re.compile(
    r"""(?P<indent>[ ]*)(?P<dashes>(?:-[ ]+)*)(?P<quote>["']?)(?P<key>[A-Za-z0-9_.-]+)(?P=quote):"""
    r"""(?:[ ]+(?P<mark>["']?)(?P<value>[^\s"'#\[\]{},&*!|>%@`][^\s"'\[\]{},]*)(?P=mark))?[ \t]*(?:[ \t]\#.*)?\r?$"""
)
_BLOCK = re.compile(r"[ ]*.*:[ ]+[|>][-+0-9]*[ \t]*(?:\#.*)?\r?$")
_STATEMENT = re.compile(STATEMENTS)
_NAMES = {name: tag for tag, names in shapes.SPLIT_KEYS for name in names if name != "image"}


@dataclass(frozen=True)
class _Line:
    """KEY: VALUE at a column. ``item``: the line starts a list's item. ``span`` is the value's own characters."""

    number: int
    column: int
    item: bool
    key: str
    value: str
    span: Span
    keys: tuple[str, ...]


def find_line_pins(text: str, file: str) -> list[Pin]:
    """The pins of TEXT (line ends as they are)."""
    lines = list(_lines(text))
    return [pin for at, line in enumerate(lines) for pin in (_inline(line, file), _split(lines, at, file)) if pin]


def _lines(text: str) -> Iterator[_Line]:
    stack: list[tuple[int, str]] = []
    start, block = 0, None
    for number, raw in enumerate(text.split("\n"), 1):
        at, start = start, start + len(raw) + 1
        bare = raw.strip().lstrip("\ufeff")
        indent = len(raw) - len(raw.lstrip(" "))
        if not bare or bare.startswith("#") or _STATEMENT.match(raw):
            continue
        if block is not None and indent > block:
            continue
        block = indent if _BLOCK.match(raw) else None
        found = _LINE.match(raw)
        column = len(found["indent"]) + len(found["dashes"]) if found else indent
        while stack and stack[-1][0] >= column:
            stack.pop()
        if found is None:
            continue
        stack.append((column, found["key"]))
        value = found["value"] or ""
        begin = at + (found.start("value") if value else 0)
        span = Span(begin, begin + len(value), alone=True, plain=not found["mark"])
        yield _Line(number, column, bool(found["dashes"]), found["key"], value, span, tuple(key for _, key in stack))


def _inline(line: _Line, file: str) -> Pin | None:
    reference = shapes.parse(line.value) if line.value else None
    place = Place(line.keys, in_list=line.item)
    if reference is None or not reference.tag or shapes.is_prose(place):
        return None
    if line.key not in shapes.WHOLE_KEYS and not shapes.is_hubploy_name(place):
        return None
    if reference.digest:
        return None  # tag and digest in a line that nobody can read as YAML: a person's work
    start = line.span.start + len(reference.name) + 1
    span = Span(start, start + len(reference.tag))
    return _pin(file, line, reference.name, reference.tag, span, "inline", None)


def _split(lines: Sequence[_Line], at: int, file: str) -> Pin | None:
    line = lines[at]
    tag_key = _NAMES.get(line.key)
    image = shapes.parse(line.value) if tag_key and line.value else None
    if image is None or image.tag or image.digest or not shapes.is_split(Place(line.keys[:-1]), line.key, image):
        return None
    block = _block(lines, at)
    tags = [one for one in block if one.key == tag_key]
    if not tags:
        return None
    beside = [one for one in block if one.key in (*_NAMES, "registry", "digest") and one is not line]
    why = "a template with more than one name, tag or digest in one place" if beside or len(tags) > 1 else None
    if why is None and not is_tag(tags[0].value):
        why = "is a template's placeholder, not a tag"
    tag = tags[0].value if is_tag(tags[0].value) else ""
    return _pin(file, tags[0], image.name, tag, tags[0].span, "split", why)


def _block(lines: Sequence[_Line], at: int) -> list[_Line]:
    """The lines at the column of line AT that belong to one mapping with it."""
    column, found = lines[at].column, [lines[at]]
    first = at
    # An item's first line starts its mapping; a deeper line between may start an item of its own.
    while first > 0 and not (lines[first].item and lines[first].column == column):
        first -= 1
        if lines[first].column < column:
            break
        found += [lines[first]] if lines[first].column == column else []
    for line in lines[at + 1 :]:
        if line.column < column or (line.item and line.column == column):
            break
        found += [line] if line.column == column else []
    return found


def _pin(file: str, line: _Line, image: str, tag: str, span: Span, form: Form, why: str | None) -> Pin:
    return Pin(file, line.number, image, tag, None, ".".join(line.keys), form, why is None, why, span)
