"""Find the pins of one file: bytes in, pins with their positions out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import yaml

from hubtool.pins import Pin, Span, Template, Unreadable
from hubtool.pins.finders import hcl, shapes
from hubtool.pins.finders.candidates import Candidate, Name, Source, settle, why_odd
from hubtool.pins.finders.hcl import HclSplit
from hubtool.pins.finders.hints import may_hold_pins
from hubtool.pins.finders.lines import find_line_pins
from hubtool.pins.finders.links import find_link_pins
from hubtool.pins.finders.merges import MERGE, merge_sources
from hubtool.pins.finders.schema import SchemaPlace, SchemaSplit, root_place
from hubtool.pins.finders.shapes import Place
from hubtool.pins.finders.split import DOUBLED
from hubtool.pins.formats.blocks import inner, is_file
from hubtool.pins.formats.kinds import JINJA, kind_of
from hubtool.pins.formats.scalars import STR, value_span
from hubtool.pins.formats.text import Document, decode, no_collecting, read
from hubtool.reference import ImageReference

# Aliases and merges can make much of little; no file that people keep comes near.
MAX_PATH = 2000
MAX_MERGES = 10_000
_VALUES = frozenset({"value", "default"})


@dataclass(frozen=True)
class Found:
    """The pins of a file, in the order they stand in, and the images that it names without a tag."""

    pins: list[Pin]
    names: tuple[Name, ...] = ()


def find_pins(data: bytes, file: str) -> list[Pin]:
    """The pins of one file, in the order they stand in; raises Unreadable with the reason for a file to skip."""
    return find(data, file).pins


def find(data: bytes, file: str) -> Found:
    """The pins of one file, and its names; raises Unreadable with the reason for a file to skip."""
    return parse_and_find(data, file) if may_hold_pins(data, kind_of(file)) else Found([])


@no_collecting()
def parse_and_find(data: bytes, file: str) -> Found:
    """The same without a look at the bytes first."""
    if is_helm_template(file) and b"{{" in data:
        raise Unreadable("is a Helm template")
    if kind_of(file) == "links":
        return Found(find_link_pins(decode(data), file))
    try:
        document = read(data, file)
    except Template as template:
        pins = find_line_pins(template.text, file)
        if pins:
            return Found(pins)
        raise
    if any(_is_sops(node) for node in document.nodes):
        raise Unreadable("is encrypted by SOPS")
    walk = _Walk(document, file)
    pins = settle(list(walk.candidates()), walk.merged)
    if document.masked:
        pins = _by_branches(pins, find_line_pins(document.text, file))
    ordered = sorted(pins, key=lambda pin: (pin.line, pin.tag_span or Span(0, 0), pin.path))
    return Found(ordered, tuple(dict.fromkeys(walk.names)))


def _by_branches(pins: list[Pin], lines: list[Pin]) -> list[Pin]:
    """PINS of a template, where names and tags that stand twice, once in each branch, are those that LINES tell
    apart."""
    doubled = {re.sub(r"\[[0-9]+\]", "", pin.path) for pin in pins if (pin.why or "").startswith(DOUBLED)}
    apart = [pin for pin in lines if pin.path in doubled]
    known = {pin.path for pin in apart}
    return [pin for pin in pins if re.sub(r"\[[0-9]+\]", "", pin.path) not in known] + apart


def is_helm_template(file: str) -> bool:
    """Whether FILE is of a chart's templates; Ansible has a folder of that name too, with Jinja's in it."""
    is_other = file.lower().endswith(JINJA) or kind_of(file) in ("hcl", "links")
    return "templates" in file.split("/")[:-1] and not is_other


def _is_sops(node: yaml.Node) -> bool:
    return isinstance(node, yaml.MappingNode) and any(
        isinstance(key, yaml.ScalarNode) and key.value == "sops" and isinstance(value, yaml.MappingNode)
        for key, value in node.value
    )


_Step = tuple[yaml.Node, Place, str]


class _Walk:
    """Visits every collection once a kind of place, so that aliases can't multiply the work."""

    def __init__(self, document: Document, file: str) -> None:
        self.document = document
        self.source = Source(document, file)
        self.is_hcl = document.kind == "hcl"
        self.split = HclSplit(self.source) if self.is_hcl else SchemaSplit(self.source)
        self.names_image = hcl.names_image if self.is_hcl else shapes.names_image
        self.is_prose = hcl.is_prose if self.is_hcl else shapes.is_prose
        self.merged: set[int] = set()
        self.names: list[Name] = []
        self.merges = 0
        self.blocks: list[_Walk] = []
        self._seen: set[tuple[int | bool, ...]] = set()

    def candidates(self) -> Iterator[Candidate]:
        file = self.source.file
        yield from self.steps([(node, root_place(node, file), "") for node in self.document.nodes])

    def steps(self, first: Iterable[_Step]) -> Iterator[Candidate]:
        levels: list[Iterator[_Step]] = [iter(first)]
        while levels:
            step = next(levels[-1], None)
            if step is None:
                levels.pop()
                continue
            node, place, path = step
            if isinstance(node, yaml.ScalarNode):
                yield from self._scalar(node, place, path)
            elif self._is_new(node, place):
                if len(path) > MAX_PATH:
                    raise Unreadable(f"has keys that make a path of more than {MAX_PATH:,} characters")
                if isinstance(node, yaml.MappingNode):
                    taken = list(self.split.candidates(node, place, path))
                    yield from taken
                    self.names += self.split.name_alone(node, place, path)
                    keys = frozenset(key for candidate in taken for key in candidate.keys)
                    levels.append(self._children(node, place, path, keys))
                else:
                    levels.append(_items(node, place, path))

    def _is_new(self, node: yaml.Node, place: Place) -> bool:
        flags = (place.is_near_image, place.is_below_image, place.is_image, place.is_item, place.is_address)
        state = (id(node), *flags)
        is_new = state not in self._seen
        self._seen.add(state)
        return is_new

    def _children(self, node: yaml.MappingNode, place: Place, path: str, taken: frozenset[str]) -> Iterator[_Step]:
        name = "" if place.key == "option" else _name_of_value(node)
        for key_node, value in node.value:
            key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else "?"
            if self.is_hcl and ":" in key:
                yield key_node, place, f"{path}.{key}"
            if key == MERGE:
                self.merges += 1
                if self.merges > MAX_MERGES:
                    raise Unreadable(f"merges more than {MAX_MERGES:,} times")
                for source in merge_sources(value):
                    self.merged.add(id(source))
                    yield source, place, path
            elif not (key in taken and (isinstance(value, yaml.ScalarNode) or isinstance(place, SchemaPlace))):
                inner = place.below(key)
                if name and key in _VALUES:
                    inner = replace(place.below(name), in_list=False)
                yield value, inner, f"{path}.{key}" if path else key

    def _scalar(self, node: yaml.ScalarNode, place: Place, path: str) -> Iterator[Candidate]:
        text = str(node.value)
        if node.style == "|" and is_file(place.key):
            yield from self._block(node, place, path)
            return
        if not text or (node.tag != STR and not str(node.tag).startswith("!")):
            return
        if ":" not in text and "@" not in text and not shapes.may_have_no_tag(place):
            return
        before = shapes.before_reference(place, text)
        reference = shapes.parse(text[before:])
        if reference is None:
            if place.key in shapes.WHOLE_KEYS and shapes.is_templated(text) and len(text) <= shapes.MAX_LENGTH:
                yield self.source.refused(node, path, text, "inline", "is a template's placeholder, not an image")
        elif self.is_prose(place):
            if reference.tag and "/" in reference.name:
                yield self.source.refused(node, path, reference.name, "prose", "is prose", reference)
        elif reference.tag if before else self.names_image(place, reference) or shapes.is_hubploy_name(place):
            yield self._inline(node, path, reference, before)

    def _block(self, node: yaml.ScalarNode, place: Place, path: str) -> Iterator[Candidate]:
        """What a file within the file holds, such as a chart's values."""
        document = inner(self.document, node) if may_hold_pins(str(node.value).encode(), "yaml") else None
        if document is None:
            return
        walk = _Walk(document, self.source.file)
        self.blocks.append(walk)  # its nodes live as long as the others: they are told apart by identity
        keys = () if isinstance(document.nodes[0], yaml.MappingNode) else (place.key,)
        yield from walk.steps((root, Place(keys), path) for root in document.nodes)
        self.merged |= walk.merged

    def _inline(self, node: yaml.ScalarNode, path: str, reference: ImageReference, before: int) -> Candidate:
        span = value_span(self.source.document, node)
        why = why_odd(node, span)
        if not reference.tag:
            why = "is pinned by digest alone" if reference.digest else "has no tag"
        if why or span is None:
            return self.source.refused(node, path, reference.name, "inline", why or "", reference)
        start = span.start + before + len(reference.name) + 1
        tag_span = Span(start, start + len(reference.tag))
        digest_span = Span(tag_span.end + 1, span.end) if reference.digest else None
        pin = self.source.pin(
            path, reference.name, reference.tag, reference.digest, "inline", None, tag_span, digest_span
        )
        return Candidate(pin, id(node))


def _items(node: yaml.Node, place: Place, path: str) -> Iterator[_Step]:
    inner = place.item()
    return ((item, inner, f"{path}[{i}]") for i, item in enumerate(node.value))


def _name_of_value(node: yaml.MappingNode) -> str:
    """NAME of a ``{name: NAME, value: …}``, as environments and parameters are listed."""
    scalars = (pair for pair in node.value if all(isinstance(one, yaml.ScalarNode) for one in pair))
    found = {str(key.value): str(value.value) for key, value in scalars}
    return found.get("name", "") if not _VALUES.isdisjoint(found) else ""
