"""Patterns of tags and arguments: {AXIS}, {VALUE} and {WORD} in text, filled in for one variant.

{python} is the variant's value on the axis python. {gpu} is "gpu" for a variant that has this value on any axis, and
nothing for the others; {-gpu} puts a "-" before it. Every other word is one of those given, as {date}. Braces around
anything else, as in JSON, are text.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from hubtool.errors import HubtoolError

WORDS = ("image", "version", "date", "commit")
_PLACE = re.compile(r"\{([-._]?)(\w[\w.+-]*)\}", re.ASCII)


def words_of(pattern: str) -> set[str]:
    """What the places of PATTERN name."""
    return {place[2] for place in _PLACE.finditer(pattern)}


def fill(pattern: str, point: Mapping[str, str], words: Mapping[str, str], values: Collection[str]) -> str:
    """PATTERN for the variant at POINT (axis: value). VALUES are all values of all axes, WORDS what else there is.

    Raises HubtoolError for a place that means nothing here.
    """

    def filled(place: re.Match[str]) -> str:
        separator, name = place[1], place[2]
        found = point.get(name) or words.get(name)
        if found is None and name in values:
            found = name if name in point.values() else ""
        if found is None:
            known = ", ".join(f"{{{word}}}" for word in [*point, *words])
            raise HubtoolError(f"'{pattern}': nothing here is called '{name}'", hint=f"known here: {known}")
        return separator + found if found else ""

    return _PLACE.sub(filled, pattern)
