from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from hubtool.pins import Pin, Unreadable
from hubtool.pins.finders.find import find_pins
from hubtool.pins.formats.text import MAX_BYTES

CASES = Path(__file__).parents[1] / "cases" / "found.txt"


def cases() -> list[tuple[str, str, list[str]]]:
    """Title, file, and a line for each pin: LINE FORM IMAGE:TAG@DIGEST, and "! WHY" where it is not moved."""
    found = []
    for block in re.split(r"(?m)^#### ", CASES.read_text(encoding="utf-8"))[1:]:
        title, _, rest = block.partition("\n")
        text, _, pins = rest.partition("----\n")
        found.append((title, text, pins.splitlines()))
    return found


@pytest.mark.parametrize(("title", "text", "pins"), cases(), ids=[case[0].replace(" ", "-") for case in cases()])
def test_a_file_holds_these_pins_and_no_other(title: str, text: str, pins: list[str]) -> None:
    found = find_pins(text.encode(), "f.yaml")
    shown = [(f"{pin.line} {pin.form} {_reference(pin)}", pin.why) for pin in found]
    expected = [(line.split(" ! ")[0], line.partition(" ! ")[2]) for line in pins]
    assert sorted(line for line, _ in shown) == sorted(line for line, _ in expected)
    for (line, why), (_, wanted) in zip(sorted(shown, key=str), sorted(expected, key=str), strict=True):
        assert (line, (why or "")[: len(wanted)], bool(why)) == (line, wanted, bool(wanted))


def _reference(pin: Pin) -> str:
    tag, digest = (f":{pin.tag}" if pin.tag else ""), (f"@{pin.digest}" if pin.digest else "")
    return (pin.image or "-") + tag + digest


def only(text: str | bytes, file: str = "deployments/base/values.yaml") -> Pin:
    (pin,) = find_pins(text.encode() if isinstance(text, str) else text, file)
    return pin


def test_a_pin_is_reported_with_exactly_the_keys_that_scripts_rely_on() -> None:
    digest = "sha256:" + "a" * 64
    assert only(
        f"# first\nx:\n  - image:\n      registry: quay.io\n      repository: r/i\n      tag: T@{digest}\n"
    ).as_json() == {
        "file": "deployments/base/values.yaml",
        "line": 6,
        "image": "quay.io/r/i",
        "tag": "T",
        "digest": digest,
        "path": "x[0].image.tag",
        "form": "split",
        "editable": True,
        "why": None,
    }


@pytest.mark.parametrize(
    ("text", "image", "tag", "path", "form"),
    [
        ("image: busybox:1", "busybox", "1", "image", "inline"),
        ("a: [{image: r/i:T}]", "r/i", "T", "a[0].image", "inline"),
        ("images: {images: [{name: r/i:T}]}", "r/i", "T", "images.images[0].name", "inline"),
        ("images: {image_name: r/i:T}", "r/i", "T", "images.image_name", "inline"),
        ("build_image: r/i:T", "r/i", "T", "build_image", "inline"),
        ("images: [r/i:T]", "r/i", "T", "images[0]", "inline"),
        ("service: {image: {version: r/i:T}}", "r/i", "T", "service.image.version", "inline"),
        ("env: {X: ghcr.io/r/i:T}", "ghcr.io/r/i", "T", "env.X", "inline"),
        ("env: [{name: X, value: 'localhost:5000/i:T'}]", "localhost:5000/i", "T", "env[0].value", "inline"),
        ("extraImages: {a: {name: i, tag: T}}", "i", "T", "extraImages.a.tag", "split"),
        ("x: {repository: r/i, tag: T}", "r/i", "T", "x.tag", "split"),
        ("x: {name: ghcr.io/r/i, tag: T}", "ghcr.io/r/i", "T", "x.tag", "split"),
        ("image: {image: r/i, imageTag: T}", "r/i", "T", "image.imageTag", "split"),
        ("image: {name: r/i, tag: 4.6}", "r/i", "4.6", "image.tag", "split"),
        ("image: {name: r/i, tag: 2026-06-29}", "r/i", "2026-06-29", "image.tag", "split"),
        ("image: {name: r/i, tag: 0123}", "r/i", "0123", "image.tag", "split"),
    ],
)
def test_a_shape_of_a_pin_is_found(text: str, image: str, tag: str, path: str, form: str) -> None:
    pin = only(text)
    assert (pin.image, pin.tag, pin.path, pin.form, pin.editable) == (image, tag, path, form, True)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("image: alpine/git", "has no tag"),
        ("image: r/i@sha256:" + "a" * 64, "is pinned by digest alone"),
        ("image: '{value}'", "is a template's placeholder, not an image"),
        ("image: ${IMAGE}", "is a template's placeholder, not an image"),
        ("chp: {image: {tag: 4.6.2}}", "no image is named beside it"),
        ("hub: {image: {name: , tag: }}", "no image is named beside it"),
        ("description: ghcr.io/r/i:T", "is prose"),
    ],
)
def test_a_pin_that_is_left_alone_says_why(text: str, why: str) -> None:
    pin = only(text)
    assert (pin.editable, pin.why) == (False, why)


@pytest.mark.parametrize(
    "text",
    [
        "hosts: [localhost:8000/x, example.org:443]",
        "url: https://example.org/image:1",
        "gitRepoBranch: main\ntag: T",
        "image: {}",
        "image: null",
        "image: true",
        "image: 12",
        "image: https://example.org/logo.png",
        "imagePullSecrets: [{name: r/i, tag: T}]",
        "imagePullPolicy: a/b:c",
        "group: course::1532866\nscope: admin:servers/x:y",
        "volumes: ['./data:/data', 'a/b:/c']",
        "notes: {name: r/i, tag: T}",
        "stringData: |\n  image: r/i:T\n",
        "# image: r/i:T\nimagex: 1",
        "args: ['--image r/i:T', '--pull-image-policy=a/b:c', 'image=', '--image=r/i']",
        "chart: {repository: 'https://example.org/charts', tag: v1}",
        "",
        "\n",
        "---\n---\n",
    ],
)
def test_what_is_no_pin_is_not_invented(text: str) -> None:
    assert find_pins(text.encode(), "f.yaml") == []


