"""Nodes from events, for what PyYAML's composer refuses though YAML allows it: an anchor's name used again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

_RESOLVER = yaml.SafeLoader("")


def compose(text: str) -> Iterator[yaml.Node]:
    """The documents of TEXT; an alias means the anchor of its name that stands last before it (YAML 1.2.2, 3.2.2.2).

    Raises yaml.YAMLError as PyYAML does. Does not recurse.
    """
    anchors: dict[str, yaml.Node] = {}
    stack: list[tuple[yaml.CollectionNode, list[yaml.Node]]] = []
    # Any: types-PyYAML tells the C parser's marks and the nodes' apart; they are one.
    events: Any = yaml.parse(text, Loader=yaml.CSafeLoader)
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            anchors.clear()
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in anchors:
                where: Any = event.start_mark
                raise yaml.composer.ComposerError(None, None, "found undefined alias", where)
            stack[-1][1].append(anchors[event.anchor])
        elif isinstance(event, yaml.CollectionEndEvent):
            node, items = stack.pop()
            _fill(node, items, event.end_mark)
            if not stack:
                yield node
        elif isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent)):
            made = _scalar(event) if isinstance(event, yaml.ScalarEvent) else _collection(event)
            if event.anchor is not None:
                anchors[event.anchor] = made
            if stack:
                stack[-1][1].append(made)
            if isinstance(made, yaml.CollectionNode):
                stack.append((made, []))
            elif not stack:
                yield made


def _scalar(event: Any) -> yaml.ScalarNode:
    tag = event.tag
    if tag is None or tag == "!":
        tag = _RESOLVER.resolve(yaml.ScalarNode, event.value, event.implicit)  # type: ignore[no-untyped-call]
    return yaml.ScalarNode(tag, event.value, event.start_mark, event.end_mark, style=event.style)


def _collection(event: Any) -> yaml.CollectionNode:
    kind = yaml.MappingNode if isinstance(event, yaml.MappingStartEvent) else yaml.SequenceNode
    tag = event.tag
    if tag is None or tag == "!":
        tag = _RESOLVER.resolve(kind, None, event.implicit)  # type: ignore[no-untyped-call]
    return kind(tag, [], event.start_mark, None, flow_style=event.flow_style)


def _fill(node: yaml.CollectionNode, items: list[yaml.Node], end: Any) -> None:
    node.end_mark = end
    node.value[:] = zip(items[::2], items[1::2], strict=True) if isinstance(node, yaml.MappingNode) else items
