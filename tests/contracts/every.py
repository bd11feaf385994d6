"""Which of the images that break one check are built and held against a whole contract, each for ten to thirty seconds.

`script/test` takes every eighth, `script/contracts` ($HUBTOOL_TEST_EVERY_CHECK) all of them. What archives tell, with
nothing started, is always tested in full.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")

EVERY = bool(os.environ.get("HUBTOOL_TEST_EVERY_CHECK"))
STEP = 1 if EVERY else 8


def some(cases: Mapping[str, T], *always: str) -> dict[str, T]:
    """CASES, or of so many some, ALWAYS among them."""
    return {name: case for number, (name, case) in enumerate(cases.items()) if number % STEP == 0 or name in always}
