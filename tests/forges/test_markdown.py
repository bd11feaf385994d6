from __future__ import annotations

import pytest

from hubtool.forges.markdown import bounded, code, link, table


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "`plain`"),
        ("", ""),
        ("a|b", "`a\\|b`"),
        ("@everyone [x](http://evil)", "`@everyone [x](http://evil)`"),
        ("a`b", "``a`b``"),
        ("`x`", "`` `x` ``"),
        ("one\ntwo\r\n| three", "`one two  \\| three`"),
        ("\u202egnp.exe\x1b[31m", "`gnp.exe [31m`"),
        ("x" * 1000, f"`{'x' * 300}`"),
    ],
)
def test_text_from_outside_is_code_and_nothing_else(text: str, expected: str) -> None:
    assert code(text) == expected


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "https://x.org/) [y](z", "https://x.org/a b", "//x.org/a", "https://u@x.org/a", ""]
)
def test_an_address_that_is_not_plain_is_not_linked(url: str) -> None:
    assert link("x", url) == "`x`"


def test_a_plain_address_is_linked() -> None:
    assert link("x", "https://github.com/a/b/commit/c0ffee") == "[`x`](https://github.com/a/b/commit/c0ffee)"


def test_a_long_table_says_what_it_leaves_out() -> None:
    text = table(("a",), [(str(n),) for n in range(5)], most=2)
    assert text == "| a |\n| --- |\n| 0 |\n| 1 |\n\n… and 3 more."


def test_a_body_stays_below_githubs_limit() -> None:
    assert bounded("short\n") == "short\n"
    text = bounded("line\n" * 50_000)
    assert len(text) < 65_536
    assert text.endswith("line\n\n… (cut)\n")
