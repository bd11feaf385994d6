"""Overrides: a tag alone, in another file of the hub, for the image that stands at the same path there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from hubtool.pins import Pin


def inherit(pins: Iterable[Pin]) -> list[Pin]:
    """PINS of one hub, where each tag-only pin has the image that the hub's other files name at its path.

    Where they name none there, or several, it stays as it is: of no image, and not touched.
    """
    everything = list(pins)
    named: dict[str, set[str]] = {}
    for pin in everything:
        if pin.form == "split" and pin.image:
            named.setdefault(pin.path, set()).add(pin.image)
    return [_filled(pin, named.get(pin.path, set())) for pin in everything]


def _filled(pin: Pin, images: set[str]) -> Pin:
    if pin.form != "tag-only" or pin.image or len(images) != 1:
        return pin
    span = pin.tag_span
    editable = bool(pin.tag) and span is not None and span.alone
    why = None if editable else "is a tag that hubtool can't read"
    return replace(pin, image=next(iter(images)), editable=editable, why=why)
