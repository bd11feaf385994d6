"""HCL (Terraform files, .tfvars) as nodes with positions, like YAML's."""

from __future__ import annotations

import yaml


def read_hcl(text: str) -> tuple[yaml.Node, ...]:
    """The body of TEXT (without BOM) as one mapping; raises Unreadable where it is not HCL."""
    raise NotImplementedError(text)
