"""Find the pins of one file: bytes in, pins with their positions out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import yaml

from hubtool.pins import Form, Pin, Span, Template, Unreadable, shapes
from hubtool.pins.kinds import kind_of
from hubtool.pins.lines import find_line_pins
from hubtool.pins.links import find_link_pins
from hubtool.pins.scalars import NULL, STR, value_span
from hubtool.pins.shapes import Place
from hubtool.pins.text import Document, decode, read
from hubtool.reference import ImageReference, is_tag

# A file without one of these holds no pin; most files need no parsing.
_HINT = re.compile(rb"(?i)image|tag|[a-z0-9]/[a-z0-9._/-]+[:@]")
# No text that these bytes stand in is UTF-8: read() says so.
_NOT_UTF8 = (b"\0", b"\xff\xfe", b"\xfe\xff")
_SPLIT_TAG = re.compile(r"(?P<tag>[^@]*)(?:@(?P<digest>[a-z0-9+._-]+:[0-9a-fA-F]{32,}))?\Z")
_MERGE = "<<"


@dataclass(frozen=True)
class _Candidate:
    """A pin, with the identity of the scalar its tag stands in and of the mapping that holds it."""

    pin: Pin
    tag_node: int
    mapping: int = 0


def find_pins(data: bytes, file: str) -> list[Pin]:
    """The pins of one file, in the order they stand in; raises Unreadable with the reason for a file to skip."""
    if not _HINT.search(data) and not any(mark in data for mark in _NOT_UTF8):
        return []
    if is_helm_template(file) and b"{{" in data:
        raise Unreadable("is a Helm template")
    if kind_of(file) == "links":
        return find_link_pins(decode(data), file)
    try:
        document = read(data, file)
    except Template as template:
        pins = find_line_pins(template.text, file)
        if pins:
            return pins
        raise
    if any(_is_sops(node) for node in document.nodes):
        raise Unreadable("is encrypted by SOPS")
    walk = _Walk(document, file)
    pins = _settle(list(walk.candidates()), walk.merged)
    return sorted(pins, key=lambda pin: (pin.line, pin.tag_span or Span(0, 0), pin.path))


def is_helm_template(file: str) -> bool:
    return "templates" in file.split("/")[:-1]


def _is_sops(node: yaml.Node) -> bool:
    return isinstance(node, yaml.MappingNode) and any(
        isinstance(key, yaml.ScalarNode) and key.value == "sops" and isinstance(value, yaml.MappingNode)
        for key, value in node.value
    )


class _Walk:
    """Visits every collection once a kind of place, so that aliases can't multiply the work."""

    def __init__(self, document: Document, file: str) -> None:
        self.document = document
        self.file = file
        self.merged: set[int] = set()
        self._seen: set[tuple[int, bool, bool, bool, bool]] = set()

    def candidates(self) -> Iterator[_Candidate]:
        pending = [(node, Place(()), "") for node in reversed(self.document.nodes)]
        while pending:
            node, place, path = pending.pop()
            if isinstance(node, yaml.ScalarNode):
                yield from self._scalar(node, place, path)
                continue
            state = (id(node), place.is_near_image, place.is_below_image, place.is_image, place.is_item)
            if state in self._seen:
                continue
            self._seen.add(state)
            if isinstance(node, yaml.MappingNode):
                taken = set()
                for candidate in self._split(node, place, path):
                    taken.add(candidate.tag_node)
                    yield candidate
                pending += reversed(list(self._children(node, place, path, bool(taken))))
            elif isinstance(node, yaml.SequenceNode):
                inner = Place(place.keys, is_item=True, in_list=True)
                pending += reversed([(item, inner, f"{path}[{i}]") for i, item in enumerate(node.value)])

    def _children(
        self, node: yaml.MappingNode, place: Place, path: str, is_split: bool
    ) -> Iterator[tuple[yaml.Node, Place, str]]:
        for key_node, value in node.value:
            key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else "?"
            if key == _MERGE:
                for source in _merge_sources(value):
                    self.merged.add(id(source))
                    yield source, place, path
            elif not (is_split and isinstance(value, yaml.ScalarNode) and key in _NAME_OR_TAG):
                yield value, Place((*place.keys, key), in_list=place.is_item), f"{path}.{key}" if path else key

    # ---- a whole reference in one scalar

    def _scalar(self, node: yaml.ScalarNode, place: Place, path: str) -> Iterator[_Candidate]:
        text = str(node.value)
        if not text or (node.tag != STR and not str(node.tag).startswith("!")):
            return
        reference = shapes.parse(text)
        if reference is None:
            if place.key in shapes.WHOLE_KEYS and shapes.is_templated(text) and len(text) <= shapes.MAX_LENGTH:
                yield self._refused(node, path, text, "inline", "is a template's placeholder, not an image")
        elif shapes.is_prose(place):
            if reference.tag and "/" in reference.name:
                yield self._refused(node, path, reference.name, "prose", "is prose", reference)
        elif shapes.names_image(place, reference) or shapes.is_hubploy_name(place):
            yield self._inline(node, path, reference)

    def _inline(self, node: yaml.ScalarNode, path: str, reference: ImageReference) -> _Candidate:
        span = value_span(self.document, node)
        why = _why_odd(node, span)
        if not reference.tag:
            why = "is pinned by digest alone" if reference.digest else "has no tag"
        if why or span is None:
            return self._refused(node, path, reference.name, "inline", why or "", reference)
        start = span.start + len(reference.name) + 1
        tag_span = Span(start, start + len(reference.tag))
        digest_span = Span(tag_span.end + 1, span.end) if reference.digest else None
        pin = self._pin(path, reference.name, reference.tag, reference.digest, "inline", None, tag_span, digest_span)
        return _Candidate(pin, id(node))

    # ---- name and tag in two scalars

    def _split(self, node: yaml.MappingNode, place: Place, path: str) -> Iterator[_Candidate]:
        values, doubled = _effective(node)
        for tag_key, name_keys in shapes.SPLIT_KEYS:
            tag_node = values.get(tag_key)
            if not isinstance(tag_node, yaml.ScalarNode):
                continue
            name_key = next((key for key in name_keys if isinstance(values.get(key), yaml.ScalarNode)), None)
            candidate = self._split_pin(values, tag_key, name_key, place, f"{path}.{tag_key}".lstrip("."))
            if candidate is not None:
                if {tag_key, name_key, "registry", "digest"} & doubled:
                    candidate = _refuse(candidate, f"a key beside it stands twice: {', '.join(sorted(doubled))}")
                yield replace(candidate, mapping=id(node))
            return

    def _split_pin(
        self, values: dict[str, yaml.Node], tag_key: str, name_key: str | None, place: Place, path: str
    ) -> _Candidate | None:
        tag_node = values[tag_key]
        assert isinstance(tag_node, yaml.ScalarNode)
        name = _text(values.get(name_key)) if name_key else ""
        registry = _text(values.get("registry"))
        if not name:
            return self._tag_only(tag_node, name_key is not None, place, path)
        image = shapes.parse(f"{registry}/{name}" if registry else name)
        if image is None:
            if shapes.is_templated(name) and place.is_near_image:
                return self._refused(tag_node, path, name, "split", "its image is a template's placeholder")
            return None
        if not shapes.is_split(place, str(name_key), image):
            return None
        if image.tag or image.digest:
            return self._refused(tag_node, path, image.name, "split", "its image holds a tag too; which one counts?")
        return self._split_editable(tag_node, values.get("digest"), image.name, path)

    def _split_editable(
        self, tag_node: yaml.ScalarNode, digest_node: yaml.Node | None, image: str, path: str
    ) -> _Candidate:
        text = str(tag_node.value)
        parts = _SPLIT_TAG.match(text)
        tag, digest = (parts["tag"], parts["digest"]) if parts else (text, None)
        span = value_span(self.document, tag_node)
        why = _why_no_tag(tag_node, tag) or _why_odd(tag_node, span)
        sibling = _text(digest_node)
        if sibling and digest:
            why = why or "has a digest in two places"
        digest_span = None
        if sibling and isinstance(digest_node, yaml.ScalarNode):
            digest_span = value_span(self.document, digest_node)
        if why or span is None or (sibling and digest_span is None):
            shown = ImageReference("", "", tag if is_tag(tag) else "", digest or sibling or None)
            return self._refused(tag_node, path, image, "split", why or "its digest is not plainly written", shown)
        if digest:
            digest_span = Span(span.start + len(tag) + 1, span.end)
            span = Span(span.start, span.start + len(tag))
        pin = self._pin(path, image, tag, digest or sibling or None, "split", None, span, digest_span)
        return _Candidate(pin, id(tag_node))

    def _tag_only(self, tag_node: yaml.ScalarNode, has_name: bool, place: Place, path: str) -> _Candidate | None:
        tag = _text(tag_node)
        if not place.is_image or place.is_item or (not tag and not has_name):
            return None
        form: Form = "split" if has_name and not tag else "tag-only"
        shown = ImageReference("", "", tag if is_tag(tag) else "")
        return self._refused(tag_node, path, "", form, "no image is named beside it", shown)

    # ---- pins

    def _refused(
        self, node: yaml.ScalarNode, path: str, image: str, form: Form, why: str, shown: ImageReference | None = None
    ) -> _Candidate:
        position = int(node.start_mark.index) + self.document.offset
        span = value_span(self.document, node) or Span(position, position)
        tag, digest = (shown.tag, shown.digest) if shown else ("", None)
        return _Candidate(self._pin(path, image, tag, digest, form, why, span, None), id(node))

    def _pin(
        self,
        path: str,
        image: str,
        tag: str,
        digest: str | None,
        form: Form,
        why: str | None,
        tag_span: Span,
        digest_span: Span | None,
    ) -> Pin:
        line = self.document.line(tag_span.start)
        return Pin(self.file, line, image, tag, digest, path, form, why is None, why, tag_span, digest_span)


