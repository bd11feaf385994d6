"""A second opinion on an edit of JSON: what Python's own reader sees change, without positions."""

from __future__ import annotations

import json


class _Number(str):
    """A number as written, apart from the text of the same characters."""


def json_changes(before: str, after: str) -> list[tuple[str, str]] | None:
    """Old and new of each value (or key) that changes to a text; None where anything else changes."""
    stack = [(_load(before), _load(after))]
    changed = []
    while stack:
        a, b = stack.pop()
        if isinstance(a, (list, tuple)):
            if type(a) is not type(b) or len(a) != len(b):
                return None
            stack += zip(a, b, strict=True)
        elif type(a) is not type(b) or a != b:
            if type(b) is not str:
                return None
            changed.append((str(a) if isinstance(a, str) else json.dumps(a), b))
    return changed


def _load(text: str) -> object:
    # Objects as tuples of pairs: a key that stands twice is seen twice. Numbers as text: no limit to their digits.
    return json.loads(text.removeprefix("\ufeff"), object_pairs_hook=tuple, parse_int=_Number, parse_float=_Number)
