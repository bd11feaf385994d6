from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubtool.errors import HubtoolError
from hubtool.pins.versions import next_version, with_versions

FILE = Path("hubtool.yaml")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("3.9", "3.10"),
        ("3", "4"),
        ("1.2.3", "1.2.4"),
        ("2026.07", "2026.08"),
        ("0.09", "0.10"),
        ("v1-beta2x", "v1-beta3x"),
    ],
)
def test_the_last_number_goes_up(old: str, new: str) -> None:
    assert next_version(old) == new


def test_a_version_without_a_number_says_so() -> None:
    with pytest.raises(HubtoolError, match="'latest' has no number"):
        next_version("latest")


@given(st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}[0-9][a-z]{0,3}", fullmatch=True))
def test_versions_never_come_back(version: str) -> None:
    seen = [version]
    for _ in range(12):
        seen.append(next_version(seen[-1]))
    assert len(set(seen)) == len(seen)


WRITTEN = [
    # as it stands, and with 3.10 for 3.9
    ('one: {version: "3.9"}', 'one: {version: "3.10"}'),
    ("one: {version: '3.9'}", "one: {version: '3.10'}"),
    ("one: {version: 3.9}", 'one: {version: "3.10"}'),
    (
        "one:\n    # why\n    version:   3.9   # so\n    labels: {a: '3.9'}",
        "one:\n    # why\n    version:   \"3.10\"   # so\n    labels: {a: '3.9'}",
    ),
]


@pytest.mark.parametrize(("before", "after"), WRITTEN, ids=["quotes", "single quotes", "a number", "comments"])
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_only_the_version_changes(before: str, after: str, end: str) -> None:
    def whole(text: str) -> bytes:
        return f"registry: r.io/a\nimages:\n  two: {{version: '1'}}\n  {text}\n".replace("\n", end).encode()

    assert with_versions(whole(before), FILE, {"one": "3.10"}) == whole(after)


def test_several_versions_are_raised_at_once() -> None:
    data = b'images:\n  b: {version: "1.9"}\n  a: {version: "2.0"}\n'
    assert (
        with_versions(data, FILE, {"a": "2.1", "b": "1.10"})
        == b'images:\n  b: {version: "1.10"}\n  a: {version: "2.1"}\n'
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "defaults: {version: '1'}\nimages:\n  one: {}\n",
            "hubtool.yaml:3: images.one.version: .* does not stand here",
        ),
        ("images: {one: {version: '1', version: '2'}}\n", "stands twice"),
        ('images: {one: {version: "1\\x2e0"}}\n', "is written with escapes"),
        ("a: &v '1'\nb: *v\nimages: {one: {version: *v}}\n", "is an anchor that something else uses too"),
        ("- 1\n", "expected one document of keys and values"),
        ("images: []\n", "does not stand here"),
    ],
)
def test_a_version_that_can_not_be_raised_is_an_error_that_says_where(text: str, said: str) -> None:
    with pytest.raises(HubtoolError) as raised:
        with_versions(text.encode(), FILE, {"one": "2"})
    import re

    assert re.search(said, f"{raised.value.where}: {raised.value.message}")
