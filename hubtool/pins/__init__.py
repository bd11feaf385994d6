"""Pins: the places in a deployment repository that name an image and tag.

A pure core, bytes in and bytes out: ``formats`` reads files as nodes with positions, ``finders`` says which of these
are pins, ``edit`` replaces the bytes of a tag and nothing else, ``prove`` reads both versions again and refuses
anything but the intended change. ``choose`` says which pins are meant, ``hubs`` whose they are; ``scan`` puts the
pieces together over many files, ``tree`` over a folder's. ``proposals`` makes pull requests of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

# inline: a whole reference. split: name and tag beside each other. tag-only: a tag for the image that another file
# of the hub names. app-version: a chart's appVersion, which is the tag of the image that hubtool.yaml says. link: a
# reference in a launcher link. prose: a reference in a text for people, never moved.
Form = Literal["inline", "split", "tag-only", "app-version", "link", "prose"]


# No file that people keep is nested deeper; readers that recurse would end the process.
MAX_DEPTH = 200


@dataclass(frozen=True, order=True)
class Span:
    """Characters START to END of a file's decoded text. ``alone``: they are a whole YAML scalar, which would
    be read as a number or date where they look like one; ``plain``: that scalar has no quotes; ``quote``: what
    replaces it must have them, whatever it looks like; ``percent``: what replaces it is percent-encoded."""

    start: int
    end: int
    alone: bool = False
    plain: bool = False
    quote: bool = False
    percent: bool = False


@dataclass(frozen=True)
class Pin:
    """One place that names an image; design of ``pins list --json``.

    ``file`` is relative, with "/"; ``line`` (from 1) is where the tag stands; ``image`` is as written, without
    tag, a sibling ``registry`` prefixed; ``tag`` is "" and ``digest`` None where there is none; ``why`` says
    why hubtool won't touch it, and is None where it would. ``no_digest`` says why it can't be pinned by digest;
    ``digest_span`` without a digest is where one can be written.
    """

    file: str
    line: int
    image: str
    tag: str
    digest: str | None
    path: str
    form: Form
    editable: bool
    why: str | None
    tag_span: Span | None = field(default=None, repr=False, compare=False)
    digest_span: Span | None = field(default=None, repr=False, compare=False)
    no_digest: str | None = field(default=None, repr=False, compare=False)

    def as_json(self) -> dict[str, str | int | bool | None]:
        names = ("file", "line", "image", "tag", "digest", "path", "form", "editable", "why")
        return {name: getattr(self, name) for name in names}

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.path}: {self.image}:{self.tag}"


@dataclass(frozen=True)
class Skipped:
    """A file that was not read for pins, and why."""

    file: str
    why: str


class Unreadable(Exception):
    """The bytes can't be read for pins; the text says why."""


class Template(Unreadable):
    """A template that is not YAML even with its expressions masked; ``text`` is the file's."""

    def __init__(self, message: str, text: str) -> None:
        super().__init__(message)
        self.text = text
