"""Overrides: a tag alone, in another file of the hub, for the image that stands at the same path there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from hubtool.pins import Pin
from hubtool.pins.finders.candidates import Name
from hubtool.pins.finders.schema import values_path
from hubtool.pins.finders.split import NO_NAME


def inherit(pins: Iterable[Pin], names: Iterable[Name] = ()) -> list[Pin]:
    """PINS of one hub, where each tag-only pin has the image that the hub's other files name at its path.

    NAMES are those that stand there without a tag. Where the files name none there, or several, the pin stays as it
    is: of no image, and not touched. Which of several it means depends on which files are read together (staging and
    prod are not), and a guess could be wrong.
    """
    everything = list(pins)
    named = [(name.path, name.image) for name in names]
    named += [(pin.path, pin.image) for pin in everything if pin.form == "split" and pin.image]
    images: dict[str, set[str]] = {}
    for path, image in named:
        images.setdefault(path, set()).add(image)
    return [_filled(pin, images.get(pin.path) or images.get(values_path(pin.path), set())) for pin in everything]


def _filled(pin: Pin, images: set[str]) -> Pin:
    if pin.form != "tag-only" or pin.image or not images:
        return pin
    if len(images) > 1:
        return replace(pin, why=f"{NO_NAME}, and the hub's files name several there: {', '.join(sorted(images))}")
    readable = pin.why == NO_NAME
    return replace(pin, image=next(iter(images)), editable=readable, why=None if readable else pin.why)
