"""Pins in two scalars of one mapping: a name and, beside it, a tag."""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import yaml

from hubtool.pins import Form, Span
from hubtool.pins.finders import shapes
from hubtool.pins.finders.candidates import Candidate, Name, Source, refuse, why_odd
from hubtool.pins.finders.merges import effective, text_of
from hubtool.pins.finders.sets import chart_sets
from hubtool.pins.finders.shapes import Place
from hubtool.pins.formats.scalars import NULL, value_span
from hubtool.reference import ImageReference, is_tag

_SPLIT_TAG = re.compile(r"(?P<tag>[^@]*)(?:@(?P<digest>[a-z0-9+._-]+:[0-9a-fA-F]{32,}))?\Z")
DOUBLED = "a key beside it stands twice: "
NO_NAME = "no image is named beside it"
BESIDE = ("registry", "digest")
_TAGS = tuple(tag_key for tag_key, _ in shapes.SPLIT_KEYS)


@dataclass(frozen=True)
class Split:
    """Reads mappings of SOURCE as a name and a tag."""

    source: Source

    def candidates(self, node: yaml.MappingNode, place: Place, path: str) -> Iterator[Candidate]:
        values, doubled = effective(node)
        found: set[Place] = set()
        for tag_key, name_keys, inner in self._pairs(values, place):
            if inner in found:
                continue
            name_key = next((key for key in name_keys if isinstance(values.get(key), yaml.ScalarNode)), None)
            candidate = self._pin(values, tag_key, name_key, inner, f"{path}.{tag_key}".lstrip("."))
            if candidate is None:
                continue
            if {tag_key, name_key, *BESIDE} & doubled:
                candidate = refuse(candidate, DOUBLED + ", ".join(sorted(doubled)))
            found.add(inner)
            yield replace(candidate, mapping=id(node), keys=frozenset((tag_key, *name_keys, *BESIDE)))
        for stem, settings, paths in chart_sets(node, path):
            yield from self._group(settings, Place(tuple(stem.split("."))), paths)

    def _group(self, values: Mapping[str, yaml.Node], place: Place, paths: dict[str, str]) -> Iterator[Candidate]:
        for tag_key, name_keys, inner in self._pairs(values, place):
            name_key = next((key for key in name_keys if key in values), None)
            candidate = self._pin(values, tag_key, name_key, inner, paths[tag_key])
            if candidate is not None:
                yield candidate

    def _pairs(self, values: Mapping[str, yaml.Node], place: Place) -> Iterator[tuple[str, tuple[str, ...], Place]]:
        """The keys that may hold a tag, those that may hold its name, and where these stand."""
        for tag_key, name_keys in shapes.SPLIT_KEYS:
            names = [values[key] for key in name_keys if key in values]
            if isinstance(values.get(tag_key), yaml.ScalarNode) and (not names or any(map(_is_scalar, names))):
                yield tag_key, name_keys, place
        for tag_key, name_key, stem in shapes.prefixed(values):
            image = shapes.parse(text_of(values[name_key]))
            is_whole = image is not None and bool(image.tag or image.digest)
            if _is_scalar(values[tag_key]) and _is_scalar(values[name_key]) and not is_whole:
                yield tag_key, (name_key,), Place((*place.keys, stem))

    def name_alone(self, node: yaml.MappingNode, place: Place, path: str) -> Iterator[Name]:
        """The image that a mapping at PLACE names without a tag: another file of the hub may hold that."""
        values, _ = effective(node)
        if not place.is_image or place.is_item or any(key in values for key in _TAGS):
            return
        name_key = next((key for key in ("repository", "name") if text_of(values.get(key))), None)
        image = self._image(values, name_key) if name_key else None
        if image and not image.tag and not image.digest:
            yield Name(self.source.file, f"{path}.tag", image.name)

    def _image(self, values: Mapping[str, yaml.Node], name_key: str) -> ImageReference | None:
        name = text_of(values.get(name_key))
        below = text_of(values.get("image")) if name_key == "repository" else ""
        if below and "/" not in below and ":" not in below:
            name = f"{name}/{below}"
        registry = text_of(values.get("registry"))
        return shapes.parse(f"{registry}/{name}" if registry else name)

    def _pin(
        self, values: Mapping[str, yaml.Node], tag_key: str, name_key: str | None, place: Place, path: str
    ) -> Candidate | None:
        values = _own_beside(values, place.key)
        tag_node = values[tag_key]
        assert isinstance(tag_node, yaml.ScalarNode)
        name = text_of(values.get(name_key)) if name_key else ""
        if not name:
            return self._tag_only(values, tag_key, name_key is not None, place, path)
        image = self._image(values, str(name_key))
        if image is None:
            if place.is_near_image and shapes.is_templated(name + text_of(values.get("registry"))):
                return self.source.refused(tag_node, path, name, "split", "its image is a template's placeholder")
            return None
        if not shapes.is_split(place, str(name_key), image, values.keys()):
            return None
        if image.tag or image.digest:
            return self.source.refused(
                tag_node, path, image.name, "split", "its image holds a tag too; which one counts?"
            )
        if text_of(values.get("sha")):
            return self.source.refused(tag_node, path, image.name, "split", "is pinned by the key 'sha' beside it too")
        return self._split_editable(tag_node, values.get("digest"), image.name, path)

    def _split_editable(
        self, tag_node: yaml.ScalarNode, digest_node: yaml.Node | None, image: str, path: str
    ) -> Candidate:
        text = text_of(tag_node)
        parts = _SPLIT_TAG.match(text)
        tag, digest = (parts["tag"], parts["digest"]) if parts else (text, None)
        span = value_span(self.source.document, tag_node)
        why = _why_no_tag(tag_node, tag) or why_odd(tag_node, span)
        sibling = text_of(digest_node)
        if sibling and digest:
            why = why or "has a digest in two places"
        digest_span = (
            value_span(self.source.document, digest_node) if isinstance(digest_node, yaml.ScalarNode) else None
        )
        if why or span is None or (sibling and digest_span is None):
            shown = ImageReference("", "", tag if is_tag(tag) else "", digest or sibling or None)
            return self.source.refused(
                tag_node, path, image, "split", why or "its digest is not plainly written", shown
            )
        if digest:
            digest_span = Span(span.start + len(tag) + 1, span.end)
            span = Span(span.start, span.start + len(tag))
        pin = self.source.pin(path, image, tag, digest or sibling or None, "split", None, span, digest_span)
        if path.endswith("newTag"):
            pin = replace(pin, no_digest="Kustomize's newTag holds a tag alone, a digest has a key of its own")
        elif digest_node is not None and digest_span is None:
            pin = replace(pin, no_digest="the key 'digest' beside it is the place, and it is empty")
        return Candidate(pin, id(tag_node))

    def _tag_only(
        self, values: Mapping[str, yaml.Node], tag_key: str, has_name: bool, place: Place, path: str
    ) -> Candidate | None:
        tag_node = values[tag_key]
        assert isinstance(tag_node, yaml.ScalarNode)
        tag = text_of(tag_node)
        if place.is_item or not (place.is_image or place.is_one_of_images) or (not tag and not has_name):
            return None
        form: Form = "split" if has_name and not tag else "tag-only"
        candidate = self._split_editable(tag_node, values.get("digest"), "", path)
        why = NO_NAME if candidate.pin.editable or not tag else candidate.pin.why
        if why == NO_NAME and text_of(values.get("registry")):
            why = "only a registry is named beside it"
        return replace(candidate, pin=replace(candidate.pin, form=form, editable=False, why=why))


def _is_scalar(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode)


def _own_beside(values: Mapping[str, yaml.Node], stem: str) -> Mapping[str, yaml.Node]:
    """VALUES where STEM_registry and STEM_digest, if there, are the registry and the digest."""
    own = {
        key: values[stem + end]
        for key in BESIDE
        for end in (f"_{key}", f"_{key.upper()}", key.title())
        if stem and stem + end in values
    }
    return ChainMap(own, dict(values)) if own else values


def _why_no_tag(node: yaml.ScalarNode, tag: str) -> str | None:
    if node.tag == NULL:
        return "has no tag"
    if shapes.is_templated(tag):
        return "is a template's placeholder, not a tag"
    return None if tag == "" or is_tag(tag) else "is not a tag"
