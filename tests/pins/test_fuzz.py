from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, given, settings

from hubtool.pins import Unreadable
from hubtool.pins.finders.find import find_pins
from tests.pins.fuzz import check, mutants


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(mutants())
def test_a_mutant_of_a_deployment_file_is_left_alone_or_moved_exactly(mutant: tuple[bytes, str, str]) -> None:
    check(mutant)


LARGE = {
    "50 MB": b"image: r/i:T\n" + b"a: b\n" * 10_000_000,
    "merges in a chain": b"a0: &a0 {image: r/i:T}\n"
    + b"".join(b"a%d: &a%d\n  <<: *a%d\n" % (n, n, n - 1) for n in range(1, 20_000)),
    "one merge of many": b"a: &a {image: r/i:T}\nb: {<<: [" + b"*a, " * 200_000 + b"*a]}\n",
    "mappings of aliases": b"a0: &a0 {image: r/i:T}\n"
    + b"".join(b"a%d: &a%d {x: *a%d, y: *a%d, z: *a%d}\n" % (n, n, n - 1, n - 1, n - 1) for n in range(1, 190)),
    "expressions without an end": b"image: r/i:T\nx: [\n" + b"{{ {% {# " * 100_000,
    "names without a tag": b"{% if x %}a: [{% endif %}\nimage: r/i:T\n" + b"name: r/i\n" * 100_000,
    "a long key": b"? " + b"k" * 1_000_000 + b"\n: " + b"\n  ".join(b"a%d: r/i:T" % n for n in range(10_000)),
    "deep, long keys": b"".join(b" " * n + b"k" * 900 + b":\n" for n in range(190)) + b" " * 190 + b"image: r/i:T\n",
    "100,000 levels": b"- !a " * 100_000 + b"image: r/i:T",
    "a long path in a value": b"image: r/i:T\nx: " + b"a/" * 1_000_000,
    "a long comment": b"# " + b"tag: image: a/b:c " * 100_000,
    "tags in one mapping": b"{" + b"".join(b"a%d_tag: T, a%d_name: r/i, " % (n, n) for n in range(50_000)) + b"}",
    "keys beside tags": b"{"
    + b"".join(b"a%d_tag: T, a%d: r/i, " % (n, n) for n in range(400))
    + b"".join(b"k%d: x, " % n for n in range(100_000))
    + b"}",
    "spaces": b"image:" + b" " * 1_000_000 + b"r/i:T # T",
}


@pytest.mark.parametrize("name", LARGE)
def test_what_is_large_or_folded_into_itself_takes_no_more_than_seconds(name: str) -> None:
    started = time.process_time()
    try:
        pins = find_pins(LARGE[name], "f.yaml")
    except Unreadable:
        pins = []
    assert time.process_time() - started < 30
    assert all(pin.image == "r/i" for pin in pins)
