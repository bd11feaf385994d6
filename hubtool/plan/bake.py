"""The graph as docker buildx bake reads it: the JSON form of a bake file (docs.docker.com/build/bake/reference)."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from typing import Any

from hubtool.config import Config
from hubtool.errors import HubtoolError
from hubtool.plan.graph import Graph, Node

# A target is told its parent by this name, which a named context puts that target's result in place of.
PARENT = "hubtool-parent"


def bake_file(config: Config, graph: Graph, wanted: Iterable[Node]) -> dict[str, Any]:
    """Targets for the WANTED variants and all that these are built on, the WANTED in the group ``default``. Contexts
    are relative to hubtool.yaml's folder. Raises HubtoolError for an image that no Dockerfile of its own makes."""
    chosen = list(wanted)
    needed = {node.id: node for one in chosen for node in (one, *graph.ancestors(one))}
    for node in needed.values():
        builder = config.images[node.image].builder
        if builder != "dockerfile":
            raise HubtoolError(f"{node.image} is built by {builder}, which bake can't do", hint="hubtool build")
    names = target_names(graph)
    return {
        "group": {"default": {"targets": [names[node.id] for node in chosen]}},
        "target": {names[key]: _target(config, node, names) for key, node in graph.nodes.items() if key in needed},
    }


def target_names(graph: Graph) -> dict[str, str]:
    """A name for each variant that bake takes ([A-Za-z0-9_-]), by id; no two have the same."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for key in graph.nodes:
        plain = re.sub(r"[^A-Za-z0-9_]+", "-", key).strip("-")
        more = (f"{plain}-{number}" for number in itertools.count(2))
        name = plain if plain not in taken else next(name for name in more if name not in taken)
        taken.add(name)
        names[key] = name
    return names


def _target(config: Config, node: Node, names: dict[str, str]) -> dict[str, Any]:
    image = config.images[node.image]
    base = PARENT if node.parent else node.base
    target: dict[str, Any] = {
        "context": image.context,
        "dockerfile": image.dockerfile,
        "args": {**({image.base_arg: base} if base else {}), **node.args},
        "labels": dict(node.labels),
        "tags": [str(reference) for reference in node.references],
    }
    if node.parent:
        target["contexts"] = {PARENT: f"target:{names[node.parent]}"}
    if image.target:
        target["target"] = image.target
    if node.platform:
        target["platforms"] = [node.platform]
    if image.secrets:
        target["secret"] = [f"id={name},env={variable}" for name, variable in image.secrets.items()]
    return {key: value for key, value in target.items() if value}
