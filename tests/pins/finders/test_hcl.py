"""Pins in Terraform's files and Coder's templates."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubtool.errors import HubtoolError
from hubtool.pins import Pin, Unreadable
from hubtool.pins.edit import move_pins
from hubtool.pins.finders.find import find_pins
from hubtool.pins.finders.shapes import NO_TAGS
from hubtool.pins.prove import Edit, prove
from tests.pins.test_edit import NEW, VARIATIONS, Case, chosen, move, read_cases


def pins_in(text: str, file: str = "templates/coder/main.tf") -> list[Pin]:
    return find_pins(text.encode(), file)


@pytest.mark.parametrize("case", read_cases("hcl.txt"), ids=str)
@pytest.mark.parametrize("variation", VARIATIONS)
@pytest.mark.parametrize("file", ["main.tf", "a/hub.tfvars"])
def test_exactly_the_tags_bytes_change(case: Case, variation: str, file: str) -> None:
    before, after = (VARIATIONS[variation](text).encode() for text in (case.before, case.rest))
    assert move(case, before, file) == after
    assert chosen(case, after, file) == ()


@pytest.mark.parametrize(
    ("text", "image", "tag", "path", "form"),
    [
        ('image = "r/i:T"', "r/i", "T", "image", "inline"),
        ('image = "busybox:1"', "busybox", "1", "image", "inline"),
        ('docker_image = "i:T"', "i", "T", "docker_image", "inline"),
        ('image_id = "i:T"', "i", "T", "image_id", "inline"),
        ('x = "r/i:T"', "r/i", "T", "x", "inline"),
        ('x = ["ghcr.io/r/i:T"]', "ghcr.io/r/i", "T", "x[0]", "inline"),
        ('x { y = "localhost:5000/i:T" }', "localhost:5000/i", "T", "x.y", "inline"),
        ('a "b" {\n c {\n }\n c {\n  d = "r/i:T"\n }\n}', "r/i", "T", "a.b.c[1].d", "inline"),
        ('variable "image" { default = "i:T" }', "i", "T", "variable.image.default", "inline"),
        ('data "p" "image" {\n option {\n  value = "i:T"\n }\n}', "i", "T", "data.p.image.option.value", "inline"),
        ('option {\n name = "Help"\n value = "r/i:T"\n}', "r/i", "T", "option.value", "inline"),
        ('resource "docker_image" "m" { name = "i:T" }', "i", "T", "resource.docker_image.m.name", "inline"),
        ('set {\n name = "hub.image"\n value = "i:T"\n}', "i", "T", "set.value", "inline"),
        ('env {\n name = "MY_IMAGE"\n value = "i:T"\n}', "i", "T", "env.value", "inline"),
        ('set {\n name = "image.tag"\n value = "T"\n}\nset {\n name = "image.name"\n value = "i"\n}', "i", "T",
         "set[0].value", "split"),
        ('image_name = "i"\nimage_tag = "T"\nimage_registry = "q.io"', "q.io/i", "T", "image_tag", "split"),
        ('image { \n name = "i"\n tag = "T"\n}', "i", "T", "image.tag", "split"),
        ('variable "i_name" { default = "q.io/i" }\nvariable "i_tag" { default = "T" }', "q.io/i", "T",
         "variable.i_tag.default", "split"),
    ],
)  # fmt: skip
def test_a_shape_of_a_pin_is_found(text: str, image: str, tag: str, path: str, form: str) -> None:
    (pin,) = pins_in(text)
    assert (pin.image, pin.tag, pin.path, pin.form, pin.editable) == (image, tag, path, form, True)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('image = "r/i"', "has no tag"),
        ('image = "${var.registry}/i:T"', "is a template's placeholder, not an image"),
        ('image = "%{ if x }r/i:T%{ endif }"', "is a template's placeholder, not an image"),
        ('image = "r/\\u0069:T"', "is written with escapes or over several lines"),
        ('image = "r/i@sha256:' + "a" * 64 + '"', "is pinned by digest alone"),
        ('description = "r/i:T"', "is prose"),
        ('option {\n name = "r/i:T"\n}', "is prose"),
        ('image_name = "r/i"\nimage_tag = var.tag', "is a template's placeholder, not a tag"),
        ('image_name = var.name\nimage_tag = "T"', "its image is a template's placeholder"),
        ('image_registry = var.r\nimage_name = "i"\nimage_tag = "T"', "its image is a template's placeholder"),
        ('set {\n name = "image.tag"\n value = "T"\n}', "no image is named beside it"),
        ('image_name = "r/i"\nimage_tag = "T"\nimage_tag = "U"', "a key beside it stands twice: image_tag"),
    ],
)
def test_a_pin_that_is_left_alone_says_why(text: str, why: str) -> None:
    assert [(pin.editable, pin.why) for pin in pins_in(text)] == [(False, why)]


@pytest.mark.parametrize(
    "text",
    [
        'source = "registry.coder.com/modules/x/coder"\nversion = "1.0"',
        'docker = {\n source = "kreuzwerker/docker"\n version = "3.0.2"\n}',
        "image = var.image",
        "image_name = var.name\nimage_tag = var.tag",
        'image = format("%s", var.x)',
        'x = join("/", ["host", "i:T"])',
        'image = join("/", ["host", "i:T"])',
        'boot_disk {\n initialize_params {\n  image = "debian-cloud/debian-12"\n }\n}',
        'data "coder_workspace_preset" "x" {\n parameters = {\n  image = "desktop"\n }\n}',
        'data "coder_parameter" "image" { default = "python" }',
        'data "coder_parameter" "image" { default = "images:ubuntu/24.04/cloud" }',
        'sub = "repo:org/name:ref:refs/heads/main"',
        'sub = "repo:org/name:environment:prod"',
        'arn = "arn:aws:iam::123456789012:role/x"',
        'url = "https://example.org/image:1"',
        'host = "tcp://example.org:2375"',
        'volumes = ["data/x:ro"]',
        'key = "dedicated/x:NoSchedule"',
        'triggers = { image = sha1("x"), y = "sha256:abc" }',
        'image_tag_mutability = "MUTABLE"\nimage_name = var.x',
        'labels { \n label = "i:T"\n}',
        '# image = "r/i:T"\n',
        'tags = ["cluster:x"]',
        'image_digest = "sha256:' + "a" * 64 + '"',
    ],
)
def test_what_is_no_pin_is_not_invented(text: str) -> None:
    assert pins_in(text) == []


def test_a_number_that_gets_a_digest_becomes_a_text() -> None:
    data = b'image_name = "r/i"\nimage_tag = 1\n'
    after = move_pins(data, find_pins(data, "main.tf"), "U", NEW, pin_digest=True)
    assert after == data.replace(b"1", f'"U@{NEW}"'.encode())


def test_a_heredoc_is_never_moved() -> None:
    assert [pin for pin in pins_in("image = <<EOT\nr/i:T\nEOT\n") if pin.editable] == []


def test_a_file_that_is_no_hcl_is_skipped_with_the_line() -> None:
    with pytest.raises(Unreadable, match=r"is not HCL: did not expect = \(line 2\)"):
        pins_in('image = "r/i:T"\nx = = 1\n')


def test_a_template_that_is_not_hcl_is_read_all_the_same() -> None:
    text = """{% if provider == "aws" %}
