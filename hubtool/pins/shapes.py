"""Which keys and values make a pin. One rule a function; ``find`` walks the file and asks them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hubtool.errors import HubtoolError
from hubtool.pins.text import MASK
from hubtool.reference import ImageReference

# Checked in this order: newName wins over name (Kustomize), repository over name (charts that have both).
SPLIT_KEYS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("newTag", ("newName", "name")),
    ("tag", ("repository", "name", "image")),
    ("imageTag", ("imageName", "image", "repository")),
)
WHOLE_KEYS = frozenset({"image", "image_name", "build_image"})
PROSE_KEYS = frozenset(
    {"description", "display_name", "displayname", "title", "summary", "help", "comment", "text", "label"}
)
MAX_LENGTH = 512

_IMAGE = re.compile(r"(?i)image(?!_?-?(pull|secret|polic))")
_IMAGE_END = re.compile(r"(?i)images?$|image_name$")
_TEMPLATED = re.compile(rf"[{{}}$<>%{MASK}]")
_MAYBE = re.compile(r"[a-zA-Z0-9\[][^\s]*\Z")


@dataclass(frozen=True)
class Place:
    """Where a value stands: its own key and those above it. ``is_item``: it is a list's item itself; ``in_list``:
    it is one, or a value of a mapping that is one."""

    keys: tuple[str, ...]
    is_item: bool = False
    in_list: bool = False

    @property
    def key(self) -> str:
        return self.keys[-1] if self.keys else ""

    @property
    def is_image(self) -> bool:
        """The value stands under a key called image, images, extraImages, …"""
        return bool(_IMAGE_END.search(self.key))

    @property
    def is_near_image(self) -> bool:
        """This key or the one above speaks of an image."""
        return any(_IMAGE.search(key) for key in self.keys[-2:])

    @property
    def is_below_image(self) -> bool:
        return any(_IMAGE.search(key) for key in self.keys)


def parse(text: str) -> ImageReference | None:
    """TEXT as an image reference, or None."""
    if len(text) > MAX_LENGTH or not _MAYBE.match(text):
        return None
    try:
        return ImageReference.parse(text)
    except HubtoolError:
        return None


def is_templated(text: str) -> bool:
    return bool(_TEMPLATED.search(text))


def is_prose(place: Place) -> bool:
    return place.key.lower() in PROSE_KEYS


def names_image(place: Place, reference: ImageReference) -> bool:
    """Whether a scalar at PLACE that reads as REFERENCE is meant as an image."""
    tagged = bool(reference.tag or reference.digest)
    if place.key in WHOLE_KEYS:
        return True
    if place.is_image:
        return tagged or (place.in_list and "/" in reference.name)
    if not tagged or "/" not in reference.name:
        return False
    return bool(reference.registry) or place.is_below_image


def is_hubploy_name(place: Place) -> bool:
    """``images.images[].name``, a whole reference under a key that elsewhere holds a bare name."""
    return place.in_list and place.keys[-1:] == ("name",) and bool(re.search("(?i)images$", "".join(place.keys[-2:-1])))


def is_split(place: Place, name_key: str, image: ImageReference) -> bool:
    """Whether a mapping at PLACE whose NAME_KEY reads as IMAGE, with a tag beside it, is an image."""
    if place.is_near_image or name_key in ("image", "imageName"):
        return True
    if "/" not in image.name:
        return False
    return name_key == "repository" or bool(image.registry)
