"""HCL as nodes: blocks by type and labels, what of an expression can hold a reference, and positions that hold."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hubtool.pins import Unreadable
from hubtool.pins.finders.find import find_pins
from hubtool.pins.formats.hcl_nodes import EXPRESSION, MAX_DEPTH, read_hcl
from hubtool.pins.formats.text import MAX_BYTES


def plain(node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return {key.value: plain(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [plain(item) for item in node.value]
    read: dict[str, Callable[[str], Any]] = {"float": float, "bool": "true".__eq__, "null": lambda _: None}
    return read.get(str(node.tag).rpartition(":")[2], str)(node.value)


def tree(text: str) -> Any:
    (body,) = read_hcl(text)
    return plain(body)


def value(expression: str) -> Any:
    return tree(f"a = {expression}\n")["a"]


def scalars(node: yaml.Node) -> Iterator[yaml.ScalarNode]:
    if isinstance(node, yaml.ScalarNode):
        yield node
    else:
        for item in node.value:
            for one in item if isinstance(item, tuple) else (item,):
                yield from scalars(one)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ('a = "x"', {"a": "x"}),
        ("b {}\n", {"b": {}}),
        ('b "l" {\n  a = 1\n}\n', {"b": {"l": {"a": 1}}}),
        ('b l "m" { a = 1 }', {"b": {"l": {"m": {"a": 1}}}}),
        ('b "l" {}\nb "m" {}\nb "n" "o" {}\n', {"b": {"l": {}, "m": {}, "n": {"o": {}}}}),
        ("b {\n a = 1\n}\nc = 2\nb {\n a = 3\n}\nb {}\n", {"b": [{"a": 1}, {"a": 3}, {}], "c": 2}),
        ("a {\n b {\n  c {\n  }\n }\n}", {"a": {"b": {"c": {}}}}),
        ('# c\n// c "\n/* c\n" { */ a = 1 # "\nb = 2 // {\n', {"a": 1, "b": 2}),
        ("a = /* c */ 1 /* c */\n", {"a": 1}),
        ("a-b_c = true\né = null\n", {"a-b_c": True, "é": None}),
        ('\r\n\ta = "x"\r\n\r\nb {\r\n}\r\n', {"a": "x", "b": {}}),
        (
            'dynamic "option" {\n for_each = []\n content {}\n}',
            {"dynamic": {"option": {"for_each": [], "content": {}}}},
        ),
    ],
)
def test_a_body_is_read(text: str, expected: object) -> None:
    assert tree(text) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('"a\\"b\\n\\t\\\\ \\u00e9\\U0001F600"', 'a"b\n\t\\ é😀'),
        ('"$${x} %%{y} $ % $$ 5% $"', "${x} %{y} $ % $$ 5% $"),
        ('"\\ud800"', "\\ud800"),
        ('"# // /* {"', "# // /* {"),
        ("12.5e-3", 0.0125),
        ("[]", []),
        ('["a", 1, [true], {},]', ["a", 1.0, [True], {}]),
        ('[\n  "a", # c\n  "b"\n]', ["a", "b"]),
        ('{ a = 1, "b c" : "d" }', {"a": 1.0, "b c": "d"}),
        ("{\n  a = 1\n  b = 2, c = 3,\n}", {"a": 1.0, "b": 2.0, "c": 3.0}),
        ('{ (var.x) = "y" }', {"(var.x)": "y"}),
        ('("x")', "x"),
        ('(\n  ["x"]\n)', ["x"]),
        ('<<EOT\n a "b" {\nEOT\n', ' a "b" {\n'),
        ("<<-EOT\r\n  a ${x}\r\n  EOT\r\n", "  a ${x}\r\n"),
        ("[<<A\nx\nA\n, <<B\ny\nB\n]", ["x\n", "y\n"]),
    ],
)
def test_a_value_is_read(expression: str, expected: object) -> None:
    assert value(expression) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("var.x[0].y", "${var.x[0].y}"),
        ("-1", "${-1}"),
        ("()", "${()}"),
        ("a.b[*].c", "${a.b[*].c}"),
        ('x ? "a" : "b"', '${x ? "a" : "b"}'),
        ('coalesce(var.x, "o/i:t")', ["o/i:t"]),
        ('x == "a" ? "o/i:t" : "o/i:u"', ["o/i:t", "o/i:u"]),
        ('provider::p::f("o/i:t")', ["o/i:t"]),
        ('local.m["o/i:t"].x', ["o/i:t"]),
        ('merge(local.a, { image = "o/i:t" })', {"image": "o/i:t"}),
        ('yamlencode({ a = { image = "i" } })', {"a": {"image": "i"}}),
        ('f({ a = "b" }, ["c"])', [{"a": "b"}, ["c"]]),
        ('[for x in var.l : "o/i:${x}" if x != "a"]', [["o/i:${x}"]]),
        ('{ for k, v in m : k => { image = "o/i:t" }... }', {"image": "o/i:t"}),
        ('join("/", ["host", var.p, "img:1", "o/i:t"])', ["o/i:t"]),
        ('format("%s:%s", "a", "b:c")', '${format("%s:%s", "a", "b:c")}'),
        ('"${x}"', "${x}"),
        ('"o/${x}:t"', "o/${x}:t"),
        ('"${coalesce(var.x, "o/i:t")}"', ["o/i:t"]),
        ('"${~ coalesce(var.x, "o/i:t") ~}"', ["o/i:t"]),
        ('"x-${coalesce(var.x, "o/i:t")}"', 'x-${coalesce(var.x, "o/i:t")}'),
        ('"${f("o/i:t")}-x"', '${f("o/i:t")}-x'),
        ('"${f("o/i:t")}${x}"', '${f("o/i:t")}${x}'),
        ('"${a["}"]}${b["\\""]}"', '${a["}"]}${b["\\""]}'),
        ('"%{ if x ~}o/i:t%{ else }o/i:u%{ endif }"', "%{ if x ~}o/i:t%{ else }o/i:u%{ endif }"),
        ('"${"${"o/i:t"}"}"', "o/i:t"),
    ],
)
def test_of_an_expression_only_what_may_hold_a_reference_is_kept(expression: str, expected: object) -> None:
    assert value(expression) == expected


def test_an_expression_is_no_text() -> None:
    (body,) = read_hcl("a = var.x\n")
    assert body.value[0][1].tag == EXPRESSION


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a = 1\nb = = 2\n", "did not expect = (line 2)"),
        ("\n\na: 1\n", "did not expect : (line 3)"),
        ("a {\n", "did not expect the end (line 2)"),
        ("a = [1, 2\n", "did not expect the end (line 2)"),
        ("a = {\n", "did not expect the end (line 2)"),
        ("a = f(1", "did not expect the end (line 1)"),
        ("}\n", "did not expect } (line 1)"),
        ("a = 1 }\n", "did not expect } (line 1)"),
        ("a = 1]\n", "did not expect ] (line 1)"),
        ("a =\n", "did not expect the end of the line (line 1)"),
        ("a = [,]\n", "did not expect , (line 1)"),
        ("a = { b }\n", "did not expect } (line 1)"),
        ('a { b = "x" c = "y" }\n', "did not expect = (line 1)"),
        ('a = "x\n', "a text does not end (line 1)"),
        ('a = "${x"\n', "a text does not end (line 1)"),
        ("a = <<EOT\nx\n", "nothing ends <<EOT (line 1)"),
        ("a = 1 /* x\n", "did not expect / (line 1)"),
        ("a = 'x'\n", "did not expect ' (line 1)"),
        ("<html>\n", "did not expect < (line 1)"),
        ("{{ x }}\n", "did not expect { (line 1)"),
        ('"a" = 1\n', 'did not expect "a" (line 1)'),
    ],
)
def test_what_is_no_hcl_is_refused_with_the_line(text: str, why: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read_hcl(text)
    assert str(caught.value) == f"is not HCL: {why}"


def test_every_text_stands_where_its_node_says() -> None:
    text = 'a "b" {\n  c = "d" # "d"\n  e = [f("g:h", "${i("j:k")}"), { "l" = "m" }]\n}\nn = "o-${p}"\n'
    (body,) = read_hcl(text)
    found = [one for one in scalars(body) if one.style == '"']
    assert [text[one.start_mark.index : one.end_mark.index] for one in found] == [f'"{one.value}"' for one in found]
    assert [one.value for one in found] == ["b", "d", "g:h", "j:k", "l", "m", "o-${p}"]


NAMES = st.from_regex(r"[a-z_][a-z0-9_-]{0,6}", fullmatch=True).filter(lambda name: name != "for")
# json.dumps writes what it escapes as HCL does, but for surrogate pairs and the start of a template.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], max_codepoint=0xFFFF), max_size=8).filter(
    lambda text: not any(sign in text for sign in "${%\b\f")
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 99).map(float) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=15,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(NAMES, VALUES, max_size=4), NAMES, TEXTS, st.sampled_from(["\n", "\r\n"]))
def test_the_tree_is_what_was_written(attributes: dict[str, Any], block: str, label: str, newline: str) -> None:
    lines = [f"  {name} = {json.dumps(one)} # {{" for name, one in attributes.items()]
    text = newline.join([f"{block} {json.dumps(label)} {{", *lines, "}", ""])
    assert tree(text) == {block: {label: attributes}}


@settings(max_examples=400, deadline=None)
@given(st.text(max_size=60))
def test_no_text_crashes_the_reader(text: str) -> None:
    for one in (text, f"a = {text}", f'a = "{text}', f"a = [{text}"):
        with contextlib.suppress(Unreadable):
            read_hcl(one)


PIECES = st.sampled_from(
    ["a", "=", " ", "\n", '"', "x/y:z", '"x/y:z"', "${", "%{", "}", "{", "[", "]", "(", ")", ",", ":", "?", "for", "in",
     "=>", "...", "<<E\n", "\nE\n", "/*", "*/", "#", "//", "~", "\\", "$", ".", "1", "-", "*", "\r\n", "\ufeff", "é"]
)  # fmt: skip


@settings(max_examples=600, deadline=None)
@given(st.lists(PIECES, max_size=30).map("".join))
def test_whatever_is_read_stands_where_its_node_says(text: str) -> None:
    try:
        (body,) = read_hcl(text)
    except Unreadable:
        return
    for node in scalars(body):
        start, end = node.start_mark.index, node.end_mark.index
        assert 0 <= start < end <= len(text)
        if node.style == '"':
            assert (text[start], text[end - 1]) == ('"', '"')


@pytest.mark.parametrize("opening", ["a {\n", "a = [", "a = {b = ", "a = (", 'a = "${', "a = f(", "a = b["])
def test_deep_nesting_is_refused(opening: str) -> None:
    first, rest = opening, opening if opening.startswith("a {") else opening.removeprefix("a = ")
    with pytest.raises(Unreadable, match="is nested deeper than 100 levels"):
        read_hcl(first + rest * 100_000)


@pytest.mark.parametrize(("opening", "closing"), [("{ b = ", "}"), ("[", "]"), ("(", ")"), ('"${', '}"'), ("f(", ")")])
def test_nesting_up_to_the_bound_is_read(opening: str, closing: str) -> None:
    levels = MAX_DEPTH - 1
    read_hcl(f'a = {opening * levels}"o/i:t"{closing * levels}\n')


@pytest.mark.parametrize("piece", ["a {\n}\n", 'a "b" "c" {\n}\n', "a = [[{ b = (c) }]]\n", 'a = "${f("${b}")}"\n'])
def test_what_stands_side_by_side_is_not_deep(piece: str) -> None:
    read_hcl(piece * MAX_DEPTH)


@pytest.mark.parametrize(
    "piece",
    [
        'resource "docker_image" "main_{n}" {\n  name = "org/img:tag"\n  keep = f("a", var.x[0])\n}\n',
        "x ",
        "/*",
        'a="',
        "a=<<x\n",
        'a="${x}',
        "# image ",
        "a = 1\n",
        'a = "' + "$" * 1000 + '"\n',
    ],
)
def test_a_large_file_takes_seconds_at_most(piece: str) -> None:
    """A tenth of the most that is read, in a tenth of the time."""
    data = ("# image\n" + piece * (MAX_BYTES // 10 // len(piece))).encode()
    started = time.process_time()
    with contextlib.suppress(Unreadable):
        find_pins(data, "main.tf")
    assert time.process_time() - started < 10
