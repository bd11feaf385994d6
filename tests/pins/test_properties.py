"""For any generated YAML with pins: only the tag's bytes differ, and moving back restores every byte."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hubtool.pins import Unreadable
from hubtool.pins.choose import of_image
from hubtool.pins.edit import move_pins
from hubtool.pins.finders.find import find_pins
from hubtool.pins.formats.text import read
from hubtool.reference import ImageReference

IMAGE = "example.org/team/notebook"
TAGS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,14}", fullmatch=True)
QUOTES = st.sampled_from(["", "'", '"'])
COMMENTS = st.sampled_from(["", "  # keep", " # image: example.org/team/notebook:old", "\t# é 😀"])
OTHER = st.sampled_from(
    ["a: 1", "b: [1, 2, {c: d}]", "# é 日本", 'd: "x: y # z"', "e: &e {f: 'it''s'}", "g: |\n  image: x/y:z\n   more",
     "h: 2026-06-29", "i: ~", "", "image2: example.org/team/notebook-gpu:T", "j: >-\n  folded\n  text",
     "k: \"\\u00e9\\\n  x\"", "l: 1\nl: 2", '"m": {"n": [1, "o"], "image": "example.org/team/other:T"}', "p:\t1\t# x",
     "q: " + "r" * 3000, "s: \"t\u0085u\u2028v\"", "w: {{ cookiecutter.x }}/y", "{% if x %}\n{% endif %}"]
)  # fmt: skip


@dataclass(frozen=True)
class File:
    text: str
    pins: int


@st.composite
def pin_lines(draw: st.DrawFn, tag: str) -> str:
    quote, comment = draw(QUOTES), draw(COMMENTS)
    written = f"{quote}{tag}{quote}"
    shape = draw(st.integers(0, 4))
    if shape == 0:
        return f"image: {quote}{IMAGE}:{tag}{quote}{comment}"
    if shape == 1:
        return f"image: {{name: {IMAGE}, tag: {written}}}{comment}"
    if shape == 2:
        return f"image:\n  tag: {written}{comment}\n  # between\n  name: {IMAGE}"
    if shape == 3:
        return f"list:\n- x: 1\n- image: {quote}{IMAGE}:{tag}{quote}{comment}\n- [y, {{image: {IMAGE}:{tag}}}]"
    return f"image:\n  repository: {IMAGE}{comment}\n  pullPolicy: Always\n  tag: {written}"


@st.composite
def files(draw: st.DrawFn, tag: str) -> File:
    blocks: list[str] = []
    count = draw(st.integers(1, 4))
    for number in range(count):
        blocks += [f"o{number}_{n}:\n" + _indented(draw(OTHER)) for n in range(draw(st.integers(0, 2)))]
        blocks.append(f"p{number}:\n" + _indented(draw(pin_lines(tag))))
    text = "\n".join(blocks) + draw(st.sampled_from(["", "\n", "\n\n", "\n# end", "\n---\nx: 1\n"]))
    text = draw(st.sampled_from(["", "\ufeff"])) + text
    return File(text.replace("\n", draw(st.sampled_from(["\n", "\r\n", "\r"]))), count)


def _indented(text: str) -> str:
    return "\n".join("  " + line for line in text.split("\n"))


def moved(data: bytes, tag: str) -> bytes:
    return move_pins(data, of_image(find_pins(data, "f.yaml"), ImageReference.parse(IMAGE)), tag)


def values(data: bytes) -> list[object]:
    """Every scalar of the file, as written but for the tag of our image."""
    found: list[object] = []
    for document in read(data, "f.yaml").nodes:
        stack: list[yaml.Node] = [document]
        while stack:
            node = stack.pop()
            if isinstance(node, yaml.ScalarNode):
                found.append((node.value, node.tag))
            elif isinstance(node, yaml.CollectionNode):
                stack += [n for item in node.value for n in (item if isinstance(item, tuple) else (item,))]
    return found


@settings(max_examples=100, deadline=None)
@given(files("aaaa1111"))
def test_a_pins_line_is_the_one_that_grep_tells(file: File) -> None:
    for pin in find_pins(file.text.encode(), "f.yaml"):
        line = file.text.split("\n")[pin.line - 1]
        assert f":{pin.tag}" in line or f"tag: {pin.tag}" in line.replace('"', "").replace("'", "")


# A tag that starts as text stays without quotes, so that the way back can restore the bytes.
START = "aaaa1111"


@settings(max_examples=150, deadline=None)
@given(files(START), TAGS)
def test_only_the_tags_characters_differ(file: File, tag: str) -> None:
    before = file.text.encode()
    after = moved(before, tag)
    pattern = re.compile(rf'"?{re.escape(tag)}"?'.encode())
    assert pattern.sub(b"@", after).count(b"@") >= file.pins
    assert before.split(START.encode())[0] == after[: len(before.split(START.encode())[0])]
    pieces = before.split(START.encode())
    expected = re.compile(rf'"?{re.escape(tag)}"?'.encode().join(re.escape(piece) for piece in pieces), re.DOTALL)
    assert expected.fullmatch(after)


@settings(max_examples=150, deadline=None)
@given(files(START), TAGS)
def test_the_trees_differ_in_the_tags_alone(file: File, tag: str) -> None:
    before = file.text.encode()
    old, new = values(before), values(moved(before, tag))
    assert len(old) == len(new)
    for one, other in zip(old, new, strict=True):
        assert one == other or other in ((tag, "tag:yaml.org,2002:str"), (f"{IMAGE}:{tag}", "tag:yaml.org,2002:str"))
    assert sum(one != other for one, other in zip(old, new, strict=True)) >= (0 if tag == START else file.pins)


@settings(max_examples=100, deadline=None)
@given(files(START), st.from_regex(r"[a-z]{3}[a-z0-9.]{0,9}", fullmatch=True))
def test_there_and_back_restores_every_byte(file: File, tag: str) -> None:
    before = file.text.encode()
    there = moved(before, tag)
    if b'"' + tag.encode() + b'"' in there and b'"' + START.encode() + b'"' not in before:
        return  # quotes were needed on the way (null, true, …), and quotes that are there stay
    assert moved(there, START) == before


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_crash_the_reader(data: bytes) -> None:
    with contextlib.suppress(Unreadable):
        find_pins(b"image: " + data, "f.yaml")


PIECES = st.sampled_from(
    ["image", "tag", "name", ": ", ":", "- ", "\n", "\n  ", "r/i:T", "r/i", "&a ", "*a", "{", "}", "[", "]", ", ", "'",
     '"', "|", ">", "# ", "!!str ", "<<", "---\n", "{{ x }}", "{% if %}", "\r\n", "\ufeff", "\u2028", "@", "?", " "]
)  # fmt: skip


@settings(max_examples=600, deadline=None)
@given(st.lists(PIECES, max_size=25).map("".join))
def test_whatever_is_found_is_moved_exactly(text: str) -> None:
    data = text.encode()
    try:
        pins = [pin for pin in find_pins(data, "f.yaml") if pin.editable]
    except Unreadable:
        return
    for pin in pins:
        after = move_pins(data, [pin], "NEW")
        assert len(after) - len(data) == len("NEW") - len(pin.tag)
        again = find_pins(after, "f.yaml")
        assert [one.tag for one in again if one.path == pin.path and one.line == pin.line].count("NEW") >= 1
