"""Pins of a template that can't be read as YAML even with its expressions masked: line by line, and only where a
line can mean one thing. A name and its tag are two lines at one indent in one block, and in one branch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hubtool.pins import Form, Pin, Span
from hubtool.pins.finders import shapes
from hubtool.pins.finders.shapes import Place
from hubtool.pins.formats.text import BOM, mask
from hubtool.reference import is_tag

_LINE = re.compile(
    r"""(?P<indent>[ ]*)(?P<dashes>(?:-[ ]+)*)(?P<quote>["']?)(?P<key>[A-Za-z0-9_.-]+)(?P=quote):"""
    r"""(?:[ ]+(?:&\S+[ ]+)?(?P<mark>["']?)(?P<value>[^\s"'#\[\]{},&*!|>%@`][^\s"'\[\]{},]*)(?P=mark))?"""
    r"""[ \t]*(?:[ \t]\#.*)?\r?$"""
)
_BLOCK = re.compile(r".*:[ ]+[|>][-+0-9]*[ \t]*(?:\#.*)?\r?$")
_STATEMENT = re.compile(r"\{%[-+]?\s*(?P<word>\w+)")
_NAMES = {name: tag for tag, names in shapes.SPLIT_KEYS for name in names if name != "image"}
_BESIDE = frozenset({*_NAMES, "registry", "digest"})
# More names and tags in one mapping are no image that a person wrote.
MAX_BESIDE = 20


@dataclass(frozen=True)
class _Line:
    """KEY: VALUE at a column. ``item``: the line starts a list's item; ``block``: its mapping's number; ``branch``:
    the branches of the template it stands in. ``span`` is the value's own characters."""

    number: int
    column: int
    item: bool
    key: str
    value: str
    span: Span
    keys: tuple[str, ...]
    block: int
    branch: tuple[int, ...]

    def goes_with(self, other: _Line) -> bool:
        """Both may stand in one result of the template, and one nowhere without the other."""
        shared = min(len(self.branch), len(other.branch))
        return self.branch[:shared] == other.branch[:shared]


class _Branches:
    """In which branches of the template a line stands."""

    def __init__(self) -> None:
        self.current: tuple[int, ...] = ()
        self._last = 0

    def read(self, raw: str) -> None:
        for found in _STATEMENT.finditer(raw):
            if found["word"] in ("elif", "else", "endif", "endfor"):
                self.current = self.current[:-1]
            if found["word"] in ("if", "for", "elif", "else"):
                self._last += 1
                self.current = (*self.current, self._last)


@dataclass
class _Level:
    """A mapping that is being read: its column, the key it is at, its number, whether it is a list's item."""

    column: int
    key: str
    block: int
    item: bool


def find_line_pins(text: str, file: str) -> list[Pin]:
    """The pins of TEXT (line ends as they are)."""
    lines = list(_lines(text))
    blocks: dict[int, list[_Line]] = {}
    for line in lines:
        if line.key in _BESIDE or line.key in _NAMES.values():
            blocks.setdefault(line.block, []).append(line)
    found = ((_inline(line, file), _split(line, blocks.get(line.block, ()), file)) for line in lines)
    return [pin for pair in found for pin in pair if pin]


def _lines(text: str) -> Iterator[_Line]:
    levels: list[_Level] = []
    branches = _Branches()
    start, scalar, last = 0, None, 0
    for number, (raw, masked) in enumerate(zip(text.split("\n"), mask(text).split("\n"), strict=True), 1):
        at, start = start, start + len(raw) + 1
        if number == 1 and raw.startswith(BOM):
            at, masked = at + 1, masked[1:]
        if "{%" in raw:
            branches.read(raw)
        bare, indent = masked.strip(), len(masked) - len(masked.lstrip(" "))
        if not bare or bare.startswith("#") or (scalar is not None and indent > scalar):
            continue
        scalar = indent if _BLOCK.match(masked) else None
        found = _LINE.match(masked)
        column = len(found["indent"]) + len(found["dashes"]) if found else indent
        while levels and levels[-1].column > column:
            levels.pop()
        item = bool(found and found["dashes"])
        if item and levels and levels[-1].column == column:
            levels.pop()
        if not levels or levels[-1].column < column:
            last += 1
            levels.append(_Level(column, "?", last, item))
        levels[-1].key = found["key"] if found else "?"
        if found is None:
            continue
        value = found["value"] or ""
        begin = at + (found.start("value") if value else 0)
        span = Span(begin, begin + len(value), alone=True, plain=not found["mark"])
        keys = tuple(level.key for level in levels)
        yield _Line(
            number, column, levels[-1].item, found["key"], value, span, keys, levels[-1].block, branches.current
        )


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


def _split(line: _Line, block: Sequence[_Line], file: str) -> Pin | None:
    tag_key = _NAMES.get(line.key)
    image = shapes.parse(line.value) if tag_key and line.value else None
    if image is None or image.tag or image.digest or not shapes.is_split(Place(line.keys[:-1]), line.key, image):
        return None
    tags = [one for one in block[:MAX_BESIDE] if one.key == tag_key and one.goes_with(line)]
    if not tags:
        return None
    tag = tags[0]
    names = [one for one in block[:MAX_BESIDE] if one.key in _BESIDE and (one.goes_with(line) or one.goes_with(tag))]
    why = None
    if len(tags) > 1 or len(names) > 1 or len(block) > MAX_BESIDE:
        why = "a template with more than one name, tag or digest in one place"
    elif not is_tag(tag.value):
        why = "is a template's placeholder, not a tag"
    return _pin(file, tag, image.name, tag.value if is_tag(tag.value) else "", tag.span, "split", why)


def _pin(file: str, line: _Line, image: str, tag: str, span: Span, form: Form, why: str | None) -> Pin:
    no_digest = "it stands in a template that is not YAML"
    path = ".".join(line.keys)
    return Pin(file, line.number, image, tag, None, path, form, why is None, why, span, no_digest=no_digest)
