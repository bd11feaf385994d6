"""Move pins: bytes in, bytes out. Only the bytes of tags and digests change, and the result is proven."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hubtool.errors import HubtoolError, Where
from hubtool.pins import Form, Pin, Span
from hubtool.pins.formats.scalars import reads_as_text
from hubtool.pins.prove import Edit, prove
from hubtool.reference import is_tag


@dataclass(frozen=True)
class Move:
    """Pins, and the tag and digest that they go to."""

    pins: Sequence[Pin]
    tag: str
    digest: str | None = None


def move_pins(
    data: bytes, pins: Sequence[Pin], tag: str, digest: str | None = None, *, pin_digest: bool = False
) -> bytes:
    """DATA with PINS (found in it by find_pins) at TAG: move_each with one move."""
    return move_each(data, [Move(pins, tag, digest)], pin_digest=pin_digest)


def move_each(data: bytes, moves: Sequence[Move], *, pin_digest: bool = False) -> bytes:
    """DATA with the pins of MOVES (found in it by find_pins) at their tags.

    A pin that also has a digest moves to its move's, and with PIN_DIGEST one that has none gets it. Raises HubtoolError
    where the digest is not known or has no place, for a pin that hubtool does not touch, a tag that is none, and
    any edit that can't be proven to change the tags alone.
    """
    for move in moves:
        if not is_tag(move.tag):
            raise HubtoolError(f"'{move.tag}' is not a tag", hint="a tag has 1 to 128 letters, digits, '_', '.' or '-'")
    pins = [(pin, move) for move in moves for pin in move.pins]
    if not pins:
        return data
    text = data.decode("utf-8")
    edits = list({edit for pin, to in pins for edit in _edits(pin, text, to.tag, to.digest, pin_digest)})
    after = splice(text, edits).encode()
    prove(data, after, edits, pins[0][0].file)
    return after


def _edits(pin: Pin, text: str, tag: str, digest: str | None, pin_digest: bool) -> list[Edit]:
    where = Where(pin.file, pin.line, pin.path)
    if not pin.editable or pin.tag_span is None:
        raise HubtoolError(f"{pin.image} {pin.why}", where=where)
    if text[pin.tag_span.start : pin.tag_span.end] != pin.tag:
        raise HubtoolError("changed while hubtool read it", where=where, hint="run the same command again")
    if not pin.digest and not pin_digest:
        return [_tag_edit(pin, pin.tag_span, tag)] if pin.tag != tag else []
    if digest is None:
        raise _unknown_digest(pin, tag, where)
    if pin.digest is None and (why := pin.no_digest or _NO_DIGEST.get(pin.form)):
        raise HubtoolError(f"{pin.image}:{pin.tag} can't be pinned by digest: {why}", where=where)
    if pin.digest_span is None:
        return [Edit(pin.tag_span, f"{tag}@{digest}", quoted=pin.tag_span.plain and pin.tag_span.quote)]
    edits = [_tag_edit(pin, pin.tag_span, tag), Edit(pin.digest_span, digest)]
    return edits if (pin.tag, pin.digest) != (tag, digest) else []


_NO_DIGEST: dict[Form, str] = {
    "app-version": "a chart's appVersion is a tag alone",
    "link": "hubtool adds none to a launcher link",
}


def _unknown_digest(pin: Pin, tag: str, where: Where) -> HubtoolError:
    if pin.digest is None:
        return HubtoolError(f"the digest of {pin.image}:{tag} is not known, so it can't be pinned", where=where)
    return HubtoolError(
        f"{pin.image}:{pin.tag} is pinned by digest too, and the digest of '{tag}' is not known",
        where=where,
        hint="a tag with another image's digest would be a lie: tag and digest move together or not at all",
    )


def _tag_edit(pin: Pin, span: Span, tag: str) -> Edit:
    # "tag@digest" in one scalar is always text; a sibling digest leaves the tag alone in its own.
    beside = pin.digest is not None and pin.digest_span is not None and pin.digest_span.start == span.end + 1
    bare = span.alone and span.plain and not beside
    return Edit(span, tag, quoted=bare and (span.quote or not reads_as_text(tag)))


def splice(text: str, edits: Sequence[Edit]) -> str:
    """TEXT with EDITS, which touch nothing twice."""
    parts, at = [], 0
    for edit in sorted(edits):
        parts += [text[at : edit.span.start], edit.text]
        at = edit.span.end
    return "".join([*parts, text[at:]])
