from __future__ import annotations

import gzip
import random
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubtool.image.compress import BLOCK, LEVELS, WAITING, Packing, compressor

TEXT = b"".join(b"%d green bottles\n" % number for number in range(200_000))[: 2 * BLOCK + 12_345]


def packed(pieces: Iterator[bytes], packing: Packing = "gzip") -> bytes:
    made = compressor(packing)
    return b"".join([*(made.compress(piece) for piece in pieces), made.flush()])


def cut(data: bytes, *sizes: int) -> Iterator[bytes]:
    """DATA in pieces of SIZES, one after the other, and what is left."""
    for size in sizes:
        yield data[:size]
        data = data[size:]
    yield data


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 12_345])
def test_gzip_unpacks_to_what_was_packed(size: int) -> None:
    assert gzip.decompress(packed(cut(TEXT[:size]))) == TEXT[:size]


@pytest.mark.parametrize("packing", list(LEVELS))
@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 2 * BLOCK), max_size=4))
def test_how_the_input_is_cut_makes_no_difference(packing: Packing, sizes: list[int]) -> None:
    assert packed(cut(TEXT, *sizes), packing) == packed(cut(TEXT), packing)


def test_layers_that_are_packed_side_by_side_are_the_same_bytes() -> None:
    data = random.Random(1).randbytes(BLOCK) + TEXT
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: packed(cut(data, 3, BLOCK, 7)), range(16)))
    assert set(made) == {packed(cut(data))}


def test_no_more_waits_than_a_few_blocks() -> None:
    made = compressor("gzip")
    noise = random.Random(1).randbytes(BLOCK)
    ready = sum(len(made.compress(noise)) for _ in range(3 * WAITING))
    assert ready >= 2 * WAITING * BLOCK


def test_the_gzip_program_reads_it() -> None:
    done = subprocess.run(["gzip", "-dc"], input=packed(cut(TEXT)), capture_output=True, check=True)
    assert done.stdout == TEXT


def test_it_is_smaller_than_what_docker_makes_of_it() -> None:
    # Go's compress/gzip is at best as small as zlib's level 6.
    assert len(packed(cut(TEXT))) < len(gzip.compress(TEXT, 6))
