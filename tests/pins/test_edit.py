from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from hubtool.errors import HubtoolError
from hubtool.pins import Pin, Unreadable
from hubtool.pins.choose import choose
from hubtool.pins.edit import move_pins
from hubtool.pins.finders.find import find_pins
from hubtool.reference import ImageReference

CASES = Path(__file__).parent / "cases"
OLD, NEW = "sha256:" + "0" * 64, "sha256:" + "f" * 64


@dataclass(frozen=True)
class Case:
    title: str
    image: str
    tag: str
    from_tag: str | None
    all_tags: bool
    digest: str | None
    before: str
    rest: str

    def __str__(self) -> str:
        return self.title.replace(" ", "-")


def read_cases(name: str) -> list[Case]:
    cases = []
    for block in re.split(r"(?m)^#### ", (CASES / name).read_text(encoding="utf-8"))[1:]:
        head, _, text = block.partition("\n")
        title, command, *error = head.split(" :: ")
        image, tag, *options = command.split()
        before, _, after = text.partition("----\n")
        from_tag = options[1] if options[:1] == ["--from"] else None
        rest = error[0] if error else after
        digest = NEW if "--digest" in options else None
        cases.append(Case(title, image, tag, from_tag, "--all-tags" in options, digest, before, rest))
    return cases


def chosen(case: Case, data: bytes, file: str = "a/values.yaml") -> tuple[Pin, ...]:
    pins, image = find_pins(data, file), ImageReference.parse(case.image)
    choice = choose(pins, image, case.tag, digest=case.digest, from_tag=case.from_tag, all_tags=case.all_tags)
    return choice.moving


def move(case: Case, data: bytes, file: str = "a/values.yaml") -> bytes:
    return move_pins(data, chosen(case, data, file), case.tag, case.digest)


VARIATIONS = {
    "as it is": lambda text: text,
    "CRLF": lambda text: text.replace("\n", "\r\n"),
    "BOM": lambda text: "\ufeff" + text,
    "no final line end": lambda text: text.rstrip("\n"),
}


# shell.txt: the inputs at which the shell step of hub deployments fails.
@pytest.mark.parametrize("case", [*read_cases("moves.txt"), *read_cases("shell.txt")], ids=str)
@pytest.mark.parametrize("variation", VARIATIONS)
def test_exactly_the_tags_bytes_change(case: Case, variation: str) -> None:
    before, after = (VARIATIONS[variation](text).encode() for text in (case.before, case.rest))
    assert move(case, before) == after
    assert chosen(case, after) == ()


@pytest.mark.parametrize("file", ["staging.yaml", "prod.yaml", "hubploy.yaml", "common.yml", "a b/{{ c }}/x.yaml"])
def test_a_file_may_have_any_name(file: str) -> None:
    """29 and B7."""
    data = b"image: {name: r/i, tag: T}\n"
    assert move_pins(data, find_pins(data, file), "U") == data.replace(b"T", b"U")


def test_prose_beside_the_values_is_left_alone() -> None:
    """B6."""
    assert find_pins(b"The image `r/i:T` is used.\n\n    image: r/i:T\n", "deployments/README.md") == []


@pytest.mark.parametrize("case", read_cases("refusals.txt"), ids=str)
def test_what_can_not_be_moved_is_refused_with_the_reason(case: Case) -> None:
    with pytest.raises((HubtoolError, Unreadable), match=f"(?s){case.rest}"):
        move(case, case.before.encode())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"image: r/i:T@{OLD}\n", f"image: r/i:456@{NEW}\n"),
        (f"image: {{name: r/i, tag: T@{OLD}}}\n", f"image: {{name: r/i, tag: 456@{NEW}}}\n"),
        (
            f"image:\n  repository: r/i\n  digest: {OLD}\n  tag: T\n",
            f'image:\n  repository: r/i\n  digest: {NEW}\n  tag: "456"\n',
        ),
        ("image: r/i:T\n", "image: r/i:456\n"),
    ],
)
def test_a_digest_moves_with_its_tag(before: str, after: str) -> None:
    data = before.encode()
    assert move_pins(data, find_pins(data, "f.yaml"), "456", NEW) == after.encode()


def test_a_tag_that_was_pushed_again_moves_its_digest_alone() -> None:
    data = f"image: r/i:T@{OLD}\n".encode()
    pins = find_pins(data, "f.yaml")
    assert choose(pins, ImageReference.parse("r/i"), "T", digest=OLD).moving == ()
    choice = choose(pins, ImageReference.parse("r/i"), "T", digest=NEW)
    assert move_pins(data, choice.moving, "T", NEW) == f"image: r/i:T@{NEW}\n".encode()


