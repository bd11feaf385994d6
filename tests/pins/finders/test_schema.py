"""JSON Schema of Helm values: a pin stands where a value does, with the meaning of the key that it is for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hubtool.errors import HubtoolError
from hubtool.pins import Pin
from hubtool.pins.charts import with_versions
from hubtool.pins.choose import choose
from hubtool.pins.edit import move_pins
from hubtool.pins.finders.find import find_pins
from hubtool.pins.finders.schema import values_path
from hubtool.pins.inherit import inherit
from hubtool.pins.scan import move, scan
from hubtool.reference import ImageReference
from tests.pins.corpus import CORPUS, needs_corpus

FILE = "charts/c/values.schema.json"


def schema(values: object) -> bytes:
    """VALUES, names of properties and what is said of each, as a schema in a file."""
    return json.dumps({"type": "object", "properties": values}, indent=2).encode()


def found(values: object, file: str = FILE) -> list[tuple[str, str, str, str]]:
    return [_shown(pin) for pin in find_pins(schema(values), file)]


def _shown(pin: Pin) -> tuple[str, str, str, str]:
    return pin.path.replace("properties.", "/"), f"{pin.image}:{pin.tag}", pin.form, pin.why or ""


@pytest.mark.parametrize(
    ("values", "pins"),
    [
        ({"image": {"default": "r/i:T"}}, [("/image.default", "r/i:T", "inline", "")]),
        ({"image": {"default": "ubuntu:22.04"}}, [("/image.default", "ubuntu:22.04", "inline", "")]),
        ({"image": {"const": "r/i:T"}}, [("/image.const", "r/i:T", "inline", "")]),
        ({"image": {"default": "r/i"}}, [("/image.default", "r/i:", "inline", "has no tag")]),
        (
            {"image": {"properties": {"version": {"listEnum": ["r/i:T", "r/i:U"]}}}},
            [
                ("/image./version.listEnum[0]", "r/i:T", "inline", ""),
                ("/image./version.listEnum[1]", "r/i:U", "inline", ""),
            ],
        ),
        ({"image": {"enum": ["r/i:T", "IfNotPresent"]}}, [("/image.enum[0]", "r/i:T", "inline", "")]),
        ({"image": {"examples": ["busybox:1.36"]}}, [("/image.examples[0]", "busybox:1.36", "inline", "")]),
        ({"image": {"description": "like r/i:T"}}, []),
        ({"image": {"description": "r/i:T", "title": "T"}}, [("/image.description", "r/i:T", "prose", "is prose")]),
        ({"title": {"default": "r/i:T"}}, [("/title.default", "r/i:T", "prose", "is prose")]),
        ({"pullPolicy": {"default": "Always", "enum": ["Always"]}}, []),
        ({"image": {"pattern": "^r/i:T$", "type": "string", "hidden": {"path": "image/custom/enabled"}}}, []),
        ({"images": {"items": {"default": "r/i:T"}}}, [("/images.items.default", "r/i:T", "inline", "")]),
        ({"image": {"anyOf": [{"const": "a:T"}]}}, [("/image.anyOf[0].const", "a:T", "inline", "")]),
        ({"image": {"default": {"repository": "r/i", "tag": "T"}}}, [("/image.default.tag", "r/i:T", "split", "")]),
        ({"containers": {"default": [{"image": "r/i:T"}]}}, [("/containers.default[0].image", "r/i:T", "inline", "")]),
        ({"a": {"$ref": "r/i:T"}, "b": {"default": "r/i:T"}}, []),
    ],
)
def test_whole_references_stand_where_values_do(values: object, pins: list[tuple[str, str, str, str]]) -> None:
    assert found(values) == pins


IMAGE = {"title": "Image", "properties": {"repository": {"default": "r/i"}, "tag": {"type": "string", "default": "T"}}}


@pytest.mark.parametrize(
    ("image", "pins"),
    [
        (IMAGE["properties"], [("tag.default", "r/i:T", "split", "")]),
        (
            {"tag": {"default": "T"}, "registry": {"default": "quay.io"}, "repository": {"const": "r/i"}},
            [("tag.default", "quay.io/r/i:T", "split", "")],
        ),
        (
            {"name": {"default": "r/i"}, "tag": {"default": "T", "listEnum": ["T", "S"], "enum": ["T"]}},
            [
                ("tag.default", "r/i:T", "split", ""),
                ("tag.enum[0]", "r/i:T", "split", ""),
                ("tag.listEnum[0]", "r/i:T", "split", ""),
                ("tag.listEnum[1]", "r/i:S", "split", ""),
            ],
        ),
        ({"image": {"default": "r/i"}, "tag": {"default": "T"}}, [("tag.default", "r/i:T", "split", "")]),
        ({"repository": {"default": "r/i"}, "tag": {"default": ""}}, [("tag.default", "r/i:", "split", "")]),
        ({"repository": {"default": "r/i"}, "tag": {"default": 1.2}}, [("tag.default", "r/i:1.2", "split", "")]),
        (
            {"repository": {"default": "r/i"}, "tag": {"default": None}},
            [("tag.default", "r/i:", "split", "has no tag")],
        ),
        ({"repository": {"type": "string"}, "tag": {"type": "string"}}, []),
        ({"repository": {"enum": ["r/i", "r/j"]}, "tag": {"enum": ["T"]}}, []),
    ],
)
def test_name_and_tag_may_be_two_properties(image: object, pins: list[tuple[str, str, str, str]]) -> None:
    assert sorted(found({"image": {"properties": image}})) == [(f"/image./{path}", *rest) for path, *rest in pins]


def test_a_default_that_stands_twice_is_refused() -> None:
    text = '{"type": "object", "properties": {"image": {"properties": {"name": {"default": "r/i"}, "tag": %s}}}}'
    for tag in ('{"default": "T", "default": "U"}', '{"default": "T"}, "tag": {"default": "U"}'):
        pins = find_pins((text % tag).encode(), FILE)
        assert [(pin.editable, pin.why) for pin in pins] == [(False, "a key beside it stands twice: tag")]


def test_a_digest_moves_with_the_default_alone() -> None:
    old, new = "sha256:" + "0" * 64, "sha256:" + "f" * 64
    values = {"name": {"default": "r/i"}, "tag": {"default": "T", "enum": ["S"]}, "digest": {"default": old}}
    data = schema({"image": {"properties": values}})
    pins = find_pins(data, FILE)
    assert [(pin.tag, pin.digest) for pin in pins] == [("T", old), ("S", None)]
    assert move_pins(data, pins[:1], "U", new) == data.replace(b'"T"', b'"U"').replace(old.encode(), new.encode())


@pytest.mark.parametrize(
    ("text", "is_schema"),
    [
        ('{"$schema": "http://json-schema.org/draft-07/schema", "properties": {"image": {"default": "a:T"}}}', True),
        ('{"$schema": "https://example.org/x.json", "properties": {"image": {"default": "a:T"}}}', False),
        ('{"type": "object", "properties": {"image": {"default": "a:T"}}}', True),
        ('{"type": "array", "properties": {"image": {"default": "a:T"}}}', False),
        ('{"properties": {"image": {"default": "a:T"}}}', False),
    ],
)
def test_a_schema_is_known_by_what_it_says_it_is(text: str, is_schema: bool) -> None:
    assert bool(find_pins(text.encode(), "ide/customImage.json")) is is_schema
    assert find_pins(text.encode(), "charts/c/values.schema.json")


def test_a_schema_in_yaml_is_one_too() -> None:
    data = b"properties:\n  image:\n    properties:\n      name: {default: r/i}\n      tag:\n        default: T # c\n"
    pins = find_pins(data, "values.schema.yaml")
    assert [(pin.path, pin.line) for pin in pins] == [("properties.image.properties.tag.default", 6)]
    assert move_pins(data, pins, "123") == data.replace(b"T #", b'"123" #')


def test_the_default_and_the_lists_item_at_its_tag_move_and_the_others_stay() -> None:
    version = {"default": "r/i:T", "listEnum": ["r/i:T", "r/i:S", "r/i-gpu:T"]}
    tag = {"default": "T", "enum": ["T", "S"]}
    data = schema({"image": {"properties": {"version": version}}, "pull": {"properties": {"image": {"properties": {
        "repository": {"default": "r/i"}, "tag": tag}}}}})  # fmt: skip
    pins = find_pins(data, FILE)
    with pytest.raises(HubtoolError, match="stand at 2 tags"):
        choose(pins, ImageReference.parse("r/i"), "U")
    choice = choose(pins, ImageReference.parse("r/i"), "U", from_tag="T")
    assert len(choice.moving) == 4
    after = data.replace(b'r/i:T"', b'r/i:U"').replace(b'"T"', b'"U"')
    assert move_pins(data, choice.moving, "U") == after


def test_a_tag_without_a_name_in_the_schema_is_of_the_image_that_the_values_name() -> None:
    tag = {"image": {"properties": {"tag": {"default": "T", "enum": ["T", "S"]}}}}
    data = schema({"a": {"properties": tag}, "b": {"properties": tag}})
    values = b"a:\n  image: {repository: r/i, tag: T}\n"
    pins = inherit([*find_pins(values, "charts/c/values.yaml"), *find_pins(data, FILE)])
    assert [(pin.image, pin.tag, pin.editable) for pin in pins if pin.file == FILE] == [
        ("r/i", "T", True), ("r/i", "T", True), ("r/i", "S", True), ("", "T", False), ("", "T", False), ("", "S", False)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("properties.image.properties.tag.default", "image.tag"),
        ("properties.a.properties.image.properties.tag.listEnum[12]", "a.image.tag"),
        ("properties.properties.properties.tag.enum[0]", "properties.tag"),
        ("properties.image.properties.tag.title", None),
        ("properties.images.items.properties.tag.default", None),
        ("image.tag", None),
    ],
)
def test_what_a_place_in_a_schema_is_in_the_values(path: str, values: str | None) -> None:
    assert values_path(path) == (values or path)


def onyxia() -> list[tuple[str, bytes]]:
    root = CORPUS / "onyxia"
    return [
        (path.relative_to(root).as_posix(), path.read_bytes()) for path in sorted(root.rglob("*")) if path.is_file()
    ]


VSCODE = "inseefrlab/onyxia-vscode-python"
SERVICE = "properties.service.properties.image.properties"
TRUTH = [
    ("charts/vscode-python/values.yaml", 7, "service.initContainer.image", "inseefrlab/onyxia-base:latest"),
    ("charts/vscode-python/values.yaml", 10, "service.image.version", f"{VSCODE}:py3.13.13"),
    ("charts/vscode-python/values.yaml", 14, "service.image.custom.version", f"{VSCODE}:py3.13.13"),
    ("charts/vscode-python/values.schema.json", 22, f"{SERVICE}.version.default", f"{VSCODE}:py3.13.13"),
    ("charts/vscode-python/values.schema.json", 24, f"{SERVICE}.version.listEnum[0]", f"{VSCODE}:py3.13.13"),
    ("charts/vscode-python/values.schema.json", 25, f"{SERVICE}.version.listEnum[1]", f"{VSCODE}:py3.12.13"),
    (
        "charts/vscode-python/values.schema.json",
        48,
        f"{SERVICE}.custom.properties.version.default",
        f"{VSCODE}:py3.13.13",
    ),
    (
        "charts/premyom-code-server/values.yaml",
        23,
        "vscode-python.service.image.custom.version",
        "harbor.lan/premyom/onyxia-code-server:0.1.21",
    ),
    (
        "charts/premyom-code-server/values.schema.json",
        200,
        f"properties.vscode-python.{SERVICE}.custom.properties.version.default",
        "harbor.lan/premyom/onyxia-code-server:0.1.21",
    ),
    *(
        (
            "utils/charts-inheritance.yaml",
            line,
            f"{parent}.{child}-r-python-julia.images[0]",
            f"inseefrlab/onyxia-{child}-r-python-julia:r4.6.0-py3.13.13",
        )
        for line, parent, child in (
            (15, "jupyter-python", "jupyter"),
            (25, "rstudio", "rstudio"),
            (43, "vscode-python", "vscode"),
        )
    ),
]


@needs_corpus
def test_every_reference_of_real_charts_is_found_and_none_is_invented() -> None:
    pins = scan(onyxia()).pins
    assert sorted((pin.file, pin.line, pin.path, f"{pin.image}:{pin.tag}") for pin in pins) == sorted(TRUTH)
    assert all(pin.editable for pin in pins)


@needs_corpus
@pytest.mark.parametrize("reference", sorted({reference for *_, reference in TRUTH}))
def test_each_image_of_real_charts_moves_alone_and_raises_its_charts(reference: str) -> None:
    files = dict(onyxia())
    image, _, tag = reference.rpartition(":")
    choice = choose(scan(files.items()).pins, ImageReference.parse(image), "2026.11.01", from_tag=tag)
    changes = with_versions(move(files, choice.moving, "2026.11.01"), files, files.__getitem__, "auto")
    old, new = reference.encode(), f"{image}:2026.11.01".encode()
    touched = {file for file, data in files.items() if old in data}
    charts = {str(Path(file).with_name("Chart.yaml")) for file in touched if file.startswith("charts/")}
    assert {change.file for change in changes} == touched | charts
    for change in changes:
        if change.file in charts:
            assert change.note.startswith("version ")
            assert change.after.count(b"\n") == change.before.count(b"\n")
        else:
            assert change.after == change.before.replace(old, new)
