"""Pins in launcher links of Markdown files."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubtool.errors import HubtoolError
from hubtool.pins import Pin
from hubtool.pins.edit import move_pins
from hubtool.pins.finders.find import find_pins
from hubtool.pins.formats.text import MAX_BYTES
from hubtool.pins.prove import Edit, prove
from tests.pins.test_edit import NEW, OLD, VARIATIONS, Case, chosen, move, read_cases

URL = "https://lab.example.org/launcher/ide/rstudio?"


def pins_in(text: str) -> list[Pin]:
    return find_pins(text.encode(), "README.md")


@pytest.mark.parametrize("case", read_cases("links.txt"), ids=str)
@pytest.mark.parametrize("variation", VARIATIONS)
def test_exactly_the_tags_bytes_change(case: Case, variation: str) -> None:
    before, after = (VARIATIONS[variation](text).encode() for text in (case.before, case.rest))
    assert move(case, before, "README.md") == after
    assert chosen(case, after, "README.md") == ()


def test_a_pin_says_the_key_the_line_and_that_it_is_a_link() -> None:
    (pin,) = pins_in(f"\n\n[x]({URL}a=1&x%2Dy.service.image.custom.version=%C2%ABghcr.io%2Forg%2Fimg%3AT%C2%BB)\n")
    assert pin.as_json() == {
        "file": "README.md",
        "line": 3,
        "image": "ghcr.io/org/img",
        "tag": "T",
        "digest": None,
        "path": "x-y.service.image.custom.version",
        "form": "link",
        "editable": True,
        "why": None,
    }


def test_a_registry_beside_the_name_belongs_to_the_image() -> None:
    (pin,) = pins_in(URL + "image.tag=T&image.registry=quay.io&image.repository=r%2Fi")
    assert (pin.image, pin.tag, pin.editable) == ("quay.io/r/i", "T", True)


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("image=org%2Fimg", "has no tag"),
        (f"image=org%2Fimg%40{OLD.replace(':', '%3A')}", "is pinned by digest alone"),
        ("image=org%2Fimg%3A%54", "is written percent-encoded"),
        ("image.tag=T", "no image is named beside it"),
        ("image.tag=T&image.repository=org/img:U", "its image holds a tag too; which one counts?"),
        ("image.tag=T&image.repository=org/img&image.repository=org/img2", "a key beside it stands twice"),
        ("image.tag=a+b&image.repository=org/img", "is not a tag"),
    ],
)
def test_a_pin_that_is_left_alone_says_why(query: str, why: str) -> None:
    (pin,) = pins_in(URL + query)
    assert (pin.editable, pin.why) == (False, why)


@pytest.mark.parametrize(
    "text",
    [
        URL,
        URL + "service.image.pullPolicy=«Always»",
        URL + "service.image.custom.enabled=true",
        URL + "image.version=1.2.3",
        URL + "image=«org/img:T",
        URL + "image=org/img:T%C2%BB",
        URL + "image=«org/img:T>>",
        URL + "image=${IMAGE}",
        URL + "foo\\.image=org/img:T",
        URL + "myimages=org/img:T",
        URL + "init.personalInit=«https%3A%2F%2Fx%2Fimage%3A1»",
        URL + "a=1#image=org/img:T",
        "ftp://lab.example.org/launcher/a/b?image=org/img:T",
        "https://lab.example.org/launcher/a?image=org/img:T",
        "docker pull org/img:T",
        "```yaml\nimage: org/img:T\n```",
    ],
)
def test_what_is_no_pin_is_not_invented(text: str) -> None:
    assert pins_in(text) == []


def test_a_digest_that_is_not_known_stops_the_edit() -> None:
    data = f"{URL}image=org%2Fimg%3AT%40{OLD.replace(':', '%3A')}".encode()
    with pytest.raises(HubtoolError, match="is pinned by digest too"):
        move_pins(data, find_pins(data, "README.md"), "U")
    assert find_pins(move_pins(data, find_pins(data, "README.md"), "U", NEW), "README.md")[0].digest == NEW


@pytest.mark.parametrize(
    "value", ["U&image=org/img:V", "U»", "U)", "U%41", "U V", "U%40" + NEW.replace(":", "%3A"), "U."]
)
def test_an_edit_that_reads_otherwise_is_refused(value: str) -> None:
    before = f"see {URL}image=org/img:T\n".encode()
    (pin,) = find_pins(before, "README.md")
    assert pin.tag_span is not None
    with pytest.raises(HubtoolError, match="would not read as intended"):
        prove(before, before.replace(b"T", value.encode()), [Edit(pin.tag_span, value)], "README.md")


def test_an_edit_outside_of_any_link_is_refused() -> None:
    before = f"T {URL}image=org/img:T\n".encode()
    (pin,) = find_pins(before, "README.md")
    assert pin.tag_span is not None
    elsewhere = Edit(type(pin.tag_span)(0, 1), "U")
    with pytest.raises(HubtoolError, match="would not read as intended"):
        prove(before, b"U" + before[1:], [elsewhere], "README.md")


def test_an_edit_that_moves_the_pin_to_another_place_is_refused() -> None:
    """The same pins in the same order, but the new tag is not where it was written."""
    before = f"{URL}image=org/img:T {URL}image=org/img:U\n".encode()
    first, _ = find_pins(before, "README.md")
    assert first.tag_span is not None
    after = f"{URL}image=org/img:U {URL}image=org/img:T\n".encode()
    with pytest.raises(HubtoolError, match="not written"):
        prove(before, after, [Edit(first.tag_span, "U")], "README.md")


QUOTES = st.sampled_from([("", ""), ("«", "»"), ("%C2%AB", "%C2%BB"), ("%c2%ab", "%c2%bb")])
KEYS = st.sampled_from(
    ["image", "service.image.version", "service.image.custom.version", "a\\.b.c.image.custom.version"]
)
AROUND = st.sampled_from(
    [("", "\n"), ("[x](", ")"), ('<a href="', '">'), ("see <", ">."), ("`", "`"), ("[![a](b)](", ") é 😀"), ("(", ").")]
)
TAGS = st.from_regex(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,14}[A-Za-z0-9])?", fullmatch=True)


@st.composite
def links(draw: st.DrawFn, tag: str) -> str:
    (opening, closing), (before, after) = draw(QUOTES), draw(AROUND)
    slash, colon, sign = draw(st.sampled_from([("/", ":", "&"), ("%2F", "%3A", "&"), ("%2f", ":", "&amp;")]))
    name = f"org{slash}img"
    if draw(st.booleans()):
        pairs = [f"{draw(KEYS)}={opening}{name}{colon}{tag}{closing}"]
    else:
        pairs = [f"x.image.repository={opening}{name}{closing}", f"x.image.tag={opening}{tag}{closing}"]
    others = ["a=1", "autoLaunch=true", "n=«é»", "p[0]=-", "q=%C2%AB(x)%C2%BB"]
    pairs = draw(st.permutations([*pairs, *draw(st.lists(st.sampled_from(others), unique=True, max_size=3))]))
    return f"{before}{URL}{sign.join(pairs)}{after}"


@settings(max_examples=200, deadline=None)
@given(st.lists(links("aaaa1111"), min_size=1, max_size=4), TAGS, st.sampled_from(["\n", "\r\n"]))
def test_only_the_tags_characters_differ_and_moving_back_restores_every_byte(
    found: list[str], tag: str, newline: str
) -> None:
    before = newline.join([*found, "org/img:aaaa-1111", ""]).encode()
    pins = find_pins(before, "README.md")
    assert len(pins) == len(found)
    after = move_pins(before, pins, tag)
    assert after == before.replace(b"aaaa1111", tag.encode())
    assert move_pins(after, find_pins(after, "README.md"), "aaaa1111") == before


PIECES = st.sampled_from(
    [URL, "image", ".tag", ".name", "=", "&", "&amp;", "org/img", ":T", "%3A", "«", "»", "%C2%AB", "%C2%BB", "(", ")",
     "](", "]", " ", "\n", "<!--", "-->", "@" + OLD, "%", "%2", "T", ".", "\\", "#", "\ufeff", "é"]
)  # fmt: skip


@settings(max_examples=600, deadline=None)
@given(st.lists(PIECES, max_size=25).map("".join))
def test_whatever_is_found_is_moved_exactly(text: str) -> None:
    data = text.encode()
    for pin in find_pins(data, "README.md"):
        span, digest_span = pin.tag_span, pin.digest_span
        if not pin.editable:
            continue
        after = move_pins(data, [pin], "NEW", NEW if digest_span else None).decode()
        assert span is not None
        assert text[span.start : span.end] == pin.tag
        assert after.startswith(text[: span.start] + "NEW")
        assert after.endswith(text[span.end :] if digest_span is None else text[max(span.end, digest_span.end) :])


@pytest.mark.parametrize(
    "piece",
    [f"{URL}image=org/img:T\n", "https://", "/launcher/a/b?", URL, "(", "<!--", f"{URL}{'a.' * 900}image=", "&image=",
     "%3A", "image.tag=T&", "image=org/img:T&"]
)  # fmt: skip
def test_a_large_file_takes_seconds_at_most(piece: str) -> None:
    data = (URL + piece * (MAX_BYTES // 10 // len(piece))).encode()
    started = time.process_time()
    find_pins(data, "README.md")
    assert time.process_time() - started < 10
