from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubtool.config import load
from hubtool.errors import HubtoolError
from hubtool.plan import read_graph
from hubtool.plan.readme import BEGIN, END, section, with_section
from tests.plan.test_plan import SOURCE

EXAMPLE = Path(__file__).parents[2] / "examples" / "workstations"


def test_the_table_says_what_hubtool_yaml_declares() -> None:
    config = load(EXAMPLE, {})
    text = section(config, read_graph(config, EXAMPLE, SOURCE))
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) == 7
    assert rows[0] == (
        "| `harbor.example.org/library-batch/ubuntu-python` | `ubuntu:22.04`, `nvidia/cuda:11.8.0-runtime-ubuntu22.04` "
        "| device cpu, cuda11 | `{version}{cuda11}` |"
    )
    assert "`ubuntu-python-tensorflow` | device cpu, cuda11 (1 of 2 left out) |" in rows[3]
    assert text.startswith("```mermaid\ngraph LR\n")
    assert text.count(" --> ") == 6
    assert "to build" not in text


@given(st.text(), st.text(), st.text())
def test_all_but_the_section_stays(before: str, between: str, after: str) -> None:
    text = f"{before}{BEGIN}{between}{END}{after}"
    if BEGIN in before + between + after or END in before + between + after:
        return
    written = with_section(text, "NEW", "README.md")
    assert written == f"{before}{BEGIN}\n\nNEW\n\n{END}{after}"
    assert with_section(written, "NEW", "README.md") == written


@pytest.mark.parametrize("text", ["", BEGIN, END, END + BEGIN, BEGIN + END + END, BEGIN + BEGIN + END])
def test_a_file_without_the_two_marks_is_an_error_that_names_them(text: str) -> None:
    with pytest.raises(HubtoolError, match=r"a/README\.md does not say where the images go") as raised:
        with_section(text, "NEW", "a/README.md")
    assert raised.value.hint
    assert BEGIN in raised.value.hint
