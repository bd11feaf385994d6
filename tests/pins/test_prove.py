"""The proof by itself: each test hands it a wrong edit, as a bug elsewhere would."""

from __future__ import annotations

import pytest

from hubtool.errors import HubtoolError
from hubtool.pins import Span
from hubtool.pins.prove import Edit, prove

BEFORE = b"# c\nimage:\n  name: r/i\n  tag: &t T  # keep\nother: *t\nn: 1\n"
AT = BEFORE.index(b"T  #")
EDIT = Edit(Span(AT, AT + 1, alone=True, plain=True), "U")


def test_the_intended_change_is_proven() -> None:
    prove(BEFORE, BEFORE.replace(b"&t T", b"&t U"), [EDIT], "f.yaml")


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (BEFORE.replace(b"&t T", b"&t V"), "not where it should be"),
        (BEFORE, "not where it should be"),
        (BEFORE.replace(b"&t T", b"&t U").replace(b"# keep", b"# kept"), "other bytes"),
        (BEFORE.replace(b"&t T", b"&t U").replace(b"n: 1\n", b"n: 1"), "other bytes"),
        (BEFORE.replace(b"&t T", b"&t U").replace(b"# c", b"# C"), "other bytes"),
        (BEFORE.replace(b"&t T  #", b"&t U#"), "other bytes"),
        (BEFORE.replace(b"&t T", b"&t U") + b"---\nx: 1\n", "other bytes"),
        (b"\xef\xbb\xbf" + BEFORE.replace(b"&t T", b"&t U"), "other bytes"),
        (BEFORE.replace(b"T", b"\x00"), "binary"),
        (b"a: [", "not YAML"),
    ],
)
def test_any_other_change_is_refused(after: bytes, reason: str) -> None:
    with pytest.raises(HubtoolError, match=reason):
        prove(BEFORE, after, [EDIT], "f.yaml")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("123", "would not be read as text"),
        ("2026-06-29", "would not be read as text"),
        ("U: V", "not YAML|structure"),
        ("U, x: 1", "the tag would not read as intended|not YAML|structure"),
        ("U #", "would not read as intended"),
        ("U\nmore: 1", "structure|not YAML|intended"),
        ("*t", "not YAML|structure|alias"),
        ("'U'", "would not read as intended"),
    ],
)
def test_a_value_that_would_read_as_something_else_is_refused(value: str, reason: str) -> None:
    after = BEFORE.replace(b"&t T", b"&t " + value.encode())
    with pytest.raises(HubtoolError, match=reason):
        prove(BEFORE, after, [Edit(EDIT.span, value)], "f.yaml")


def test_an_edit_of_a_key_is_an_edit_of_what_reads_as_it() -> None:
    before = b"key: 1\n"
    with pytest.raises(HubtoolError, match="would not be read as text"):
        prove(before, b"1: 1\n", [Edit(Span(0, 3), "1")], "f.yaml")


def test_an_edit_inside_a_comment_is_refused() -> None:
    after = BEFORE.replace(b"# c", b"# d")
    with pytest.raises(HubtoolError, match="where no value stands"):
        prove(BEFORE, after, [Edit(Span(2, 3), "d")], "f.yaml")


def test_edits_that_overlap_are_refused() -> None:
    after = BEFORE.replace(b"&t T", b"&t UU")
    with pytest.raises(HubtoolError):
        prove(BEFORE, after, [EDIT, Edit(Span(AT, AT + 1), "U")], "f.yaml")