zones = {{ zones | jsonify }}
image = "r/i:T"
{% else %}
image = "r/i:T" # {{ zones }}
{{ name }}_image = "r/{{ name }}:T"
{%- endif %}
"""
    data = text.encode()
    pins = [pin for pin in find_pins(data, "main.tf.j2") if pin.editable]
    assert move_pins(data, pins, "U") == text.replace("r/i:T", "r/i:U").encode()
    assert pins_in(text) == find_pins(data, "templates/coder/main.tf")


def test_a_template_that_is_no_hcl_even_so_is_skipped() -> None:
    with pytest.raises(Unreadable, match=r"is not HCL: did not expect = \(line 2\)"):
        pins_in('image = "{{ x }}"\nx = = 1 {{ y }}\n')


def test_braces_of_a_go_template_do_not_make_terraform_a_helm_template() -> None:
    assert len(pins_in('image = "r/i:T"\nx = "docker ps --format {{.ID}}"\n')) == 1


@pytest.mark.parametrize("value", ['"', 'T" # "', "\\", '${"', "T\\u0041"])
def test_an_edit_that_ends_the_text_or_reads_otherwise_is_refused(value: str) -> None:
    before = b'image = "r/i:T"\nother = "x"\n'
    (pin,) = find_pins(before, "main.tf")
    assert pin.tag_span is not None
    with pytest.raises(HubtoolError, match="not written"):
        prove(before, before.replace(b"T", value.encode()), [Edit(pin.tag_span, value)], "main.tf")


def test_the_string_must_stay_the_only_one_that_changes() -> None:
    before, after = b'image = "r/i:T"\nother = "x"\n', b'image = "r/i:U"\nother = "y"\n'
    (pin,) = find_pins(before, "main.tf")
    assert pin.tag_span is not None
    with pytest.raises(HubtoolError, match="other bytes than the tag's would change"):
        prove(before, after, [Edit(pin.tag_span, "U")], "main.tf")


# "data/x:ro" is a mount.
TAGS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,9}", fullmatch=True).filter(lambda tag: tag not in NO_TAGS)


def _object(values: list[str]) -> str:
    return "{ " + ", ".join(f"k{n} = {one}" for n, one in enumerate(values)) + " }"


EXPRESSIONS = st.recursive(
    st.sampled_from(['"r/i:T"', '"r/j:T"', '"x"', "var.x", "1", '"${var.r}/i:T"', '"\\u0072/i:T"']),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.lists(inner, max_size=3).map(_object),
        inner.map(lambda one: f"coalesce(var.y, {one})"),
        inner.map(lambda one: f'"${{{one}}}"'),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]} == 1 ? {pair[0]} : {pair[1]})"),
    ),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(st.lists(EXPRESSIONS, min_size=1, max_size=4), TAGS)
def test_of_any_expression_only_the_tags_change_and_all_of_them(expressions: list[str], tag: str) -> None:
    text = "".join(f'b "l{n}" {{\n  a = {one} # "r/i:T"\n}}\n' for n, one in enumerate(expressions))
    before = text.encode()
    pins = [pin for pin in find_pins(before, "main.tf") if pin.image == "r/i" and pin.editable]
    after = move_pins(before, pins, tag)
    code = text.replace('# "r/i:T"', "#")
    assert after.decode().replace('# "r/i:T"', "#") == code.replace('"r/i:T"', f'"r/i:{tag}"')
    again = [pin for pin in find_pins(after, "main.tf") if pin.image == "r/i" and pin.editable]
    assert move_pins(after, again, "T") == before


PIECES = st.sampled_from(
    ["image", "image_tag", "name", " = ", "\n", '"r/i:T"', '"r/i"', '"T"', "{", "}", "[", "]", "(", ")", ", ", '"',
     "${", "# ", "/*", "*/", "set", " { ", "\n}\n", "variable", "default", "?", ":", "<<E\n", "\nE\n", "\r\n", "1.0"]
)  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(st.lists(PIECES, max_size=25).map("".join))
def test_whatever_is_found_is_moved_exactly(text: str) -> None:
    data = text.encode()
    try:
        pins = [pin for pin in find_pins(data, "main.tf") if pin.editable]
    except Unreadable:
        return
    for pin in pins:
        span = pin.tag_span
        assert span is not None
        after = move_pins(data, [pin], "NEW").decode()
        written = '"NEW"' if span.plain else "NEW"
        assert after == text[: span.start] + written + text[span.end :]