_NAME_OR_TAG = {key for tag_key, names in shapes.SPLIT_KEYS for key in (tag_key, *names)} | {"registry", "digest"}


def _text(node: yaml.Node | None) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) and node.tag != NULL else ""


def _why_no_tag(node: yaml.ScalarNode, tag: str) -> str | None:
    if node.tag == NULL:
        return "has no tag"
    if shapes.is_templated(tag):
        return "is a template's placeholder, not a tag"
    return None if tag == "" or is_tag(tag) else "is not a tag"


def _why_odd(node: yaml.ScalarNode, span: Span | None) -> str | None:
    if str(node.tag).startswith("!"):
        return f"has the YAML tag {node.tag}"
    return None if span else "is written with escapes or over several lines"


def _merge_sources(value: yaml.Node) -> list[yaml.MappingNode]:
    items = value.value if isinstance(value, yaml.SequenceNode) else [value]
    return [item for item in items if isinstance(item, yaml.MappingNode)]


def _effective(node: yaml.MappingNode) -> tuple[dict[str, yaml.Node], set[str]]:
    """The mapping's values with merges filled in, nearest first, and the keys that stand in it twice."""
    values: dict[str, yaml.Node] = {}
    doubled: set[str] = set()
    pending, seen = [node], {id(node)}
    while pending:
        mapping = pending.pop(0)
        own: dict[str, yaml.Node] = {}
        for key_node, value in mapping.value:
            key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else ""
            if key == _MERGE:
                sources = [source for source in _merge_sources(value) if id(source) not in seen]
                seen.update(map(id, sources))
                pending += sources
                continue
            if key in own and key not in values:
                doubled.add(key)
            own[key] = value
        values = {**own, **values}
    return values, doubled


def _refuse(candidate: _Candidate, why: str) -> _Candidate:
    return replace(candidate, pin=replace(candidate.pin, editable=False, why=why))


def _settle(candidates: list[_Candidate], merged: set[int]) -> list[Pin]:
    """One pin for each scalar that holds a tag; refused where an alias shares it among images."""
    by_node: dict[int, list[_Candidate]] = {}
    for candidate in candidates:
        by_node.setdefault(candidate.tag_node, []).append(candidate)
    return [pin for shared in by_node.values() for pin in _settle_shared(shared, merged)]


def _settle_shared(shared: list[_Candidate], merged: set[int]) -> list[Pin]:
    # A mapping that others merge may leave the name to them: then it is no image of its own.
    named = [one for one in shared if one.pin.image or one.mapping not in merged] or shared
    first: dict[str, Pin] = {}
    for candidate in named:
        first.setdefault(candidate.pin.image, candidate.pin)
    if len(first) == 1:
        return list(first.values())
    why = "its tag is an anchor that another image uses too: " + ", ".join(sorted(name or "?" for name in first))
    return [replace(pin, editable=False, why=why) if pin.editable else pin for pin in first.values()]
