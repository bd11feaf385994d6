"""What is read of programs and certificates, also of those that are none."""

from __future__ import annotations

import base64
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubtool.contracts.coder import programs
from hubtool.contracts.coder.needs import certificates, interpreter_of

LINKED = programs.glibc_program("amd64")[:4096]
LOADER = "/lib64/ld-linux-x86-64.so.2"
SCRIPTS = [
    (b"#!/bin/sh\necho", "/bin/sh"),
    (b"#! /usr/bin/env python3\n", "/usr/bin/env"),
    (b"#!\t/bin/bash -eu\n", "/bin/bash"),
    (b"#!bash\n", None),
    (b"#!/", None),
    (b"echo no first line\n", None),
    (b"", None),
]


@pytest.mark.parametrize(("start", "found"), SCRIPTS, ids=lambda value: repr(value))
def test_a_scripts_interpreter_is_that_of_its_first_line(start: bytes, found: str | None) -> None:
    assert interpreter_of(start) == found


def test_a_program_cut_short_has_no_interpreter() -> None:
    whole = LINKED.index(LOADER.encode()) + len(LOADER)
    for size in range(64 + 56):
        assert interpreter_of(LINKED[:size]) is None
    assert interpreter_of(LINKED[: whole + 1]) == LOADER


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**16 - 1), st.integers(0, 2**16 - 1))
def test_nonsense_in_a_programs_header_does_no_harm(first: int, size: int, count: int) -> None:
    header = bytearray(LINKED)
    struct.pack_into("<Q", header, 32, first)
    struct.pack_into("<HH", header, 54, size, count)
    interpreter_of(bytes(header))


@given(st.binary(max_size=300))
def test_any_bytes_after_the_magic_do_no_harm(rest: bytes) -> None:
    interpreter_of(b"\x7fELF\x02\x01" + rest)


def pem(content: bytes, kind: str = "CERTIFICATE") -> str:
    return f"-----BEGIN {kind}-----\n{base64.encodebytes(content).decode()}-----END {kind}-----\n"


def test_certificates_are_found_among_other_things() -> None:
    text = f"# one\n{pem(b'one')}{pem(b'key', 'PRIVATE KEY')}\n# two\n{pem(b'two' * 90, 'TRUSTED CERTIFICATE')}"
    assert certificates(text) == {b"one", b"two" * 90}


@pytest.mark.parametrize("text", ["", "none", "-----BEGIN CERTIFICATE-----\n", pem(b"x").replace("e", "=", 1)])
def test_what_is_no_certificate_is_left_out(text: str) -> None:
    assert certificates(text) in (set(), {b"x"})


@given(st.lists(st.binary(min_size=1, max_size=200)))
def test_every_certificate_of_a_bundle_is_found(contents: list[bytes]) -> None:
    assert certificates("".join(map(pem, contents))) == set(contents)
