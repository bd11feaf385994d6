"""JSON Schema of Helm values: which of its words hold values, and of which key of values.yaml.

``properties.image.properties.version.default`` is a value of ``image.version``, ``listEnum`` (Onyxia's), ``enum`` and
``examples`` are lists of such values; titles and descriptions are prose. A list's item is a pin of its own, at its own
tag: where the default moves, the items at the same tag do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import yaml

from hubtool.pins.finders.candidates import Candidate, refuse
from hubtool.pins.finders.merges import effective, text_of
from hubtool.pins.finders.shapes import Place
from hubtool.pins.finders.split import BESIDE, Split

_NAMES = frozenset({"properties", "patternProperties", "definitions", "$defs"})
_SCHEMAS = frozenset(
    {"items", "prefixItems", "additionalProperties", "allOf", "anyOf", "oneOf", "not", "if", "then", "else", "contains"}
)
_ONE = ("default", "const", "example")
_LISTS = ("enum", "listEnum", "examples")
_PATH = re.compile(
    rf"properties\.(?P<names>[^.\[]+(?:\.properties\.[^.\[]+)*)\.(?:{'|'.join(_ONE)}|(?:{'|'.join(_LISTS)})\[[0-9]+\])"
)


@dataclass(frozen=True)
class SchemaPlace(Place):
    """A place in a schema, with the keys that it has in the values. ``names``: keys here are names of the values',
    not words of the schema."""

    names: bool = False

    def below(self, key: str) -> Place:
        if self.names:
            return SchemaPlace((*self.keys, key))
        if key in _NAMES:
            return SchemaPlace(self.keys, names=True)
        if key in _SCHEMAS:
            return SchemaPlace(self.keys)
        return Place(self.keys) if key in (*_ONE, *_LISTS) else Place((*self.keys, key))

    def item(self) -> Place:
        return self


def root_place(document: yaml.Node, file: str) -> Place:
    """Where a document stands by itself: it is a schema by its file's name, or by what it says it is."""
    name = file.rsplit("/", 1)[-1]
    return SchemaPlace(()) if ".schema." in name or _says_so(document) else Place(())


def values_path(path: str) -> str:
    """The path in values.yaml of what stands at PATH in its schema; PATH itself where that is not so simple."""
    found = _PATH.fullmatch(path)
    return found["names"].replace(".properties.", ".") if found else path


@dataclass(frozen=True)
class SchemaSplit(Split):
    """Also reads the properties of a schema as a name and a tag, by what they write as values."""

    def candidates(self, node: yaml.MappingNode, place: Place, path: str) -> Iterator[Candidate]:
        if not (isinstance(place, SchemaPlace) and place.names):
            yield from super().candidates(node, place, path)
            return
        values, doubled = _defaults(node)
        for tag_key, name_keys, inner in self._pairs(values, place):
            name_key = next((key for key in name_keys if key in values), None)
            for tag_node, at in _written(node, tag_key):
                # A digest beside it is the default's.
                beside = {key: value for key, value in values.items() if key != "digest" or tag_node is values[tag_key]}
                candidate = self._pin({**beside, tag_key: tag_node}, tag_key, name_key, inner, f"{path}.{at}")
                if candidate is not None:
                    keys = values.keys() & {tag_key, *name_keys, *BESIDE}
                    why = f"a key beside it stands twice: {', '.join(sorted(doubled))}"
                    candidate = refuse(candidate, why) if keys & doubled else candidate
                    yield replace(candidate, keys=frozenset(keys))


def _defaults(properties: yaml.MappingNode) -> tuple[dict[str, yaml.Node], set[str]]:
    """The value that a schema's PROPERTIES give each key by default, and the keys for which they give two."""
    schemas, doubled = effective(properties)
    found: dict[str, yaml.Node] = {}
    for key, schema in schemas.items():
        words, twice = _words(schema)
        values = [words[word] for word in _ONE if isinstance(words.get(word), yaml.ScalarNode)]
        if values:
            found[key] = values[0]
        doubled |= {key for word in _ONE if word in twice}
    return found, doubled


def _written(properties: yaml.MappingNode, key: str) -> Iterator[tuple[yaml.Node, str]]:
    """Each value that PROPERTIES write for KEY, the default first, and the path to it from there."""
    schema, _ = _words(effective(properties)[0].get(key))
    for word in _ONE:
        if isinstance(schema.get(word), yaml.ScalarNode):
            yield schema[word], f"{key}.{word}"
    for word in _LISTS:
        items = schema.get(word)
        for at, item in enumerate(items.value if isinstance(items, yaml.SequenceNode) else ()):
            if isinstance(item, yaml.ScalarNode):
                yield item, f"{key}.{word}[{at}]"


def _words(schema: yaml.Node | None) -> tuple[dict[str, yaml.Node], set[str]]:
    return effective(schema) if isinstance(schema, yaml.MappingNode) else ({}, set())


def _says_so(document: yaml.Node) -> bool:
    words, _ = _words(document)
    name = words.get("$schema")
    if isinstance(name, yaml.ScalarNode):
        return "json-schema.org" in str(name.value)
    return isinstance(words.get("properties"), yaml.MappingNode) and text_of(words.get("type")) == "object"
