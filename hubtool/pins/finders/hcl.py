"""What is a pin in Terraform's files, beyond what a key beside it tells in YAML."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import yaml

from hubtool.pins.finders import shapes
from hubtool.pins.finders.candidates import Candidate
from hubtool.pins.finders.merges import effective
from hubtool.pins.finders.shapes import Place
from hubtool.pins.finders.split import Split
from hubtool.pins.formats.hcl_nodes import EXPRESSION
from hubtool.reference import ImageReference

# An image without a tag is something else below these: a virtual machine's, or the name of a choice.
_ELSE = re.compile(
    r"initialize_params|boot_disk|google_compute|openstack|hcloud|digitalocean|proxmox|incus|lxd|libvirt"
    r"|coder_workspace_preset"
)


def names_image(place: Place, reference: ImageReference) -> bool:
    """Whether a text at PLACE that reads as REFERENCE is meant as an image: any that has a "/" and a tag is."""
    if not (reference.tag or reference.digest) and any(map(_ELSE.search, place.keys)):
        return False
    if reference.name in ("sha256", "sha512"):
        return False
    if shapes.names_image(place, reference):
        return True
    if not reference.tag:
        return False
    if "/" in reference.name:
        return not (reference.registry or place.is_address or reference.tag in shapes.NO_TAGS)
    owner = Place(place.keys[:-1])
    is_value = place.key in ("default", "value", "name")
    return Place((place.key,)).is_near_image or (is_value and owner.is_near_image)


def is_prose(place: Place) -> bool:
    """The name of a parameter's option is a text for people, as its description is."""
    return shapes.is_prose(place) or place.keys[-2:] == ("option", "name")


@dataclass(frozen=True)
class HclSplit(Split):
    """Also reads two variables' defaults as a name and a tag."""

    def candidates(self, node: yaml.MappingNode, place: Place, path: str) -> Iterator[Candidate]:
        yield from super().candidates(node, place, path)
        if place.keys == ("variable",):
            found = {key.value: _default(value) for key, value in node.value}
            defaults: dict[str, yaml.Node] = {key: value for key, value in found.items() if value is not None}
            yield from self._group(defaults, place, {key: f"{path}.{key}.default" for key in defaults})

    def _pin(
        self, values: Mapping[str, yaml.Node], tag_key: str, name_key: str | None, place: Place, path: str
    ) -> Candidate | None:
        # A name and a tag that are only handed on (image_tag = var.tag) stand somewhere else.
        if all(values[key].tag == EXPRESSION for key in (tag_key, name_key) if key):
            return None
        return super()._pin(values, tag_key, name_key, place, path)


def _default(variable: yaml.Node) -> yaml.ScalarNode | None:
    if not isinstance(variable, yaml.MappingNode):
        return None
    value = effective(variable)[0].get("default")
    return value if isinstance(value, yaml.ScalarNode) else None
