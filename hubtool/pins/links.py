"""Launcher links of Onyxia in Markdown: a whole reference in a URL's query."""

from __future__ import annotations

from hubtool.pins import Pin


def find_link_pins(text: str, file: str) -> list[Pin]:
    """The pins of TEXT (line ends as they are)."""
    raise NotImplementedError(text, file)
