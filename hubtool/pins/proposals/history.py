"""Which tags were live: what a branch's history says of a pin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from hubtool.forges import Branch
from hubtool.pins import Pin, Unreadable
from hubtool.pins.choose import of_image
from hubtool.pins.finders.find import find_pins
from hubtool.pins.finders.shapes import parse

MOST = 40


@dataclass(frozen=True)
class Live:
    """A tag that was live: the branch's commits from ``revision`` on, made at ``since`` (seconds since 1970), had it
    until the next. ``tag`` is None where the pin's file could not be read or named the image at several tags."""

    tag: str | None
    since: int
    revision: str


def live_tags(branch: Branch, pin: Pin) -> Iterator[Live]:
    """The tags of PIN along the branch's history, newest first, the present one too; read as they are asked for.

    Ends where the file did not name the image yet, and after MOST commits that changed it.
    """
    current: Live | None = None
    for revision in islice(branch.history(pin.file), MOST):
        data = branch.read_at(revision.sha, [pin.file]).get(pin.file)
        tags = _tags(data, pin) if data is not None else set()
        if not tags:
            break
        tag = next(iter(tags)) if len(tags) == 1 else None
        if current is not None and current.tag != tag:
            yield current
        current = Live(tag, revision.time, revision.sha)
    if current is not None:
        yield current


def _tags(data: bytes, pin: Pin) -> set[str | None]:
    """The tags at the pin's own path, else of its image anywhere in the file."""
    try:
        pins = find_pins(data, pin.file)
    except Unreadable:
        return {None}
    at_path = {one.tag for one in pins if one.path == pin.path and one.image in (pin.image, "")}
    image = parse(pin.image)
    return set(at_path or ({one.tag for one in of_image(pins, image)} if image else ()))
