from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from hubtool.pins.formats.scalars import reads_as_text

LOOKS_LIKE = st.from_regex(r"[0-9_a-fxobenytrulsNYTF.+-]{1,14}", fullmatch=True).filter(
    lambda text: text[0] not in ".-+"
)


@pytest.mark.parametrize(
    "tag",
    [
        *("123456789012", "012345670123", "1234567e8901", "1e3", "1.5e-3", "4.6", "1.", "0", "00", "1_000", "12345_6"),
        *("0x1f", "0X1F", "0b101", "0o17", "2026-06-29", "2026-6-9", "_", "_1"),
        *("y", "N", "yes", "No", "true", "FALSE", "on", "Off", "null", "NULL", "nan", "inf", "Infinity"),
    ],
)
def test_a_tag_that_looks_like_something_else_gets_quotes(tag: str) -> None:
    assert not reads_as_text(tag)


@pytest.mark.parametrize(
    "tag", ["aaaabbbbcccc", "1.2.3", "v1", "latest", "2026.01.30", "2026.06.29-abcdef1", "3e", "e3", "1e3a", "yesno"]
)
def test_a_tag_that_is_plainly_text_gets_none(tag: str) -> None:
    assert reads_as_text(tag)


@given(LOOKS_LIKE)
def test_what_is_said_to_be_text_is_text_to_yaml_1_1_and_1_2(tag: str) -> None:
    if reads_as_text(tag):
        assert yaml.safe_load(f"tag: {tag}") == {"tag": tag}
        assert YAML(typ="safe", pure=True).load(f"tag: {tag}") == {"tag": tag}
