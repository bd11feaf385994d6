"""Prove an edit: read both versions again and accept nothing but the intended change."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

import yaml

from hubtool.errors import HubtoolError, Where
from hubtool.pins import Pin, Span, Template, Unreadable
from hubtool.pins.finders.lines import find_line_pins
from hubtool.pins.finders.links import find_link_pins
from hubtool.pins.formats.blocks import inner
from hubtool.pins.formats.kinds import kind_of
from hubtool.pins.formats.scalars import STR, reads_as_text, value_span
from hubtool.pins.formats.text import Document, no_collecting, read
from hubtool.pins.witness import json_changes


@dataclass(frozen=True, order=True)
class Edit:
    """The characters of ``span`` become ``value``, in double quotes where ``quoted``, percent-encoded in a URL."""

    span: Span
    value: str
    quoted: bool = False

    @property
    def text(self) -> str:
        value = quote(self.value, safe="") if self.span.percent else self.value
        return f'"{value}"' if self.quoted else value


@no_collecting()
def prove(before: bytes, after: bytes, edits: Sequence[Edit], file: str) -> None:
    """Raise HubtoolError unless AFTER is BEFORE with exactly EDITS.

    Every other byte is the same; both have the same documents, structure and aliases; each scalar has the same
    value, type and style, but for those that an edit touches: they have the intended value, and read as text.
    """
    if kind_of(file) == "links":
        _prove_flat(before.decode(), after.decode(), sorted(edits), file, find_link_pins)
        return
    try:
        old, new = read(before, file), read(after, file)
    except Template:
        _prove_flat(before.decode(), after.decode(), sorted(edits), file, find_line_pins)
        return
    except Unreadable as error:
        raise _refusal(file, f"after the edit the file {error}") from error
    _same_bytes(old.text, new.text, sorted(edits), file)
    comparison = _Comparison(old, new, sorted(edits), file)
    comparison.run()
    if old.kind == "json":
        _second_opinion(old.text, new.text, comparison.changed, file)


def _second_opinion(old: str, new: str, changed: Sequence[tuple[str, str]], file: str) -> None:
    seen = json_changes(old, new)
    if seen is None or sorted(seen) != sorted(changed):
        raise _refusal(file, "another reader of JSON does not see the intended change alone")


def _refusal(file: str, message: str, line: int | None = None) -> HubtoolError:
    return HubtoolError(
        f"not written: {message}",
        where=Where(file, line),
        hint="a guard of hubtool's own stopped this edit; make it by hand, and please report the file",
    )


def _line(text: str, edit: Edit) -> int:
    return text.count("\n", 0, edit.span.start) + 1


def _same_bytes(old: str, new: str, edits: Sequence[Edit], file: str) -> None:
    at_old = at_new = 0
    for edit in edits:
        kept = edit.span.start - at_old
        if kept < 0 or old[at_old : edit.span.start] != new[at_new : at_new + kept]:
            raise _refusal(file, "other bytes than the tag's would change", _line(old, edit))
        at_old, at_new = edit.span.end, at_new + kept + len(edit.text)
        if new[at_new - len(edit.text) : at_new] != edit.text:
            raise _refusal(file, "the new tag is not where it should be", _line(old, edit))
    if old[at_old:] != new[at_new:]:
        raise _refusal(file, "other bytes than the tag's would change")


def _prove_flat(
    old: str, new: str, edits: Sequence[Edit], file: str, find: Callable[[str, str], Sequence[Pin]]
) -> None:
    """The same for a file that is no tree to hubtool: FIND finds the same pins, at their new tags."""
    _same_bytes(old, new, edits, file)
    odd = [edit for edit in edits if edit.span.alone and edit.span.plain and not edit.quoted]
    before, after = find(old, file), find(new, file)
    wanted = {edit.span: edit.value for edit in edits}
    expected = [_after(pin, wanted) for pin in before]
    is_right = all(reads_as_text(edit.value) for edit in odd) and _spans(before) >= wanted.keys()
    if not is_right or expected != after:
        raise _refusal(file, "its pins would not read as intended")


def _after(pin: Pin, wanted: dict[Span, str]) -> Pin:
    """PIN with the tag and the digest that the edits at its spans write."""
    tag, digest = (wanted.get(span) if span else None for span in (pin.tag_span, pin.digest_span))
    return replace(pin, tag=tag or pin.tag, digest=digest or pin.digest)


def _spans(pins: Sequence[Pin]) -> set[Span]:
    return {span for pin in pins for span in (pin.tag_span, pin.digest_span) if span}


class _Comparison:
    """Walks both trees in step, each pair of nodes once, aliases included."""

    def __init__(self, old: Document, new: Document, edits: Sequence[Edit], file: str) -> None:
        self.old = old
        self.new = new
        self.file = file
        self.edits = edits
        self.starts = [edit.span.start for edit in edits]
        self.used: set[Edit] = set()
        self.changed: list[tuple[str, str]] = []
        self.forth: dict[int, int] = {}
        self.back: dict[int, int] = {}

    def run(self) -> None:
        if len(self.old.nodes) != len(self.new.nodes):
            raise _refusal(self.file, "the number of documents would change")
        stack: list[tuple[yaml.Node, yaml.Node]] = list(zip(self.old.nodes, self.new.nodes, strict=True))
        while stack:
            a, b = stack.pop()
            if id(a) in self.forth or id(b) in self.back:
                if self.forth.get(id(a)) != id(b) or self.back.get(id(b)) != id(a):
                    raise self._refuse(a, "an alias would mean something else")
                continue
            self.forth[id(a)], self.back[id(b)] = id(b), id(a)
            stack += self._children(a, b)
        if len(self.used) != len(self.edits):
            raise _refusal(self.file, "a tag would be written where no value stands")

    def _children(self, a: yaml.Node, b: yaml.Node) -> list[tuple[yaml.Node, yaml.Node]]:
        if isinstance(a, yaml.ScalarNode) and isinstance(b, yaml.ScalarNode):
            self._scalar(a, b)
            return []
        if type(a) is not type(b) or a.tag != b.tag or len(a.value) != len(b.value):
            raise self._refuse(a, "the structure would change")
        if isinstance(a, yaml.SequenceNode):
            return list(zip(a.value, b.value, strict=True))
        pairs = zip(a.value, b.value, strict=True)
        return [pair for (key_a, value_a), (key_b, value_b) in pairs for pair in ((key_a, key_b), (value_a, value_b))]

    def _scalar(self, a: yaml.ScalarNode, b: yaml.ScalarNode) -> None:
        inside = self._edits_inside(a)
        if not inside:
            if (a.value, a.tag, a.style) != (b.value, b.tag, b.style):
                raise self._refuse(a, "another value would change")
            return
        if a.style == b.style == "|" and a.tag == b.tag:
            self._block(a, b, inside)
            return
        if b.value != self._expected(a, inside):
            raise self._refuse(a, "the tag would not read as intended")
        if b.tag != STR:
            raise self._refuse(a, f"'{b.value}' would not be read as text")
        if (a.value, a.tag) != (b.value, b.tag):
            self.changed.append((str(a.value), str(b.value)))

    def _block(self, a: yaml.ScalarNode, b: yaml.ScalarNode, inside: list[Edit]) -> None:
        """The same for a file within the file."""
        old, new = inner(self.old, a), inner(self.new, b)
        if old is None or new is None:
            raise self._refuse(a, "the value is not written as it reads")
        _Comparison(old, new, inside, self.file).run()

    def _edits_inside(self, node: yaml.ScalarNode) -> list[Edit]:
        start = int(node.start_mark.index) + self.old.offset
        end = int(node.end_mark.index) + self.old.offset
        first, last = bisect_left(self.starts, start), bisect_left(self.starts, end)
        inside = [edit for edit in self.edits[first:last] if edit.span.end <= end]
        self.used.update(inside)
        return inside

    def _expected(self, node: yaml.ScalarNode, inside: list[Edit]) -> str:
        """NODE's value with the edits applied."""
        span = value_span(self.old, node)
        if span is None:
            raise self._refuse(node, "the value is not written as it reads")
        parts, at = [], span.start
        for edit in inside:
            parts += [self.old.text[at : edit.span.start], edit.value]
            at = edit.span.end
        return "".join([*parts, self.old.text[at : span.end]])

    def _refuse(self, node: yaml.Node, message: str) -> HubtoolError:
        return _refusal(self.file, message, self.old.line(int(node.start_mark.index) + self.old.offset))
