"""The proof by itself: each test hands it a wrong edit, as a bug elsewhere would."""

from __future__ import annotations

import pytest

from hubtool.errors import HubtoolError
from hubtool.pins import Span
from hubtool.pins.formats.text import read
from hubtool.pins.prove import Edit, _Comparison, prove

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


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (b"a: 1\nb: x\n", b"a: 1\nb: y\n", "another value"),
        (b"a: x\n", b"a: 'x'\n", "another value"),
        (b"a: 1\n", b"a: '1'\n", "another value"),
        (b"a: &x 1\nb: &y 1\nc: *x\n", b"a: &x 1\nb: &y 1\nc: *y\n", "an alias"),
        (b"a: &x 1\nb: *x\n", b"a: &x 1\nb: 1\n", "an alias"),
        (b"a: &x 1\nb: 1\n", b"a: &x 1\nb: *x\n", "an alias"),
        (b"a: [1]\n", b"a: {1: }\n", "the structure"),
        (b"a: [1]\n", b"a: [1, 2]\n", "the structure"),
        (b"a: !x [1]\n", b"a: !y [1]\n", "the structure"),
    ],
)
def test_trees_that_differ_are_refused_even_where_the_bytes_would_pass(
    before: bytes, after: bytes, reason: str
) -> None:
    """The second of the two nets: it is there for what the first, the bytes, might let through."""
    with pytest.raises(HubtoolError, match=f"{reason} would"):
        _Comparison(read(before, "f.yaml"), read(after, "f.yaml"), [], "f.yaml").run()


TEMPLATE = b"{% if x %}top: [{% endif %}\nimage:\n  name: r/i\n  tag: T\nother: T\n"


@pytest.mark.parametrize(("value", "quoted"), [("U", False), ("123", True)])
def test_a_template_is_proven_by_its_lines(value: str, quoted: bool) -> None:
    at = TEMPLATE.index(b"T\n")
    edit = Edit(Span(at, at + 1, alone=True, plain=True), value, quoted)
    prove(TEMPLATE, TEMPLATE.replace(b"tag: T", b"tag: " + edit.text.encode()), [edit], "f.yaml")


@pytest.mark.parametrize(
    ("position", "value"), [(0, "U: V"), (0, "U, V"), (0, "'U'"), (0, "U\n"), (0, "123"), (1, "U")]
)
def test_a_template_that_would_read_otherwise_is_refused(position: int, value: str) -> None:
    at = TEMPLATE.index(b"T\n") if position == 0 else TEMPLATE.rindex(b"T\n")
    edit = Edit(Span(at, at + 1, alone=True, plain=True), value)
    after = TEMPLATE[:at] + value.encode() + TEMPLATE[at + 1 :]
    with pytest.raises(HubtoolError, match="would not read as intended"):
        prove(TEMPLATE, after, [edit], "f.yaml")
