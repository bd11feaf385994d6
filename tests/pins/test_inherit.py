from __future__ import annotations

import pytest

from hubtool.errors import HubtoolError
from hubtool.pins.choose import choose
from hubtool.pins.edit import move_pins
from hubtool.pins.finders.candidates import Name
from hubtool.pins.finders.find import find
from hubtool.pins.inherit import inherit
from hubtool.pins.scan import move, scan
from hubtool.reference import ImageReference

COMMON = b"jupyterhub: {singleuser: {image: {name: r/i, tag: T}}}\n"
IMAGE = ImageReference.parse("r/i")


def test_an_override_of_the_tag_alone_moves_with_the_image_it_overrides() -> None:
    override = b"jupyterhub:\n  singleuser:\n    image:\n      tag: T # staging\n"
    found = scan([("common.yaml", COMMON), ("staging.yaml", override)])
    choice = choose(inherit(found.pins), IMAGE, "123")
    changes = {change.file: change.after for change in move(found.files, choice.moving, "123")}
    assert changes["staging.yaml"] == override.replace(b"T #", b'"123" #')
    assert changes["common.yaml"] == COMMON.replace(b"tag: T", b'tag: "123"')


def test_an_override_at_another_tag_is_not_moved_unasked() -> None:
    found = scan([("common.yaml", COMMON), ("prod.yaml", b"jupyterhub: {singleuser: {image: {tag: S}}}\n")])
    with pytest.raises(HubtoolError, match="stand at 2 tags"):
        choose(inherit(found.pins), IMAGE, "U")
    choice = choose(inherit(found.pins), IMAGE, "U", from_tag="T")
    assert [pin.file for pin in choice.moving] == ["common.yaml"]
    assert [pin.file for pin in choice.left] == ["prod.yaml"]


@pytest.mark.parametrize(
    "text",
    [
        b"jupyterhub: {hub: {image: {tag: T}}}\n",
        b"jupyterhub: {proxy: {chp: {image: {tag: T}}}}\n",
        b"other: {singleuser: {image: {tag: T}}}\n",
    ],
)
def test_a_tag_at_another_path_is_of_no_image(text: bytes) -> None:
    found = scan([("common.yaml", COMMON), ("x.yaml", text)])
    (alone,) = [pin for pin in inherit(found.pins) if pin.file == "x.yaml"]
    assert (alone.image, alone.editable) == ("", False)


def test_where_two_images_stand_at_the_path_the_override_is_of_neither() -> None:
    other = COMMON.replace(b"r/i", b"r/j")
    override = b"jupyterhub: {singleuser: {image: {tag: T}}}\n"
    found = scan([("a.yaml", COMMON), ("b.yaml", other), ("c.yaml", override)])
    assert [pin.image for pin in inherit(found.pins)] == ["r/i", "r/j", ""]


@pytest.mark.parametrize("tag", ["'{{ x }}'", "two words", "|\n        T\n"])
def test_an_override_that_can_not_be_read_is_not_moved(tag: str) -> None:
    override = f"jupyterhub:\n  singleuser:\n    image:\n      tag: {tag}\n".encode()
    found = scan([("common.yaml", COMMON), ("x.yaml", override)])
    assert [pin.editable for pin in inherit(found.pins) if pin.file == "x.yaml"] == [False]


@pytest.mark.parametrize("name", ["name: r/i", "repository: r/i", "name: r/i, pullPolicy: Always"])
def test_a_name_that_stands_without_a_tag_is_no_pin_and_its_override_is_one(name: str) -> None:
    base = find(f"jupyterhub: {{singleuser: {{image: {{{name}}}}}}}\n".encode(), "common.yaml")
    over = find(b"jupyterhub: {singleuser: {image: {tag: T}}}\n", "staging.yaml")
    assert base.pins == []
    (pin,) = inherit(over.pins, base.names)
    assert (pin.image, pin.tag, pin.editable, pin.why) == ("r/i", "T", True, None)


@pytest.mark.parametrize(
    "text",
    [
        "image: {name: r/i, tag: T}",
        "image: {name: r/i, tag: }",
        "image: {name: 'r/i:T'}",
        "image: {}",
        "other: {name: r/i}",
        "image: {name: '{{ x }}'}",
        "images: [{name: r/i}]",
    ],
)
def test_what_names_no_image_without_a_tag_gives_no_name(text: str) -> None:
    assert find(text.encode(), "f.yaml").names == ()


def test_a_tag_beside_another_registry_is_not_of_the_image_that_is_inherited() -> None:
    base = find(b"image: {registry: docker.io, repository: r/i, tag: T}\n", "a.yaml")
    over = find(b"image: {registry: ghcr.io, tag: T}\n", "b.yaml")
    (_, pin) = inherit([*base.pins, *over.pins])
    assert (pin.editable, pin.why) == (False, "only a registry is named beside it")


def test_an_override_with_a_digest_keeps_both_together() -> None:
    digest = "sha256:" + "0" * 64
    base = find(b"image: {repository: r/i, tag: T}\n", "a.yaml")
    for text in (f"image: {{tag: T, digest: '{digest}'}}\n", f"image: {{tag: 'T@{digest}'}}\n"):
        data = text.encode()
        (pin,) = inherit(find(data, "b.yaml").pins, [Name("a.yaml", "image.tag", "r/i")])
        assert (pin.image, pin.tag, pin.digest, pin.editable) == ("r/i", "T", digest, True)
        with pytest.raises(HubtoolError, match="the digest of 'U' is not known"):
            move_pins(data, [pin], "U")
        assert move_pins(data, [pin], "U", digest.replace("0", "1")) == data.replace(b"T", b"U").replace(b"0", b"1")
    assert base.names == ()


def test_where_the_files_name_several_images_the_pin_says_so() -> None:
    over = find(b"image: {tag: T}\n", "b.yaml")
    (pin,) = inherit(over.pins, [Name("a.yaml", "image.tag", "r/i"), Name("c.yaml", "image.tag", "r/j")])
    assert (pin.image, pin.editable) == ("", False)
    assert str(pin.why).endswith("name several there: r/i, r/j")
