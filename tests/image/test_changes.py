"""What differs between two images."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubtool.image.changes import Change, compare, is_major, pull_of, total_size
from hubtool.image.inventory import Inventory
from hubtool.image.packages import ECOSYSTEMS, Package

MB = 1_000_000


def inventory(*packages: tuple[str, str, str, str, int], **rest: int) -> Inventory:
    """Of packages (ecosystem, place, name, version, size)."""
    made = [(Package(ecosystem, name, version, place), size) for ecosystem, place, name, version, size in packages]
    return Inventory(tuple(sorted(one for one, _ in made)), {one.key: size for one, size in made}, rest)


def told(change: Change) -> tuple[str, str, str | None, str | None, int]:
    return change.kind, change.name, change.old, change.new, change.growth


def test_packages_are_added_removed_changed_and_rebuilt() -> None:
    old = inventory(
        ("conda", "srv/conda", "numpy", "1.26.4", 30 * MB),
        ("conda", "srv/conda", "scipy", "1.11", 80 * MB),
        ("conda", "srv/conda", "xarray", "2024.1", MB),
        ("dpkg", "", "curl", "7.88-1", 500),
        ("pypi", "opt", "same", "1", 5),
    )
    new = inventory(
        ("conda", "srv/conda", "numpy", "2.1.0", 33 * MB),
        ("conda", "srv/conda", "dask", "2024.8", 2 * MB),
        ("conda", "srv/conda", "xarray", "2025.1", MB),
        ("dpkg", "", "curl", "7.88-1", 510),
        ("pypi", "opt", "same", "1", 5),
    )
    found = compare(old, new)
    assert list(map(told, found.changes)) == [
        ("rebuilt", "curl", "7.88-1", "7.88-1", 10),
        ("changed", "numpy", "1.26.4", "2.1.0", 3 * MB),
        ("changed", "xarray", "2024.1", "2025.1", 0),
        ("added", "dask", None, "2024.8", 2 * MB),
        ("removed", "scipy", "1.11", None, -80 * MB),
    ]
    assert [change.name for change in found.changes if change.major] == ["numpy"]
    assert (found.old_size, found.new_size) == (total_size(old), total_size(new))


def test_a_new_minor_version_of_python_is_not_every_package_anew() -> None:
    old, new = "opt/lib/python3.11/site-packages", "opt/lib/python3.12/site-packages"
    found = compare(
        inventory(("pypi", old, "a", "1", 5), ("pypi", old, "b", "1.0", 5), ("pypi", "usr", "b", "0", 1)),
        inventory(("pypi", new, "a", "1", 5), ("pypi", new, "b", "1.1", 5), ("pypi", "usr", "b", "0", 1)),
    )
    assert list(map(told, found.changes)) == [("changed", "b", "1.0", "1.1", 0)]
    assert found.changes[0].place == new


def test_the_same_name_in_two_ecosystems_is_two_packages() -> None:
    found = compare(inventory(("conda", "x", "numpy", "1", 1)), inventory(("pypi", "x", "numpy", "1", 1)))
    assert [(change.ecosystem, change.kind) for change in found.changes] == [("conda", "removed"), ("pypi", "added")]


def test_folders_of_files_that_are_nobodys_are_told_where_their_size_differs() -> None:
    assert compare(inventory(home=5, srv=1), inventory(home=7, usr=2)).rest == {
        "home": (5, 7),
        "srv": (1, 0),
        "usr": (0, 2),
    }
    assert compare(inventory(home=5), inventory(home=5)).rest == {}


MAJORS = [
    ("1.26.4", "2.0.0", True),
    ("1.26.4", "1.27", False),
    ("0.18", "0.19", False),
    ("0.9", "1.0", True),
    ("9.1", "10.0", True),
    ("2.0", "1.9", True),
    ("v1.2", "v2", True),
    ("1!1.0", "1!2.0", True),
    ("1:2.36-9+deb12u9", "2:2.36-9", False),
    ("2.36-9+deb12u9", "3.0-1", True),
    ("2023.4", "2024.1", False),
    ("20230311", "20241223", False),
    ("2023c-1", "2024a-0+deb12u1", False),
    ("3.1", "2024.1", True),
    ("01.2", "1.3", False),
    ("0", "00", False),
    ("", "2", False),
    ("main", "1.0", False),
    ("9" * 5000, "8" * 5000, True),
]


@pytest.mark.parametrize(("old", "new", "major"), MAJORS, ids=[f"{a[:12]}-{b[:12]}" for a, b, _ in MAJORS])
def test_majors_are_where_the_first_number_differs_but_years_are_not(old: str, new: str, major: bool) -> None:
    assert is_major(old, new) is major
    assert is_major(new, old) is major


def test_a_node_fetches_the_layers_that_it_lacks() -> None:
    pull = pull_of({"a": 10, "b": 20, "c": 1}, {"a": 10, "c": 1, "d": 5, "e": 7})
    assert (pull.layers, pull.bytes, pull.shared_layers, pull.shared_bytes) == (2, 12, 2, 11)


NAMES = st.sampled_from("abc")
PACKAGES = st.tuples(st.sampled_from(ECOSYSTEMS), NAMES, NAMES, st.sampled_from(["", "1", "2.0"]), st.integers(0, 9))
INVENTORIES = st.lists(PACKAGES, unique_by=lambda one: one[:3], max_size=12).map(lambda made: inventory(*made))


@given(INVENTORIES, INVENTORIES)
def test_changes_account_for_every_package_and_byte_and_reversed_are_the_reverse(
    old: Inventory, new: Inventory
) -> None:
    found, back = compare(old, new), compare(new, old)
    assert sum(change.growth for change in found.changes) == found.new_size - found.old_size
    kinds = [change.kind for change in found.changes]
    assert len(new.packages) - len(old.packages) == kinds.count("added") - kinds.count("removed")
    mirrored = sorted((c.ecosystem, c.name, str(c.new), str(c.old), -c.growth) for c in back.changes)
    assert sorted((c.ecosystem, c.name, str(c.old), str(c.new), c.growth) for c in found.changes) == mirrored


@given(INVENTORIES)
def test_an_image_does_not_differ_from_itself(one: Inventory) -> None:
    found = compare(one, one)
    assert (found.changes, found.rest) == ((), {})
