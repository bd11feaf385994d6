from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubtool.config import load
from hubtool.errors import HubtoolError
from hubtool.plan import Variant, make_plan
from hubtool.plan.run import run_plan
from tests.plan.test_plan import SOURCE


@pytest.fixture(scope="module")
def some(tmp_path_factory: pytest.TempPathFactory) -> Variant:
    root = tmp_path_factory.mktemp("plan")
    (root / "hubtool.yaml").write_text("registry: quay.io/team\nimages: {one: }\n")
    return make_plan(load(root, {}), root, SOURCE)[0]


def tree(some: Variant, parents: Mapping[str, str | None]) -> list[Variant]:
    return [replace(some, image=name, parent=parent) for name, parent in parents.items()]


CHAINS = {"a": None, "b": "a", "c": "b", "d": None, "e": "d"}


@pytest.mark.parametrize("jobs", [1, 2, 8])
def test_each_is_made_once_after_its_parent_which_it_is_given(some: Variant, jobs: int) -> None:
    given_to: dict[str, str | None] = {}

    def make(variant: Variant, made: Mapping[str, str]) -> str:
        assert variant.image not in given_to
        given_to[variant.image] = made[variant.parent] if variant.parent else None
        return variant.image.upper()

    run = run_plan(tree(some, CHAINS), make, jobs=jobs)
    assert given_to == {"a": None, "b": "A", "c": "B", "d": None, "e": "D"}
    assert run.made == {name: name.upper() for name in CHAINS}
    assert [variant.image for variant in run.ready] == list(CHAINS)
    run.raise_failures()


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_failure_takes_its_descendants_and_nothing_else(some: Variant, jobs: int) -> None:
    def make(variant: Variant, made: Mapping[str, str]) -> str:
        if variant.image == "a":
            raise HubtoolError("no such file", hint="look again")
        return ""

    run = run_plan(tree(some, CHAINS), make, jobs=jobs)
    assert set(run.made) == {"d", "e"}
    assert run.left == {"b": "a", "c": "a"}
    with pytest.raises(HubtoolError) as caught:
        run.raise_failures()
    assert str(caught.value).splitlines() == [
        "1 of 5 failed",
        "  a: no such file",
        "  look again",
        "  b: left out, since a failed",
        "  c: left out, since a failed",
        "  what needs none of these was done",
    ]


def test_the_only_variants_error_is_raised_as_it_is(some: Variant) -> None:
    problem = HubtoolError("no such file", hint="look again")

    def make(variant: Variant, made: Mapping[str, str]) -> str:
        raise problem

    with pytest.raises(HubtoolError) as caught:
        run_plan([some], make).raise_failures()
    assert caught.value is problem


def test_what_does_not_need_each_other_is_made_side_by_side(some: Variant) -> None:
    both = threading.Barrier(2, timeout=60)

    def make(variant: Variant, made: Mapping[str, str]) -> str:
        both.wait()  # broken, and an error, unless two come at once
        return ""

    assert set(run_plan(tree(some, {"a": None, "b": None}), make, jobs=2).made) == {"a", "b"}


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_bug_ends_the_run(some: Variant, jobs: int) -> None:
    made_so_far: list[str] = []

    def make(variant: Variant, made: Mapping[str, str]) -> str:
        made_so_far.append(variant.image)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_plan(tree(some, CHAINS), make, jobs=jobs)
    assert not {"b", "c", "e"} & set(made_so_far)


@given(st.lists(st.integers(0, 20), max_size=20), st.sets(st.integers(0, 20)), st.integers(1, 4))
def test_every_variant_is_made_failed_or_left(some: Variant, parents: list[int], failing: set[int], jobs: int) -> None:
    names: dict[str, str | None] = {"0": None}
    names |= {str(number): str(parent) if parent < number else None for number, parent in enumerate(parents, 1)}

    def make(variant: Variant, made: Mapping[str, str]) -> str:
        if int(variant.image) in failing:
            raise HubtoolError("no")
        return variant.image

    run = run_plan(tree(some, names), make, jobs=jobs)
    assert sorted([*run.made, *run.failed, *run.left]) == sorted(names)
    for name, parent in names.items():
        broken = parent in run.failed or parent in run.left
        assert (name in run.left) == broken
        assert broken or (name in run.failed) == (int(name) in failing)
