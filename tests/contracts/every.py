"""What takes long: which of the images that break one check are built and held against a whole contract, each for ten
to thirty seconds, and tests of a minute and more whose parts others look at too.

`script/test` takes an image of each contract, `script/contracts` ($HUBTOOL_TEST_EVERY_CHECK) all, and the long tests.
What archives tell, with nothing started, is always tested in full.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TypeVar

import pytest

T = TypeVar("T")

EVERY = bool(os.environ.get("HUBTOOL_TEST_EVERY_CHECK"))

long = pytest.mark.skipif(not EVERY, reason="takes long: script/contracts")


def some(cases: Mapping[str, T], *always: str) -> dict[str, T]:
    """CASES, or of so many the first and those that are ALWAYS taken."""
    return {name: case for number, (name, case) in enumerate(cases.items()) if EVERY or not number or name in always}
