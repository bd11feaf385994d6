"""JSON as nodes with positions, like YAML's: what PyYAML can't read of it (tabs, ``\\/``, surrogates) it need not."""

from __future__ import annotations

import yaml


def read_json(text: str) -> tuple[yaml.Node, ...]:
    """The one document of TEXT (without BOM); raises Unreadable where it is not JSON."""
    raise NotImplementedError(text)
