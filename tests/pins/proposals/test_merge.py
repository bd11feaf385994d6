from __future__ import annotations

from pathlib import Path

import pytest

from hubtool.config import Deployment
from hubtool.errors import HubtoolError
from hubtool.pins.proposals.merge import Merge, promote_branch
from hubtool.reference import ImageReference
from tests.forges.repositories import commit, git
from tests.pins.bumping import FILE, NEW, NEWER, OLD, OTHER, hubs, image, nobody, pin

__all__ = ["hubs", "image", "nobody", "pin"]
START = 1_700_000_000


@pytest.fixture
def two(hubs: Path, pin: str) -> Path:
    git(hubs, "branch", "prod", "staging")
    commit(hubs, "staging", {FILE: pin.replace(OLD, NEW)}, time=START)
    commit(hubs, "staging", {OTHER: pin.replace(OLD, NEWER)}, time=START + 3600)
    return hubs


def promote(hubs: Path, hub: str = "base", now: int = START + 7200, soak: str = "0h") -> Merge:
    deployment = Deployment(repository=str(hubs), branch="staging", promote="prod", soak=soak)
    return promote_branch([hub], deployment, now=now)


def test_the_request_merges_the_branch_and_lists_the_pins_of_every_hub(two: Path, image: ImageReference) -> None:
    done = promote(two)
    assert done.request is not None
    text = (two / "requests/1.md").read_text()
    assert 'head: "staging"\nbase: "prod"\n' in text
    assert f"| `base` | `{image.name}` | `{FILE}:6` | `{OLD}` | `{NEW}` |" in text
    assert f"| `other` | `{image.name}` | `{OTHER}:6` | `{OLD}` | `{NEWER}` |" in text
    again = promote(two).request
    assert again is not None
    assert again.state == "unchanged"


def test_the_hubs_that_are_named_have_to_have_soaked(two: Path) -> None:
    assert promote(two, "base", START + 5400, "1h").request is not None
    waiting = promote(two, "other", START + 5400, "1h")
    assert waiting.request is None
    assert waiting.waiting.endswith("30 min to go")
    assert "not yet" in str(waiting)


def test_branches_that_agree_need_no_request(two: Path) -> None:
    git(two, "update-ref", "refs/heads/prod", git(two, "rev-parse", "staging"))
    done = promote(two)
    assert (done.moved, done.request) == ((), None)
    assert str(done).startswith("nothing to do")


def test_an_unknown_hub_is_an_error(two: Path) -> None:
    with pytest.raises(HubtoolError, match="no hub 'bas'; did you mean 'base'"):
        promote(two, "bas")
