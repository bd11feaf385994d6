"""Which pins a bump means: those of one image, at one tag."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from hubtool.errors import HubtoolError
from hubtool.pins import Pin
from hubtool.pins.finders.shapes import parse
from hubtool.reference import ImageReference

MAX_LISTED = 20
Kin = Callable[[ImageReference, str], bool]  # whether a tag is of the same variant as an image's


class NoPin(HubtoolError):
    """No pin names the image."""


@dataclass(frozen=True)
class Choice:
    """``image`` as the pins name it; ``moving`` are to be edited, ``there`` stand at the tag already, ``left``
    name the image and stay as they are."""

    image: str
    moving: tuple[Pin, ...]
    there: tuple[Pin, ...]
    left: tuple[Pin, ...]

    @property
    def old_tags(self) -> tuple[str, ...]:
        return tuple(sorted({pin.tag for pin in self.moving}))


def choose(
    pins: Sequence[Pin],
    image: ImageReference,
    tag: str,
    *,
    digest: str | None = None,
    from_tag: str | None = None,
    all_tags: bool = False,
    pin_digest: bool = False,
    kin: Callable[[str], bool] | None = None,
) -> Choice:
    """The pins of IMAGE that go to TAG. FROM_TAG: only those at that tag; ALL_TAGS: whatever their tag.

    With KIN (and neither of these): only those at a tag of which it is true. A pin at TAG whose digest is not DIGEST
    goes too, and with PIN_DIGEST also one that has none.

    Raises HubtoolError where no pin names IMAGE, several hosts hold it and none is exact, its pins stand at two
    or more tags and neither FROM_TAG nor ALL_TAGS says which, or a pin that should move can't be edited.
    """
    mine = of_image(pins, image)
    if not mine:
        raise _nothing_found(pins, image)
    tagged = [pin for pin in mine if pin.tag or pin.editable]
    if not tagged:
        raise HubtoolError(f"no pin of {image.name} that hubtool can move:\n" + _listed(mine))
    meant = [pin for pin in tagged if all_tags or from_tag in (None, pin.tag)]
    if kin is not None and from_tag is None and not all_tags:
        meant = [pin for pin in meant if kin(pin.tag)]
        if not meant:
            raise NoPin(
                f"no pin of {image.name} stands at a tag of the variant that {tag} is of:\n" + _listed(tagged),
                hint="say with --from TAG which of them move",
            )
    tags = sorted({pin.tag for pin in meant})
    if len(tags) > 1 and not all_tags:
        raise HubtoolError(
            f"pins of {image.name} stand at {len(tags)} tags:\n" + _listed(tagged),
            hint=f"move those at one tag with --from TAG ({', '.join(tags)}), or all of them with --all-tags",
        )
    if not meant and not any(pin.tag == tag for pin in tagged):
        raise HubtoolError(f"no pin of {image.name} stands at '{from_tag}':\n" + _listed(tagged))
    settled = (digest,) if pin_digest else (digest, None)
    moving = [pin for pin in meant if pin.tag != tag or (digest and pin.digest not in settled)]
    _refuse_stuck(moving)
    there = [pin for pin in tagged if pin.tag == tag and pin not in moving]
    left = [pin for pin in mine if pin not in moving and pin not in there]
    return Choice(mine[0].image, tuple(moving), tuple(there), tuple(left))


def together(choices: Sequence[Choice]) -> Choice:
    """CHOICES of one image's variants as one: left is what none of them means."""
    moving = tuple(pin for one in choices for pin in one.moving)
    there = tuple(pin for one in choices for pin in one.there)
    taken = {*moving, *there}
    return Choice(choices[0].image, moving, there, tuple(pin for pin in choices[0].left if pin not in taken))


def by_variant(pins: Sequence[Pin], image: ImageReference, kin: Kin | None) -> list[Pin] | None:
    """A pin for each tag that PINS of IMAGE stand at, where each tag is of another variant; else None."""
    found = sorted({pin.tag: pin for pin in reversed(pins)}.values(), key=lambda pin: pin.tag)
    pairs = combinations(found, 2)
    return None if any(kin is None or kin(image.with_tag(a.tag), b.tag) for a, b in pairs) else found


def of_image(pins: Iterable[Pin], image: ImageReference) -> list[Pin]:
    """The pins that name IMAGE's repository exactly; ``docker.io/`` may be left out.

    Where IMAGE has no registry host and none is exact, those on the one host that holds it; HubtoolError where
    several hosts do.
    """
    named = [(pin, parse(pin.image)) for pin in pins if pin.image and pin.form != "prose"]
    exact = [pin for pin, reference in named if reference and reference.same_repository(image)]
    if exact or image.registry:
        return exact
    elsewhere = [(pin, ref) for pin, ref in named if ref and ref.registry and ref.repository == image.repository]
    hosts = sorted({reference.name for _, reference in elsewhere})
    if len(hosts) > 1:
        raise HubtoolError(
            f"'{image.name}' is pinned on {len(hosts)} hosts: {', '.join(hosts)}",
            hint="name the image with its registry host",
        )
    return [pin for pin, _ in elsewhere]


def _refuse_stuck(moving: Sequence[Pin]) -> None:
    stuck = [pin for pin in moving if not pin.editable]
    if stuck:
        raise HubtoolError("some pins can't be moved, so none was:\n" + _listed(stuck))


def _nothing_found(pins: Sequence[Pin], image: ImageReference) -> NoPin:
    names = sorted({pin.image for pin in pins if pin.image and parse(pin.image)})
    if not names:
        return NoPin(f"no pin of {image.name}: no image is pinned there at all")
    near = difflib.get_close_matches(image.name, names, 1)
    shown = names[:MAX_LISTED]
    more = f"\n  and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    return NoPin(
        f"no pin of {image.name}; images pinned there:\n" + "\n".join(f"  {name}" for name in shown) + more,
        hint=f"did you mean {near[0]}?" if near else None,
    )


def _listed(pins: Sequence[Pin]) -> str:
    lines = [
        f"  {pin.file}:{pin.line}: {pin.path}: {pin.tag or '(no tag)'}" + (f" ({pin.why})" if pin.why else "")
        for pin in pins[:MAX_LISTED]
    ]
    more = [f"  and {len(pins) - len(lines)} more"] if len(pins) > len(lines) else []
    return "\n".join(lines + more)
