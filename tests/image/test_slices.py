from __future__ import annotations

import io
import os
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubtool.errors import HubtoolError
from hubtool.image.slices import Slice, open_slice, pread_of

CONTENT = bytes(range(256)) * 40
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.integers(-1, 12_000), st.just(0)),
        st.tuples(st.just("seek"), st.integers(0, 12_000), st.just(os.SEEK_SET)),
        st.tuples(st.just("seek"), st.integers(-200, 200), st.sampled_from([os.SEEK_CUR, os.SEEK_END])),
    ),
    max_size=12,
)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 6000), st.integers(0, 4000), STEPS, st.booleans(), st.booleans())
def test_a_slice_reads_as_a_file_of_its_own(
    offset: int, size: int, steps: list[tuple[str, int, int]], nested: bool, buffered: bool
) -> None:
    file: BinaryIO = open_slice(io.BytesIO(CONTENT), 0, len(CONTENT)) if nested else io.BytesIO(CONTENT)
    mine = open_slice(file, offset, size) if buffered else Slice(pread_of(file), offset, size)
    own = io.BytesIO(CONTENT[offset : offset + size])
    for step, number, whence in steps:
        if step == "read":
            assert mine.read(number) == own.read(number)
            continue
        base = {os.SEEK_SET: 0, os.SEEK_CUR: own.tell(), os.SEEK_END: size}[whence]
        if base + number >= 0:
            assert mine.seek(number, whence) == own.seek(max(0, base + number))
        else:
            with pytest.raises((ValueError, OSError)):
                mine.seek(number, whence)


def test_a_slice_of_a_file_leaves_the_files_position_alone(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(CONTENT)
    with (tmp_path / "a").open("rb") as file:
        file.seek(7)
        assert open_slice(file, 100, 300).read() == CONTENT[100:400]
        assert file.tell() == 7


def test_a_slice_of_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(CONTENT)
    with (tmp_path / "a").open("rb") as file:
        part = open_slice(file, len(CONTENT) - 10, 20)
        with pytest.raises(HubtoolError, match="cut short"):
            part.read()
