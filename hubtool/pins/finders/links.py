"""Launcher links of Onyxia in Markdown: ``https://HOST/launcher/CATALOG/CHART?KEY=VALUE&…``. KEY is the path of a
chart's value; VALUE is percent-encoded, and stands in « » where it is a text."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import unquote

from hubtool.pins import Pin, Span
from hubtool.pins.finders import shapes
from hubtool.reference import ImageReference, is_tag

_ADDRESS = re.compile(r"https?://[^\s\"'<>()\[\]|`?#]+\Z")
_LINK = re.compile(r"/launcher/[^\s/?#\"'<>()]{1,200}/[^\s/?#\"'<>()]{1,200}\?")
# Up to where Markdown or HTML ends a URL. Parentheses belong to it in pairs.
_QUERY = re.compile(r"(?:(?!\]\()[^\s\"'<>()#|`]|\([^\s\"'<>()#|`]*\))*+")
# A URL without brackets or quotes ends before these (GitHub's Markdown, autolinks).
_TRAILING = "?!.,:;*_~]\\"
_CLOSING = (")", '"', "'", ">")
_PIECE = re.compile(r"[^&]+")
_VALUE = re.compile(r"(?P<open>«|%C2%AB)?(?P<text>[^«»]*?)(?P<close>»|%C2%BB)?", re.IGNORECASE)
_CHARACTER = re.compile(r"%([0-9A-Fa-f]{2})|.", re.DOTALL)
_KEY = re.compile(r"(?P<stem>(?:[\w.\\\[\]-]*(?<!\\)\.)?[A-Za-z]*[iI]mage)(?:\.(?P<last>[A-Za-z]+|custom\.version))?")
_WHOLE = (None, "version", "custom.version")
_MAX_LENGTH = 2000


@dataclass(frozen=True)
class _Parameter:
    """KEY=TEXT of a query. ``starts``: where each character of TEXT stands in the file, and the end."""

    key: str
    stem: str
    last: str | None
    text: str
    starts: Sequence[int]

    def span(self, start: int, end: int) -> Span | None:
        """Where characters START to END of TEXT stand; None where they are not written as they read."""
        span = Span(self.starts[start], self.starts[end])
        return span if span.end - span.start == end - start else None

    def digest_span(self, start: int) -> Span:
        """The same for a digest from START, whose ":" may be written as %3A."""
        return self.span(start, len(self.text)) or Span(self.starts[start], self.starts[-1], percent=True)


@dataclass(frozen=True)
class _Lines:
    """FILE, and where its lines after the first start."""

    file: str
    starts: Sequence[int]

    def pin(self, one: _Parameter, shown: ImageReference, start: int, why: str | None, digest: Span | None) -> Pin:
        """The pin in ONE, whose tag stands from START of its text."""
        span = one.span(start, start + len(shown.tag))
        if span is None:
            span, why = Span(one.starts[start], one.starts[start]), why or "is written percent-encoded"
        line = bisect_right(self.starts, span.start) + 1
        return Pin(
            self.file, line, shown.name, shown.tag, shown.digest, one.key, "link", why is None, why, span, digest
        )


def find_link_pins(text: str, file: str) -> list[Pin]:
    """The pins of TEXT (line ends as they are)."""
    if "/launcher/" not in text:
        return []
    lines = _Lines(file, [match.end() for match in re.finditer("\n", text)])
    return [pin for start, end in _queries(text) for pin in _pins(list(_parameters(text, start, end)), lines)]


def _without_comments(text: str) -> str:
    """TEXT, as long as before, with spaces for HTML's comments."""
    parts, at = [], 0
    while (start := text.find("<!--", at)) >= 0 and (end := text.find("-->", start + 4)) >= 0:
        parts += [text[at:start], " " * (end + 3 - start)]
        at = end + 3
    return "".join([*parts, text[at:]])


def _queries(text: str) -> Iterator[tuple[int, int]]:
    """Where the queries of launcher links stand."""
    done = 0
    for link in _LINK.finditer(_without_comments(text)):
        before = text.rfind("://", max(done, link.start() - 300), link.start())
        if before < 0 or not _ADDRESS.search(text[max(done, before - 5) : link.start()]):
            continue
        query = _QUERY.match(text, link.end())
        done = end = query.end() if query else link.end()
        if text[end : end + 1] not in _CLOSING:
            end = link.end() + len(text[link.end() : end].rstrip(_TRAILING))
        yield link.end(), end


def _parameters(text: str, start: int, end: int) -> Iterator[_Parameter]:
    """The parameters of the query that START and END enclose whose keys speak of an image."""
    for piece in _PIECE.finditer(text, start, end):
        at = piece.start() + (4 if piece[0].startswith("amp;") and piece.start() > start else 0)
        key, equals, _ = text[at : piece.end()].partition("=")
        found = _KEY.fullmatch(unquote(key)) if equals and len(key) <= _MAX_LENGTH else None
        begin = at + len(key) + 1
        value = _VALUE.fullmatch(text, begin, piece.end()) if piece.end() - begin <= _MAX_LENGTH else None
        if found is None or value is None or bool(value["open"]) != bool(value["close"]):
            continue
        characters = list(_CHARACTER.finditer(text, *value.span("text")))
        decoded = "".join(chr(int(one[1], 16)) if one[1] else one[0] for one in characters)
        starts = [one.start() for one in characters] + [value.end("text")]
        yield _Parameter(found[0], found["stem"], found["last"], decoded, starts)


def _pins(parameters: Sequence[_Parameter], lines: _Lines) -> Iterator[Pin]:
    """The pins of one link's PARAMETERS."""
    images: dict[str, dict[str, _Parameter]] = {}
    doubled = set()
    for one in parameters:
        beside = images.setdefault(one.stem, {})
        if one.last in beside:
            doubled.add(one.stem)
        beside[one.last or ""] = one
    for one in parameters:
        if one.last in _WHOLE:
            yield from _inline(one, lines)
        elif one.last == "tag":
            yield from _split(one, images[one.stem], one.stem in doubled, lines)


def _inline(one: _Parameter, lines: _Lines) -> Iterator[Pin]:
    reference = shapes.parse(one.text)
    if reference is None or not (reference.tag or "/" in reference.name):
        return
    start = len(reference.name) + 1 if reference.tag else 0
    why = "is pinned by digest alone" if reference.digest else "has no tag"
    at = len(one.text) - len(reference.digest or "")
    digest_span = one.digest_span(at) if reference.digest else None
    yield lines.pin(one, reference, start, None if reference.tag else why, digest_span)


def _split(one: _Parameter, values: dict[str, _Parameter], is_doubled: bool, lines: _Lines) -> Iterator[Pin]:
    name, registry, digest = (
        next((values[key].text for key in keys if key in values), "")
        for keys in (("repository", "name"), ("registry",), ("digest",))
    )
    image = shapes.parse(f"{registry}/{name}" if registry else name) if name else ImageReference("", "")
    if image is None:
        return
    why = None
    if not name:
        why = "no image is named beside it"
    elif image.tag or image.digest:
        why = "its image holds a tag too; which one counts?"
    elif is_doubled:
        why = "a key beside it stands twice"
    elif not is_tag(one.text):
        why = "is not a tag"
    shown = replace(image, tag=one.text if is_tag(one.text) else "", digest=digest or None)
    yield lines.pin(one, shown, 0, why, values["digest"].digest_span(0) if digest else None)
