"""Mappings as they read once YAML's merge keys (``<<``) are filled in."""

from __future__ import annotations

import yaml

from hubtool.pins import Unreadable
from hubtool.pins.formats.scalars import NULL

MERGE = "<<"
MAX_SOURCES = 200


def text_of(node: yaml.Node | None) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) and node.tag != NULL else ""


def merge_sources(value: yaml.Node) -> list[yaml.MappingNode]:
    items = value.value if isinstance(value, yaml.SequenceNode) else [value]
    return list({id(item): item for item in items if isinstance(item, yaml.MappingNode)}.values())


def effective(node: yaml.MappingNode) -> tuple[dict[str, yaml.Node], set[str]]:
    """The mapping's values with merges filled in, nearest first, and the keys that stand in it twice.

    Raises Unreadable for a chain of merges that nobody would write.
    """
    values: dict[str, yaml.Node] = {}
    doubled: set[str] = set()
    pending, seen = [node], {id(node)}
    while pending:
        mapping = pending.pop(0)
        own: dict[str, yaml.Node] = {}
        for key_node, value in mapping.value:
            key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else ""
            if key == MERGE:
                sources = [source for source in merge_sources(value) if id(source) not in seen]
                seen.update(map(id, sources))
                if len(seen) > MAX_SOURCES:
                    raise Unreadable(f"merges more than {MAX_SOURCES} mappings into one")
                pending += sources
                continue
            if key in own and key not in values:
                doubled.add(key)
            own[key] = value
        values = {**own, **values}
    return values, doubled
