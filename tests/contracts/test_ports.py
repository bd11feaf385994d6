"""Listening ports, as the kernel tells them."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubtool.contracts.ports import only_loopback, read_tables

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:22B8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   2: 0100007F:9C40 0100007F:22B8 01 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when
   0: 00000000000000000000000001000000:22B8 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000
   1: 0000000000000000FFFF00000100007F:1F91 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000
"""


def test_the_kernels_tables_are_read() -> None:
    assert read_tables(TABLE) == {8888: ["127.0.0.1", "::1"], 8080: ["0.0.0.0"], 8081: ["127.0.0.1"]}


@pytest.mark.parametrize(
    ("addresses", "only"),
    [(["127.0.0.1"], True), (["127.0.0.1", "::1"], True), (["127.0.0.1", "::"], False), (["0.0.0.0"], False)],
)
def test_loopback_is_told_from_the_rest(addresses: list[str], only: bool) -> None:
    assert only_loopback(addresses) is only


@given(st.text(alphabet="0123456789ABCDEF: \n\x00é"))
def test_what_is_no_table_is_read_or_refused_and_no_more(text: str) -> None:
    with suppress(ValueError):
        read_tables(f"{TABLE}\n{text}")
