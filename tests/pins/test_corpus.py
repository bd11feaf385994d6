"""Real files of public deployment repositories: every pin found, none invented, each bump exact."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from hubtool.pins.choose import choose
from hubtool.pins.edit import move_pins
from hubtool.pins.finders.find import find_pins
from hubtool.pins.scan import scan
from hubtool.reference import ImageReference
from tests.pins.corpus import CORPUS, HELD, needs_corpus, rows, yaml_files

pytestmark = needs_corpus
NEVER = ("placeholder", "templated", "untagged", "prose")


@pytest.mark.parametrize("repo", HELD)
def test_every_pin_is_found_and_none_is_invented(repo: str) -> None:
    truth: dict[str, set[tuple[str, str, str, int]]] = defaultdict(set)
    for row in rows("truth.tsv"):
        if row["repo"] == repo:
            truth[row["file"]].add((row["image"], row["tag"], row["yaml_path"], int(row["line"])))
    found = {}
    for path in yaml_files(repo):
        file = path.relative_to(CORPUS / repo).as_posix()
        found[file] = {(pin.image, pin.tag, pin.path, pin.line) for pin in find_pins(path.read_bytes(), file)}
    assert {file: pins for file, pins in found.items() if pins} == dict(truth)


@pytest.mark.parametrize("row", rows("truth.tsv"), ids=lambda row: f"{row['repo']}/{row['file']}:{row['line']}")
def test_each_pin_moves_alone_or_is_left_as_it_should_be(row: dict[str, str]) -> None:
    data = (CORPUS / row["repo"] / row["file"]).read_bytes()
    pins = find_pins(data, row["file"])
    pin = next(pin for pin in pins if pin.path == row["yaml_path"] and pin.line == int(row["line"]))
    assert pin.editable == bool(row["image"] and row["note"] not in NEVER)
    if not pin.editable:
        return
    before, after = data.split(b"\n"), move_pins(data, [pin], "123456789012").split(b"\n")
    changed = [n for n, lines in enumerate(zip(before, after, strict=True), 1) if lines[0] != lines[1]]
    assert changed == [pin.line]
    quote = b'"' if row["quote"] == "plain" and row["kind"].startswith("split") else b""
    old, new = (row["tag"].encode(), b"123456789012") if row["tag"] else (b'""', b'"123456789012"')
    assert after[pin.line - 1] == before[pin.line - 1].replace(old, quote + new + quote)


@pytest.mark.parametrize("row", rows("bumps/bumps.tsv"), ids=lambda row: f"{row['commit']}/{row['file']}")
def test_a_real_bump_gives_the_real_file_byte_for_byte(row: dict[str, str]) -> None:
    folder = CORPUS / "bumps" / row["repo"] / row["commit"]
    before = (folder / "before" / row["file"]).read_bytes()
    image = ImageReference.parse(row["image"])
    choice = choose(find_pins(before, row["file"]), image, row["new_tag"], from_tag=row["old_tag"])
    assert move_pins(before, choice.moving, row["new_tag"]) == (folder / "after" / row["file"]).read_bytes()


@pytest.mark.parametrize("path", yaml_files("negative"), ids=lambda path: path.name)
def test_a_file_that_holds_no_pin_gives_none(path: Path) -> None:
    name = path.relative_to(CORPUS / "negative").as_posix()
    found = scan([(name, path.read_bytes())])
    assert found.pins == ()


@pytest.mark.parametrize("row", rows("commented.tsv"), ids=lambda row: row["image"])
def test_a_commented_out_pin_is_none(row: dict[str, str]) -> None:
    data = (CORPUS / row["repo"] / row["file"]).read_bytes()
    assert row["image"].encode() in data
    assert row["image"] not in [pin.image for pin in find_pins(data, row["file"])]
