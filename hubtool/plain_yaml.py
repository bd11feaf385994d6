"""A YAML file of ours as plain values, with the lines of its keys, so that errors can name them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from hubtool.errors import HubtoolError, Where

MAX_BYTES = 1_000_000
MAX_NODES = 100_000

Location = tuple[str | int, ...]


def read_yaml(data: bytes, file: Path) -> tuple[Any, dict[Location, int]]:
    """The document of DATA, null and text its only scalars, and the line (from 1) on which each key or item stands.

    Raises HubtoolError, naming FILE and line, for what is not YAML, too large, nested too deep, or has a key twice.
    """
    if len(data) > MAX_BYTES:
        raise HubtoolError(f"larger than {MAX_BYTES} bytes: not a {file.name}", where=Where(file))
    loader = yaml.CSafeLoader
    try:
        text = data.decode("utf-8-sig")
        node = yaml.compose(text, Loader=loader)
    except UnicodeDecodeError as error:
        raise HubtoolError(f"not UTF-8 text (byte {error.start})", where=Where(file)) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error)
        raise HubtoolError(f"not YAML: {problem}", where=Where(file, mark.line + 1 if mark else None)) from error
    except RecursionError as error:
        raise HubtoolError("nested too deep", where=Where(file)) from error
    lines: dict[Location, int] = {}
    value = _Reader(file, lines).value(node, ()) if node is not None else None
    return value, lines


class _Reader:
    """Turns nodes into plain values; counts them, so that an alias bomb ends early."""

    def __init__(self, file: Path, lines: dict[Location, int]) -> None:
        self.file = file
        self.lines = lines
        self.seen = 0

    def value(self, node: yaml.Node, at: Location) -> Any:
        self.seen += 1
        line = node.start_mark.line + 1
        if self.seen > MAX_NODES or len(at) > 50:
            raise HubtoolError("expands without end (aliases) or is nested too deep", where=Where(self.file, line))
        self.lines.setdefault(at, line)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, at)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*at, index)) for index, item in enumerate(node.value)]
        return _scalar(node)

    def _mapping(self, node: yaml.MappingNode, at: Location) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else "?"
            line = key_node.start_mark.line + 1
            if key in mapping:
                raise HubtoolError("stands here twice", where=Where(self.file, line, dotted((*at, key))))
            self.lines[(*at, key)] = line
            mapping[key] = self.value(value_node, (*at, key))
        return mapping


def _scalar(node: yaml.Node) -> str | None:
    """Every scalar is text as written, but for null: the model reads numbers and booleans where it wants them,
    so that a hub called 101 or a version 3.10 stays what it is."""
    return None if node.tag == "tag:yaml.org,2002:null" else str(node.value)


def dotted(location: Location) -> str:
    """LOCATION as people write it: a.b[0].c"""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
