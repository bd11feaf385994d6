"""What the rules find in a file, before aliases are settled: pins with the nodes they stand in."""

from __future__ import annotations

from dataclasses import dataclass, replace

import yaml

from hubtool.pins import Form, Pin, Span
from hubtool.pins.formats.scalars import value_span
from hubtool.pins.formats.text import Document
from hubtool.reference import ImageReference


@dataclass(frozen=True)
class Candidate:
    """A pin, with the identity of the scalar its tag stands in and of the mapping that holds it, and the keys there
    that name it."""

    pin: Pin
    tag_node: int
    mapping: int = 0
    keys: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Name:
    """An image that a file names without a tag; ``path`` is where the tag would stand."""

    file: str
    path: str
    image: str


@dataclass(frozen=True)
class Source:
    """The file that pins are found in."""

    document: Document
    file: str

    def refused(
        self, node: yaml.ScalarNode, path: str, image: str, form: Form, why: str, shown: ImageReference | None = None
    ) -> Candidate:
        position = int(node.start_mark.index) + self.document.offset
        span = value_span(self.document, node) or Span(position, position)
        tag, digest = (shown.tag, shown.digest) if shown else ("", None)
        return Candidate(self.pin(path, image, tag, digest, form, why, span, None), id(node))

    def pin(
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


def why_odd(node: yaml.ScalarNode, span: Span | None) -> str | None:
    if str(node.tag).startswith("!"):
        return f"has the YAML tag {node.tag}"
    return None if span else "is written with escapes or over several lines"


def refuse(candidate: Candidate, why: str) -> Candidate:
    return replace(candidate, pin=replace(candidate.pin, editable=False, why=why))


def settle(candidates: list[Candidate], merged: set[int]) -> list[Pin]:
    """One pin for each scalar that holds a tag; refused where an alias shares it among images."""
    by_node: dict[int, list[Candidate]] = {}
    for candidate in candidates:
        by_node.setdefault(candidate.tag_node, []).append(candidate)
    pins = [pin for shared in by_node.values() for pin in _settle_shared(shared, merged)]
    images: dict[Span, set[str]] = {}
    for pin in pins:
        if pin.digest_span:
            images.setdefault(pin.digest_span, set()).add(pin.image)
    return [_settle_digest(pin, images[pin.digest_span]) if pin.digest_span else pin for pin in pins]


def _settle_digest(pin: Pin, images: set[str]) -> Pin:
    if len(images) == 1 or not pin.editable:
        return pin
    why = "its digest is an anchor that another image uses too: " + ", ".join(sorted(name or "?" for name in images))
    return replace(pin, editable=False, why=why)


def _settle_shared(shared: list[Candidate], merged: set[int]) -> list[Pin]:
    # A mapping that others merge may leave the name to them: then it is no image of its own.
    named = [one for one in shared if one.pin.image or one.mapping not in merged] or shared
    first: dict[str, Pin] = {}
    for candidate in named:
        first.setdefault(candidate.pin.image, candidate.pin)
    if len(first) == 1:
        return list(first.values())
    why = "its tag is an anchor that another image uses too: " + ", ".join(sorted(name or "?" for name in first))
    return [replace(pin, editable=False, why=why) if pin.editable else pin for pin in first.values()]
