from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubtool.pins import Unreadable
from hubtool.pins.finders.find import Found, parse_and_find
from hubtool.pins.finders.hints import may_hold_pins
from hubtool.pins.formats.kinds import kind_of
from tests.pins.corpus import CORPUS, needs_corpus

NOTHING = Found([])


def found(data: bytes, file: str) -> Found:
    try:
        return parse_and_find(data, file)
    except Unreadable:
        return NOTHING


@needs_corpus
def test_no_real_file_with_a_pin_or_a_name_is_passed_over() -> None:
    for path in CORPUS.rglob("*"):
        file = path.relative_to(CORPUS).as_posix()
        if path.is_file() and kind_of(file) and not may_hold_pins(path.read_bytes(), kind_of(file)):
            assert found(path.read_bytes(), file) == NOTHING, file


WORDS = [
    "image",
    "IMAGE",
    "images",
    "imageName",
    "tag",
    "newTag",
    "name",
    "repository",
    "value",
    "extraImages",
    "containers",
    "org/x",
    "x:1",
    "org/x:1",
]
VALUES = [
    "quay.io/org/x:v1",
    "quay.io/org/x@sha256:" + "a" * 64,
    '"1"',
    "{{ x }}",
    "{value}",
    "\\x61",
    "\\u0074",
    "!!str ",
]
MARKS = [
    ": ",
    ":",
    " ",
    "\n",
    "\n  ",
    "\n    ",
    "\r",
    "\r\n",
    "- ",
    "\n- ",
    "# ",
    "#",
    "\n# ",
    "\t",
    '"',
    "'",
    "\u2028",
]
MORE = ["{", "}", "[", "]", ", ", "&a ", "*a ", "? ", "<<: ", "|\n  ", ">\n  ", "=", " = "]
PIECES = st.sampled_from([*WORDS, *VALUES, *MARKS, *MORE])


@given(st.lists(PIECES, min_size=2, max_size=14).map("".join), st.sampled_from(["a.yaml", "a.json", "a.tf", "a.md"]))
def test_what_is_passed_over_holds_no_pin_and_no_name(text: str, file: str) -> None:
    data = text.encode()
    assert may_hold_pins(data, kind_of(file)) or found(data, file) == NOTHING


@given(
    st.sampled_from(
        ["image: org/x:1", "tag: 1\nname: org/x", "a: quay.io/org/x:1", "image: {tag: 1}", "image:\n  name: x"]
    ),
    st.sampled_from(["# image: org/y:1", "#", "a: b # c", "# é image", "x: '#'", ""]),
    st.sampled_from(["\n", "\r\n", "\r", "\u2028", "\u0085", " "]),
)
def test_a_comment_before_a_pin_hides_it_only_on_its_own_line(pin: str, before: str, end: str) -> None:
    data = f"{before}{end}{pin}\n".encode()
    assert may_hold_pins(data, "yaml") or found(data, "a.yaml") == NOTHING


@pytest.mark.parametrize(
    "text",
    [
        "# image: org/x:1\nx: 1\n",
        "  # tag: 1\r\n#quay.io/org/x:1\r\n",
        "imagePullPolicy: Always\nstaging: course::12\n",
        "image: {}\n",
        "url: https://example.org/image\nstage: 10\n",
    ],
)
def test_what_only_speaks_of_images_is_not_parsed(text: str) -> None:
    assert not may_hold_pins(text.encode(), "yaml")
