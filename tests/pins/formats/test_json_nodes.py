"""JSON as nodes: the tree that json.loads gives, positions that hold, and one clear reason for what is no JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hubtool.pins import MAX_DEPTH, Unreadable
from hubtool.pins.choose import of_image
from hubtool.pins.edit import move_pins
from hubtool.pins.finders.find import find_pins
from hubtool.pins.formats.json_nodes import read_json
from hubtool.reference import ImageReference

SPACES = st.sampled_from(["", " ", "\n", "\r\n", "\t", " \r "])
# Half a surrogate pair is no text that anything could print.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ["", '"', "\\", "/", "\u2028", "<<"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=20
)


@st.composite
def files(draw: st.DrawFn) -> str:
    """A value as JSON, spaced and escaped in one of the ways there are."""
    options: dict[str, Any] = {"ensure_ascii": draw(st.booleans()), "indent": draw(st.sampled_from([None, 0, 2, "\t"]))}
    separators = (draw(SPACES) + "," + draw(SPACES), draw(SPACES) + ":" + draw(SPACES))
    return draw(SPACES) + json.dumps(draw(VALUES), separators=separators, **options) + draw(SPACES)


def plain(node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return {plain(key): plain(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [plain(item) for item in node.value]
    read: dict[str, Callable[[str], Any]] = {
        "int": int,
        "float": float,
        "bool": {"true": True, "false": False}.get,
        "null": lambda _: None,
        "str": str,
    }
    return read[str(node.tag).removeprefix("tag:yaml.org,2002:")](node.value)


def every(node: yaml.Node) -> list[yaml.Node]:
    inner = node.value if isinstance(node, yaml.CollectionNode) else []
    flat = [one for item in inner for one in (item if isinstance(item, tuple) else (item,))]
    return [node, *(below for one in flat for below in every(one))]


@settings(max_examples=300, deadline=None)
@given(files())
def test_the_tree_is_the_one_that_pythons_own_reader_gives(text: str) -> None:
    (node,) = read_json(text)
    assert plain(node) == json.loads(text)


@settings(max_examples=300, deadline=None)
@given(files())
def test_the_characters_between_a_nodes_marks_are_its_own(text: str) -> None:
    for node in every(read_json(text)[0]):
        written = text[node.start_mark.index : node.end_mark.index]
        assert json.loads(written) == plain(node)
        assert written == written.strip(" \t\r\n")


@settings(max_examples=500, deadline=None)
@given(st.text(st.sampled_from('{}[],:"\\/u0019.-+eE tfalsn\n\té'), max_size=20) | files())
def test_what_pythons_own_reader_refuses_is_refused_and_nothing_else(text: str) -> None:
    try:
        wanted = json.loads(text)
    except ValueError:
        wanted = Unreadable
    try:
        found = plain(read_json(text)[0])
    except Unreadable:
        found = Unreadable
    assert found == wanted


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "expected a value (line 1)"),
        ('{"a": 1,\n\n}', "expected a key in double quotes (line 3)"),
        ("[1,\n]", "expected a value (line 2)"),
        ("[1\n 2]", "expected ',' or ']' (line 2)"),
        ('{"a": 1]', "expected ',' or '}' (line 1)"),
        ('{"a" 1}', "expected ':' (line 1)"),
        ("{'a': 1}", "expected a key in double quotes (line 1)"),
        ('{\n  // why\n  "a": 1}', "expected a key in double quotes, not a comment (line 2)"),
        ("1 /* why */", "expected nothing more, not a comment (line 1)"),
        ("1 2", "expected nothing more (line 1)"),
        ('"a\nb"', "expected a string that ends"),
        ('"\\x"', "expected a string that ends"),
        ('"a', "expected a string that ends"),
        ('"\x1f"', "expected a string that ends"),
        ("NaN", "expected a value (line 1)"),
        ("[-Infinity]", "expected a value (line 1)"),
        ("01", "expected nothing more (line 1)"),
        ("\ufeff1", "expected a value (line 1)"),
        ("{{ x }}", "expected a key in double quotes (line 1)"),
        ("[" * (MAX_DEPTH + 1), "is nested deeper than 200 levels"),
        ('{"a":' * 100_000, "is nested deeper than 200 levels"),
    ],
)  # fmt: skip
def test_what_is_no_json_is_refused_with_the_line(text: str, reason: str) -> None:
    with pytest.raises(Unreadable) as error:
        read_json(text)
    assert reason in str(error.value)


def test_as_deep_as_is_allowed_is_read() -> None:
    assert plain(read_json("[" * MAX_DEPTH + "]" * MAX_DEPTH)[0]) is not None


def test_half_a_surrogate_pair_reads_as_something_that_can_be_printed() -> None:
    assert plain(read_json('"\\ud83d\\ude00 \\ud83d \\ude00"')[0]) == "😀 \ufffd \ufffd"


def test_a_key_that_stands_twice_does_so_in_the_tree() -> None:
    (node,) = read_json('{"a": 1, "a": 2}')
    assert [(key.value, value.value) for key, value in node.value] == [("a", "1"), ("a", "2")]


def test_a_large_file_takes_hardly_longer_than_as_yaml() -> None:
    rows = [{"id": n, "name": f"org/image:{n}", "tags": ["a", {"x": None, "é\n": 1.5}]} for n in range(15_000)]
    seconds = []
    for file in ("f.json", "f.yaml"):
        start = time.process_time()
        assert find_pins(json.dumps(rows).encode(), file) == []
        seconds.append(time.process_time() - start)
    assert seconds[0] < 10 * seconds[1]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"image": "r/i:T"}', '{"image": "r/i:123"}'),
        ('{"image": {"name": "r/i", "tag": "T"}}', '{"image": {"name": "r/i", "tag": "123"}}'),
        ('{"image": {"name": "r/i", "tag": 12}}', '{"image": {"name": "r/i", "tag": "123"}}'),
        ('{"image": {"name": "r/i", "tag": true}}', '{"image": {"name": "r/i", "tag": "123"}}'),
        ('{"image": {"tag": "", "name": "r/i"}}', '{"image": {"tag": "123", "name": "r/i"}}'),
        ('{"a": "T", "x\\u0041\\/": 1e5,\t"image": "r/i:T"}', '{"a": "T", "x\\u0041\\/": 1e5,\t"image": "r/i:123"}'),
        ('\ufeff{"image":\r\n"r/i:T"}\r\n', '\ufeff{"image":\r\n"r/i:123"}\r\n'),
        ('[{"image": "r/i:T"}, {"image": "r/i:T"}]', '[{"image": "r/i:123"}, {"image": "r/i:123"}]'),
        ('{"image": "r/i:T", "image": "r/i:T"}', '{"image": "r/i:123", "image": "r/i:123"}'),
    ],
)
def test_a_tag_in_json_moves_and_is_a_text_afterwards(before: str, after: str) -> None:
    data = before.encode()
    assert move_pins(data, find_pins(data, "a/f.json"), "123") == after.encode()


def test_a_number_gets_quotes_whatever_comes_after_it() -> None:
    data = b'{"image": {"name": "r/i", "tag": 12}}'
    assert move_pins(data, find_pins(data, "f.json"), "abc") == b'{"image": {"name": "r/i", "tag": "abc"}}'


def test_a_number_that_gets_a_digest_gets_quotes_too() -> None:
    data, digest = b'{"image": {"name": "r/i", "tag": 12}}', "sha256:" + "0" * 64
    after = move_pins(data, find_pins(data, "f.json"), "abc", digest, pin_digest=True)
    assert after == data.replace(b"12", f'"abc@{digest}"'.encode())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"image": "r\\/i:T"}', "escapes"),
        ('{"image": {"name": "r/i", "tag": "\\u0054"}}', "escapes"),
        ('{"image": {"name": "r/i", "tag": null}}', "has no tag"),
        ('{"image": {"name": "r/i", "tag": "T", "tag": "U"}}', "stands twice"),
    ],
)
def test_what_can_not_be_edited_in_json_is_listed_with_the_reason(text: str, why: str) -> None:
    (pin,) = find_pins(text.encode(), "f.json")
    assert not pin.editable
    assert why in str(pin.why)


def test_an_encrypted_json_file_is_skipped() -> None:
    with pytest.raises(Unreadable, match="SOPS"):
        find_pins(b'{"image": "ENC[AES256_GCM]", "sops": {"mac": "x"}}', "f.json")


PINS = st.sampled_from(
    [
        {"image": "r/i:T"},
        {"image": {"tag": "T", "name": "r/i"}},
        {"images": ["r/i:T", "r/j:T"]},
        {"x": [{"image": "r/i:T"}]},
    ]
)
TAGS = st.from_regex(r"\A[A-Za-z0-9_][A-Za-z0-9._-]{0,14}\Z")


@settings(max_examples=200, deadline=None)
@given(st.lists(VALUES | PINS, max_size=6), PINS, st.sampled_from([None, 2, "\t"]), st.booleans(), TAGS)
def test_for_any_json_only_the_tags_differ_and_back_again_restores_every_byte(
    values: list[object], pin: object, indent: int | str | None, ascii_only: bool, tag: str
) -> None:
    data = json.dumps([*values, pin], indent=indent, ensure_ascii=ascii_only).encode()
    pins = of_image(find_pins(data, "f.json"), ImageReference.parse("r/i"))
    after = move_pins(data, pins, tag)
    assert after.count(b"r/i:" + tag.encode() + b'"') + after.count(b'"tag": "' + tag.encode() + b'"') == len(pins)
    wanted = json.dumps([*(_moved(value, tag) for value in values), _moved(pin, tag)])
    assert json.loads(after) == json.loads(wanted)
    there = of_image(find_pins(after, "f.json"), ImageReference.parse("r/i"))
    assert move_pins(after, there, "T") == data


def _moved(value: object, tag: str) -> object:
    """What PINS holds, at TAG; everything else as it is."""
    text = json.dumps(value)
    return json.loads(text.replace("r/i:T", f"r/i:{tag}").replace('"tag": "T"', f'"tag": "{tag}"'))