def bomb(levels: int) -> bytes:
    lines = [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 10) + "]" for n in range(1, levels)]
    return "\n".join(["a0: &a0 [x]", *lines, "image: r/i:T\n"]).encode()


def test_an_alias_bomb_is_read_in_no_time() -> None:
    started = time.process_time()
    assert only(bomb(60)).image == "r/i"
    assert time.process_time() - started < 10


def test_an_anchors_name_may_be_used_again() -> None:
    """PyYAML's composer refuses it, YAML and Go's parsers (Helm) do not."""
    text = "a: {image: {name: r/i, tag: &t T}}\nb: {image: {name: r/j, tag: &t U}}\nc: {image: {name: r/j, tag: *t}}\n"
    pins = find_pins(text.encode(), "f.yaml")
    assert [(pin.image, pin.tag, pin.path, pin.editable) for pin in pins] == [
        ("r/i", "T", "a.image.tag", True),
        ("r/j", "U", "b.image.tag", True),
    ]


@pytest.mark.parametrize("text", ["a: &x 1\nb: &x 2\nimage: *y\n", "a: &x 1\nb: &x 2\n---\nimage: *x\n"])
def test_an_alias_of_nothing_is_not_yaml_even_where_anchors_repeat(text: str) -> None:
    with pytest.raises(Unreadable, match="undefined alias"):
        find_pins(text.encode(), "f.yaml")


def test_a_file_that_holds_itself_is_read() -> None:
    assert only("a: &a\n  b: *a\n  c: [*a]\n  image: r/i:T\n").tag == "T"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"[" * 100_000 + b" image: r/i:T", "nested deeper|not YAML"),
        (b"- " * 100_000 + b"image: r/i:T", "nested deeper"),
        (b"? " * 50_000 + b"image: r/i:T", "nested deeper"),
        (b"".join(b" " * n + b"image:\n" for n in range(2500)), "nested deeper"),
        (b"{a: " * 50_000 + b"image: r/i:T", "nested deeper|not YAML"),
        (b"image: r/i:T\n" + b"#" * MAX_BYTES, "is larger than 5 MB"),
        (b"\0GITCRYPT\0 image", "git-crypt"),
        (b"image: \0", "binary"),
        ("image: r/i:T\n".encode("utf-16"), "binary"),
        (b"image: r/i:T\xff", r"not UTF-8 text \(byte 12\)"),
        (b"image: \x07", "not YAML"),
        (b"image: *nothing", "not YAML"),
        (b"image: r/i:T\n\tb: 1", "not YAML"),
        ("image: r/i:T\n# \u2028\n# \u0085\r\rx: ]\n".encode(), r"not YAML: .* \(line 3\)"),
        (b"sops: {mac: x}\nimage: r/i:T", "SOPS"),
    ],
)
def test_a_hostile_file_is_skipped_with_the_reason(data: bytes, why: str) -> None:
    started = time.process_time()
    with pytest.raises(Unreadable, match=why):
        find_pins(data, "f.yaml")
    assert time.process_time() - started < 20


def chained(length: int) -> bytes:
    return b"a0: &a0 {image: r/i:T}\n" + b"".join(b"a%d: &a%d {<<: *a%d }\n" % (n, n, n - 1) for n in range(1, length))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (chained(300), "merges more than 200 mappings into one"),
        (b"a: &a {image: r/i:T}\nl:\n" + b"- {<<: *a }\n" * 10_001, "merges more than 10,000 times"),
        (b"? " + b"k" * 2001 + b"\n: {a: {image: r/i:T}}", "a path of more than 2,000 characters"),
        (b"{" + b"".join(b"a%d_tag: T, " % n for n in range(501)) + b"}", "more than 500 tags in one mapping"),
    ],
)
def test_what_nobody_would_write_is_skipped_with_the_reason(data: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        find_pins(data, "f.yaml")


def test_what_somebody_might_write_is_read() -> None:
    assert only(chained(190)).tag == "T"
    assert only(b"a: &a {image: r/i:T}\nl:\n" + b"- {<<: *a }\n" * 2000).tag == "T"


def test_a_helm_template_is_skipped_and_a_plain_file_beside_it_is_not() -> None:
    with pytest.raises(Unreadable, match="Helm template"):
        find_pins(b"image: {{ .Values.image }}", "chart/templates/deployment.yaml")
    assert only("image: r/i:T", "chart/templates/plain.yaml").tag == "T"
    assert only("image: r/i:T\nx: {{ x }}", "roles/hub/templates/values.yaml.j2").tag == "T"


@pytest.mark.parametrize("file", ["values.yaml.tftpl", "values.yml.tpl", "values.yaml.tmpl", "values.yaml.jinja"])
def test_a_template_is_read_as_what_it_makes(file: str) -> None:
    assert only("image: r/i:T\nx: ${jsonencode(x)}", file).tag == "T"
    assert only("image: r/i:T\nx: {{y}}", "deployments/template/x.yaml").tag == "T"


def test_many_pins_in_a_large_file_are_found_quickly() -> None:
    data = "".join(f"h{n}:\n  image: {{name: r/i{n}, tag: T{n}}}\n" for n in range(20_000)).encode()
    started = time.process_time()
    assert len(find_pins(data, "f.yaml")) == 20_000
    assert time.process_time() - started < 60
