"""Which files are read for pins, and how: told from their names."""

from __future__ import annotations

from typing import Literal

Kind = Literal["yaml", "json", "hcl", "links"]

_KINDS: dict[str, Kind] = {
    ".yaml": "yaml",
    ".yml": "yaml",
    ".json": "json",
    ".tf": "hcl",
    ".tfvars": "hcl",
    ".hcl": "hcl",
    ".md": "links",
}
JINJA = (".j2", ".jinja", ".jinja2")
_TEMPLATES = (*JINJA, ".tpl", ".tftpl", ".tmpl")


def kind_of(file: str) -> Kind | None:
    """How FILE is read for pins; None where it is not. ``values.yaml.j2``, ``values.yaml.tftpl``, … are read as
    ``values.yaml`` is."""
    name = file.rsplit("/", 1)[-1].lower()
    for suffix in _TEMPLATES:
        name = name.removesuffix(suffix)
    stem, dot, suffix = name.rpartition(".")
    return _KINDS.get(dot + suffix) if stem or dot else None
