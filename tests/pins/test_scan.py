from __future__ import annotations

import pytest

from hubtool.errors import HubtoolError
from hubtool.pins.choose import choose
from hubtool.pins.scan import move, scan
from hubtool.reference import ImageReference


def test_files_are_read_skipped_and_kept() -> None:
    found = scan(
        [
            ("a.yaml", b"image: r/i:T\n"),
            ("b.yaml", b"image: [r/i:T\n"),
            ("c.yaml", b"nothing: 1\n"),
            ("d.yaml", b"\0GITCRYPT\0\x01"),
        ]
    )
    assert [pin.file for pin in found.pins] == ["a.yaml"]
    assert [(one.file, one.why.split(":")[0]) for one in found.skipped] == [
        ("b.yaml", "is not YAML"),
        ("d.yaml", "is encrypted by git-crypt"),
    ]
    assert [one.file for one in found.unread("r/i")] == ["b.yaml"]


def test_a_change_shows_its_line_ends_in_the_diff() -> None:
    found = scan([("a.yaml", "image: r/i:T\r\nx: '1\u20282'".encode()), ("b.yaml", b"image: r/i:T")])
    choice = choose(found.pins, ImageReference.parse("r/i"), "U")
    first, second = move(found.files, choice.moving, "U")
    assert first.diff() == (
        "--- a/a.yaml\n+++ b/a.yaml\n@@ -1,2 +1,2 @@\n-image: r/i:T\r\n+image: r/i:U\r\n"
        " x: '1\u20282'\n\\ No newline at end of file\n"
    )
    assert second.diff().count("\\ No newline at end of file") == 2


def test_one_file_that_can_not_be_proven_stops_all() -> None:
    digest = "sha256:" + "a" * 64
    found = scan([("a.yaml", b"image: r/i:T\n"), ("b.yaml", f"image: r/i:T@{digest}\n".encode())])
    choice = choose(found.pins, ImageReference.parse("r/i"), "U")
    with pytest.raises(HubtoolError, match=r"b\.yaml:1: image: .*is pinned by digest too"):
        move(found.files, choice.moving, "U")
