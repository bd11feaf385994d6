"""Values of a chart that are set one by one: ``set`` of Terraform and helmfile, Argo CD's ``parameters``."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from hubtool.pins.finders.merges import effective, text_of

# name: "singleuser.image.tag", value: "…"
_SETS = ("set", "set_sensitive", "setString", "parameters")


def chart_sets(node: yaml.MappingNode, path: str) -> Iterator[tuple[str, dict[str, yaml.Node], dict[str, str]]]:
    """What is set in NODE: by the path of a chart's mapping, its keys' values and where these stand."""
    groups: dict[str, tuple[dict[str, yaml.Node], dict[str, str]]] = {}
    for key, blocks in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.value not in _SETS:
            continue
        items = blocks.value if isinstance(blocks, yaml.SequenceNode) else [blocks]
        for i, item in enumerate(items):
            fields = effective(item)[0] if isinstance(item, yaml.MappingNode) else {}
            stem, _, last = text_of(fields.get("name")).rpartition(".")
            value = fields.get("value")
            if stem and isinstance(value, yaml.ScalarNode):
                values, paths = groups.setdefault(stem, ({}, {}))
                values[last] = value
                index = f"[{i}]" if isinstance(blocks, yaml.SequenceNode) else ""
                paths[last] = f"{path}.{key.value}{index}.value".lstrip(".")
    for stem, (values, paths) in groups.items():
        yield stem, values, paths
