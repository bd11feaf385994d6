"""Compiled Python files are made by the real compiler; whether they are valid, the real interpreter says."""

from __future__ import annotations

import importlib.util
import os
import py_compile
import struct
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubtool.image.files import ImageFiles
from hubtool.image.times import CREATED, HEAD, JULIA_TIME, Times, source_of
from tests.image.layers import image_of, member

TAG = sys.implementation.cache_tag
SOURCE, COMPILED = "lib/m.py", f"lib/__pycache__/m.{TAG}.pyc"
CODE = b"answer = 42\n"
HASHED = py_compile.PycInvalidationMode.CHECKED_HASH
BY_TIME = py_compile.PycInvalidationMode.TIMESTAMP


def compiled(folder: Path, mode: py_compile.PycInvalidationMode, time: int) -> bytes:
    source = folder / "m.py"
    source.write_bytes(CODE)
    os.utime(source, (time, time))
    return Path(py_compile.compile(str(source), str(folder / "m.pyc"), invalidation_mode=mode) or "").read_bytes()


def image(pyc: bytes, time: int, source: bytes = CODE, compiled_path: str = COMPILED) -> ImageFiles:
    return image_of([(member(SOURCE, mtime=time), source), (member(compiled_path), pyc)])


def after(files: ImageFiles, created: int = CREATED, path: str = COMPILED) -> bytes:
    entry = files.visible[path]
    content = files.read(entry, entry.size)
    return Times(files, created).head(entry, content[:HEAD]) + content[HEAD:]


def is_used(folder: Path, pyc: bytes, source: bytes = CODE, time: int = CREATED) -> bool:
    """Whether Python takes the compiled file as it is, and writes no other."""
    (folder / "lib/__pycache__").mkdir(parents=True)
    (folder / SOURCE).write_bytes(source)
    (folder / COMPILED).write_bytes(pyc)
    os.utime(folder / SOURCE, (time, time))
    command = [sys.executable, "-v", "-c", "import sys; sys.path.insert(0, 'lib'); import m; print(m.answer)"]
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "42\n"
    used = f"code object from '{folder / COMPILED}'" in done.stderr
    assert used == ((folder / COMPILED).read_bytes() == pyc)
    return used


@pytest.mark.parametrize("time", [1_700_000_001, 0, 2**32 + 5])
def test_what_was_valid_is_valid(tmp_path: Path, time: int) -> None:
    before = compiled(tmp_path, BY_TIME, time)
    changed = after(image(before, time))
    assert changed != before
    assert changed[HEAD:] == before[HEAD:]
    assert is_used(tmp_path, changed)


def test_what_was_stale_is_stale_even_where_it_names_the_time_that_all_files_get(tmp_path: Path) -> None:
    before = compiled(tmp_path, BY_TIME, CREATED)
    edited = image(before, 1_700_000_001)
    assert not is_used(tmp_path, after(edited))


def test_the_time_of_the_build_does_not_matter(tmp_path: Path) -> None:
    builds = {after(image(compiled(tmp_path, BY_TIME, time), time)) for time in (1_700_000_000, 1_800_000_000)}
    assert len(builds) == 1
    stale = {after(image(compiled(tmp_path, BY_TIME, time), 5)) for time in (1_700_000_000, 1_800_000_000)}
    assert len(stale) == 1
    assert builds != stale


def test_a_file_compiled_of_another_source_of_the_same_time_is_stale(tmp_path: Path) -> None:
    before = compiled(tmp_path, BY_TIME, 1_700_000_001)
    longer = CODE + b"# longer\n"
    assert not is_used(tmp_path, after(image(before, 1_700_000_001, longer)), longer)


@pytest.mark.parametrize("name", ["m.cpython-311.opt-1", "m.cpython-311-pytest-8.4.2", "m.pypy310", "m.graalpy240-311"])
def test_files_of_other_interpreters_and_of_pytest_are_seen_to_too(tmp_path: Path, name: str) -> None:
    before = compiled(tmp_path, BY_TIME, 1_700_000_001)
    path = f"lib/__pycache__/{name}.pyc"
    assert after(image(before, 1_700_000_001, compiled_path=path), path=path)[8:12] == struct.pack("<I", CREATED)


def test_the_header_of_before_python_37_is_shorter() -> None:
    before = b"\x33\x0d\x0d\x0a" + struct.pack("<II", 1_700_000_001, len(CODE)) + b"\xe3\0\0\0code"
    path = "lib/__pycache__/m.cpython-36.pyc"
    changed = after(image(before, 1_700_000_001, compiled_path=path), path=path)
    assert changed == before[:4] + struct.pack("<I", CREATED) + before[8:]


def test_files_valid_by_hash_stay_as_they_are(tmp_path: Path) -> None:
    before = compiled(tmp_path, HASHED, 1_700_000_001)
    assert after(image(before, 1_700_000_001)) == before


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 15])
def test_a_file_too_short_to_be_one_stays_as_it_is(content: bytes) -> None:
    assert after(image(content, 5)) == content


def test_a_file_without_a_source_stays_as_it_is(tmp_path: Path) -> None:
    before = compiled(tmp_path, BY_TIME, 5)
    assert after(image_of([(member(COMPILED), before)])) == before


def test_the_source_may_be_a_symbolic_link(tmp_path: Path) -> None:
    before = compiled(tmp_path, BY_TIME, 7)
    link = member(SOURCE, tarfile.SYMTYPE, linkname="../real.py", mtime=99)
    files = image_of([(link, b""), (member("real.py", mtime=7), CODE), (member(COMPILED), before)])
    assert after(files)[8:12] == struct.pack("<I", CREATED)


@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1))
def test_the_source_is_the_one_that_python_names(name: str) -> None:
    path = f"a/{name}.py"
    assert source_of(importlib.util.cache_from_source(path)) == path


@pytest.mark.parametrize("path", ["a/m.pyc", "__pycache__/m.pyc", "a/__pycache__/m.cpython-311.so", "a/m.py", ""])
def test_other_files_have_no_source(path: str) -> None:
    assert source_of(path) is None


JULIA = {
    "opt/depot/packages/JSON/93Ea8/src/JSON.jl": JULIA_TIME,
    "opt/depot/packages/JSON/93Ea8/data/a.json": JULIA_TIME,
    "opt/julia/share/julia/stdlib/v1.10/Dates/src/Dates.jl": JULIA_TIME,
    "opt/depot/dev/Mine/src/Mine.jl": CREATED,
    "opt/other/packages/JSON/93Ea8/src/JSON.jl": CREATED,
    "srv/repo/a.jl": CREATED,
}


def test_julia_finds_the_packages_that_it_compiled_unchanged() -> None:
    files = image_of([(member(path), b"") for path in [*JULIA, "opt/depot/compiled/v1.10/JSON/a.ji"]])
    times = Times(files)
    assert {path: times.of(path) for path in JULIA} == JULIA
