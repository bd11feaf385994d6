"""Mutants of deployment files against the pins: no crash, no hang, and an edit that is made changes the tags alone.

``script/fuzz [MINUTES]`` runs it for long; a short run belongs to the tests.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from hubtool.errors import HubtoolError
from hubtool.pins import Pin, Unreadable
from hubtool.pins.edit import move_pins
from hubtool.pins.finders.find import parse_and_find
from hubtool.pins.finders.hints import may_hold_pins
from hubtool.pins.formats.kinds import kind_of
from tests.pins.corpus import CORPUS

CASES = Path(__file__).parent / "cases"
FILES = ("f.yaml", "values.schema.json", "main.tf", "README.md")
TAGS = ("NEW", "1.10", "2026-06-29", "0123", "null", "1e3")
DIGEST = "sha256:" + "f" * 64
YAML = "image: r/i:T\n|tag: |name: r/i\n|<<: *a\n|&a |*a|!!str |!x |? |- |\n---\n|>-\n|\\x54|\\u0054|\"|'|[|]|{|}|,|:|#"
OTHER = "{{ x }}|{% if x %}\n|{% else %}|{% endif %}\n|{#|#}|${x}|%{if x}|<<EOF\n|%41|//"
ENDS = "\0|\r|\r\n|\t|\x85|\u2028|\ufeff|é😀"
TOKENS = [*(token.encode() for token in f"{YAML}|{OTHER}|{ENDS}".split("|")), b"|\n", b"\xff", b"@" + DIGEST.encode()]


def seeds() -> list[bytes]:
    """What is mutated: the cases' files, and real ones where they are there."""
    texts = [re.split(r"(?m)^----$", block)[0] for path in sorted(CASES.glob("*.txt")) for block in _blocks(path)]
    real = [path.read_bytes() for path in sorted(CORPUS.rglob("*")) if path.is_file() and path.stat().st_size < 20_000]
    return [text.encode() for text in texts] + real[:200]


def _blocks(path: Path) -> list[str]:
    return [block.partition("\n")[2] for block in re.split(r"(?m)^#### ", path.read_text(encoding="utf-8"))[1:]]


SEEDS = seeds()


@st.composite
def mutants(draw: st.DrawFn) -> tuple[bytes, str, str]:
    """A file's bytes, its name, and a tag to move its pins to."""
    data = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(0, 6))):
        data = _mutated(draw, data)
    return data, draw(st.sampled_from(FILES[:1] * 5 + FILES)), draw(st.sampled_from(TAGS))


def _mutated(draw: st.DrawFn, data: bytes) -> bytes:
    start = draw(st.integers(0, len(data)))
    end = min(len(data), start + draw(st.integers(0, 60)))
    head, middle, tail = data[:start], data[start:end], data[end:]
    other = draw(st.sampled_from(SEEDS))
    choices = [
        head + draw(st.sampled_from(TOKENS)) + middle + tail,
        head + draw(st.binary(max_size=3)) + tail,
        head + tail,
        head + middle * draw(st.integers(2, 40)) + tail,
        head + other[: len(other) // 2] + tail,
        head,
        data.replace(b"\n", draw(st.sampled_from([b"\r\n", b"\r", b"\n\n", b"\xe2\x80\xa8"]))),
        b"{a: " * draw(st.integers(1, 250)) + data.replace(b"\n", b" "),
        data + b"\n---\n" + other,
    ]
    return draw(st.sampled_from(choices))


def check(mutant: tuple[bytes, str, str]) -> None:
    data, file, tag = mutant
    started = time.process_time()
    try:
        pins = parse_and_find(data, file).pins
    except Unreadable:
        return
    assert may_hold_pins(data, kind_of(file)) or not pins
    editable = [pin for pin in pins if pin.editable]
    groups = [editable, *([pin] for pin in editable[:3]), [pin for pin in editable if pin.image == editable[0].image]]
    for group in groups if editable else []:
        try:
            after = move_pins(data, group, tag, DIGEST)
        except HubtoolError:
            continue
        assert_moved(data, after, group, tag)
    assert time.process_time() - started < 5 + len(data) / 100_000


def assert_moved(before: bytes, after: bytes, pins: Sequence[Pin], tag: str) -> None:
    """AFTER is BEFORE with TAG, and DIGEST where one stood, at the places of PINS and nothing else."""
    old, new = before.decode(), after.decode()
    spans = [(pin.tag_span, tag) for pin in pins] + [(pin.digest_span, DIGEST) for pin in pins if pin.digest]
    at_old = at_new = 0
    for start, end, value in sorted({(span.start, span.end, value) for span, value in spans if span}):
        assert old[at_old:start] == new[at_new : at_new + start - at_old]
        at_old, at_new = end, at_new + start - at_old
        written = re.compile(f'{value}|"{value}"|{value.replace(":", "%3A")}').match(new, at_new)
        assert written, (value, new[at_new : at_new + 80])
        at_new = written.end()
    assert old[at_old:] == new[at_new:]


def main(minutes: float) -> None:
    end = time.monotonic() + minutes * 60
    number = 0
    run = settings(
        max_examples=2000, database=None, deadline=None, print_blob=True, suppress_health_check=list(HealthCheck)
    )(given(mutants())(check))
    while time.monotonic() < end:
        seed(time.time_ns())(run)()
        number += 1
        print(f"{number * 2000} mutants, nothing wrong", flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 10)