def test_at_the_tag_already_there_is_nothing_to_move() -> None:
    data = b"image: r/i:T\n"
    choice = choose(find_pins(data, "f.yaml"), ImageReference.parse("r/i"), "T")
    assert (choice.moving, len(choice.there)) == ((), 1)
    assert move_pins(data, choice.there, "T") == data


def test_moved_once_with_from_there_is_nothing_left_to_move() -> None:
    data = b"a:\n  image: r/i:T1\nb:\n  image: r/i:T3\n"
    choice = choose(find_pins(data, "f.yaml"), ImageReference.parse("r/i"), "T3", from_tag="T2")
    assert choice.moving == ()
    assert [pin.tag for pin in choice.left] == ["T1"]


def test_pins_of_another_version_of_the_file_are_refused() -> None:
    pins = find_pins(b"image: r/i:T\n", "f.yaml")
    with pytest.raises(HubtoolError, match="changed while hubtool read it"):
        move_pins(b"# more\nimage: r/i:T\n", pins, "U")


def test_a_pin_that_is_not_editable_is_refused_even_when_asked_for() -> None:
    data = b"image: r/i\n"
    with pytest.raises(HubtoolError, match="has no tag"):
        move_pins(data, find_pins(data, "f.yaml"), "U")


def test_a_position_outside_any_value_is_caught_by_the_proof() -> None:
    data = b"# T\nimage: {name: r/i, tag: T}\n"
    pin = find_pins(data, "f.yaml")[0]
    assert pin.tag_span is not None
    with pytest.raises(HubtoolError, match="where no value stands"):
        move_pins(data, [replace(pin, tag_span=replace(pin.tag_span, start=2, end=3))], "U")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("image: r/i:T # T\n", f"image: r/i:1.10@{NEW} # T\n"),
        ("image: {name: r/i, tag: T}\n", f"image: {{name: r/i, tag: 1.10@{NEW}}}\n"),
        ("image: {name: r/i, tag: 'T'}\n", f"image: {{name: r/i, tag: '1.10@{NEW}'}}\n"),
        ('image: {name: r/i, tag: T, digest: ""}\n', f'image: {{name: r/i, tag: "1.10", digest: "{NEW}"}}\n'),
        (f"image: r/i:T@{OLD}\n", f"image: r/i:1.10@{NEW}\n"),
        ('args: ["--image=r/i:T"]\n', f'args: ["--image=r/i:1.10@{NEW}"]\n'),
        ("a: {image: {name: r/i, tag: &t T}}\nb: {image: {name: r/i, tag: *t}}\n",
         f"a: {{image: {{name: r/i, tag: &t 1.10@{NEW}}}}}\nb: {{image: {{name: r/i, tag: *t}}}}\n"),
    ],
)  # fmt: skip
def test_a_pin_without_a_digest_gets_one_where_that_is_asked_for(before: str, after: str) -> None:
    data, image = before.encode(), ImageReference.parse("r/i")
    moved = move_pins(data, find_pins(data, "f.yaml"), "1.10", NEW, pin_digest=True)
    assert moved == after.encode()
    again = find_pins(moved, "f.yaml")
    assert [(pin.tag, pin.digest) for pin in again] == [("1.10", NEW)] * len(again)
    assert choose(again, image, "1.10", digest=NEW, pin_digest=True).moving == ()
    assert move_pins(moved, again, "1.10", NEW, pin_digest=True) == moved


@pytest.mark.parametrize(
    ("before", "why"),
    [
        ("images: [{name: r/i, newTag: T}]\n", "Kustomize's newTag holds a tag alone"),
        ("image: {repository: r/i, tag: T, digest: }\n", "the key 'digest' beside it is the place, and it is empty"),
        ("{% if x %}a: [{% endif %}\nimage: r/i:T\n", "stands in a template that is not YAML"),
    ],
)
def test_where_a_digest_has_no_place_it_is_refused_with_the_reason(before: str, why: str) -> None:
    data = before.encode()
    with pytest.raises(HubtoolError, match=why):
        move_pins(data, find_pins(data, "f.yaml"), "U", NEW, pin_digest=True)
    assert move_pins(data, find_pins(data, "f.yaml"), "U", NEW) == re.sub(rb"\bT\b", b"U", data)


def test_a_pin_that_is_there_already_does_not_even_get_quotes() -> None:
    for text in (f"image: {{repository: r/i, tag: 1.10, digest: '{NEW}'}}\n", "image: {name: r/i, tag: 1.10}\n"):
        data = text.encode()
        assert move_pins(data, find_pins(data, "f.yaml"), "1.10", NEW) == data


def test_a_digest_that_is_not_known_is_not_pinned() -> None:
    data = b"image: r/i:T\n"
    with pytest.raises(HubtoolError, match="the digest of r/i:U is not known"):
        move_pins(data, find_pins(data, "f.yaml"), "U", pin_digest=True)
