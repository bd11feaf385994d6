from __future__ import annotations

import pytest

from hubtool.errors import HubtoolError
from hubtool.pins.choose import choose
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
