from __future__ import annotations

import pytest

from hubtool.errors import HubtoolError
from hubtool.pins.prove import _second_opinion
from hubtool.pins.witness import json_changes


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ('{"a": "x"}', '{"a": "x"}', []),
        ('{"a": "x", "b": ["x"]}', '{"a": "y", "b": ["z"]}', [("x", "y"), ("x", "z")]),
        ('{"a": 1, "b": 1.50}', '{"a": "1", "b": "2"}', [("1", "1"), ("1.50", "2")]),
        ('{"a": true}', '{"a": "y"}', [("true", "y")]),
        ('{"a": "x", "a": "x"}', '{"a": "y", "a": "x"}', [("x", "y")]),
        ('{"a": 1}', '{"b": 1}', [("a", "b")]),
        ("\ufeff[1]", '\ufeff["1"]', [("1", "1")]),
        ('["' + "1" * 5000 + '"]', "[" + "1" * 5000 + "]", None),
        ("[1]", "[2]", None),
        ("[1]", "[1.0]", None),
        ('["1"]', "[1]", None),
        ("[1]", "[1, 2]", None),
        ("[]", "{}", None),
        ('{"a": {}}', '{"a": "x"}', None),
    ],
)
def test_what_changes_between_two_versions(before: str, after: str, changes: list[tuple[str, str]] | None) -> None:
    seen = json_changes(before, after)
    assert (seen and sorted(seen)) == changes


@pytest.mark.parametrize(
    ("after", "changed"),
    [
        ('["U", "T", 1]', []),
        ('["U", "T", 1]', [("T", "V")]),
        ('["U", "T", 1]', [("T", "U"), ("T", "U")]),
        ('["U", "T", 2]', [("T", "U")]),
        ('["U", 1]', [("T", "U")]),
    ],
)
def test_a_change_that_the_witness_sees_otherwise_is_refused(after: str, changed: list[tuple[str, str]]) -> None:
    _second_opinion('["T", "T", 1]', '["U", "T", 1]', [("T", "U")], "f.json")
    with pytest.raises(HubtoolError, match="another reader of JSON"):
        _second_opinion('["T", "T", 1]', after, changed, "f.json")
