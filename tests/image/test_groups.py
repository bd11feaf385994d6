"""Files and owners made by hand, and the groups that they make."""

from __future__ import annotations

import tarfile
from collections.abc import Collection, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubtool.image import groups
from hubtool.image.files import Entry
from hubtool.image.groups import LARGE_FILE, LARGE_FOLDER, MOST_DEPTH, group_files
from hubtool.image.packages import Ownership, Package
from tests.image.layers import image_of, image_with, member

PYC = "{}__pycache__/{}.cpython-311.pyc"


def ownership(owner: Mapping[str, str], volatile: Collection[str] = ()) -> Ownership:
    packages = tuple(sorted(Package("pypi", name, "1", "srv/venv") for name in set(owner.values())))
    keys = {package.name: package.key for package in packages}
    return Ownership(packages, {path: keys[name] for path, name in owner.items()}, frozenset(volatile))


def grouped(visible: Mapping[str, Entry], owned: Ownership) -> dict[str, str]:
    """Path to key, short names for packages."""
    found = group_files(visible, owned)
    assert [group.key for group in found.groups] == sorted(found.paths)
    pairs = [(path, key.replace("pypi:srv/venv:", "")) for key, paths in found.paths.items() for path in paths]
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


CASES: dict[str, tuple[list[str], dict[str, str], list[str], dict[str, str]]] = {
    "a package's files go together": (
        ["bin/x", "lib/x/a", "lib/y/a"],
        {"bin/x": "x", "lib/x/a": "x", "lib/y/a": "y"},
        [],
        {"bin/x": "x", "lib/x/a": "x", "lib/y/a": "y"},
    ),
    "compiled files go with their source": (
        ["l/a.py", PYC.format("l/", "a"), "m/b.py", PYC.format("m/", "b")],
        {"l/a.py": "x"},
        [],
        {
            "l/a.py": "x",
            PYC.format("l/", "a"): "x",
            "m/b.py": "dir:m",
            "m/__pycache__/b.cpython-311.pyc": "dir:m",
        },
    ),
    "a compiled file without source is its owner's": (
        [PYC.format("l/", "a")],
        {PYC.format("l/", "a"): "x"},
        [],
        {PYC.format("l/", "a"): "x"},
    ),
    "what changes with every build is apart, whoever owns it": (
        ["var/lib/dpkg/status", "var/log/x"],
        {"var/log/x": "x"},
        ["var/lib/dpkg/status", "var/log/x"],
        {"var/lib/dpkg/status": "volatile", "var/log/x": "volatile"},
    ),
    "what is nobody's goes by folder, two deep": (
        ["a", "etc/passwd", "etc/apt/sources.list", "srv/repo/a", "srv/repo/b/c/d", "srv/other/a"],
        {},
        [],
        {
            "a": "dir:",
            "etc/passwd": "dir:etc",
            "etc/apt/sources.list": "dir:etc/apt",
            "srv/repo/a": "dir:srv/repo",
            "srv/repo/b/c/d": "dir:srv/repo",
            "srv/other/a": "dir:srv/other",
        },
    ),
    "folders go with what is in them, empty ones like files": (
        ["etc/", "etc/x", "srv/empty/", "opt/", "opt/mine/", "usr/"],
        {"opt/mine/": "x", "opt/mine": "x"},
        [],
        {"etc/x": "dir:etc", "srv/empty": "dir:srv", "opt/mine": "x", "usr": "dir:"},
    ),
}


@pytest.mark.parametrize(("paths", "owner", "volatile", "expected"), CASES.values(), ids=CASES.keys())
def test_groups(paths: list[str], owner: dict[str, str], volatile: list[str], expected: dict[str, str]) -> None:
    assert grouped(image_with(dict.fromkeys(paths, b"")).visible, ownership(owner, volatile)) == expected


def entries(sizes: Mapping[str, int]) -> dict[str, Entry]:
    return {
        path: Entry(path, "file", 0, size, number, 0o644, 0, 0) for number, (path, size) in enumerate(sizes.items())
    }


def test_a_large_file_that_nobody_owns_is_alone() -> None:
    sizes = {"opt/model": LARGE_FILE, "opt/small": LARGE_FILE - 1, "opt/lib.so": LARGE_FILE}
    assert grouped(entries(sizes), ownership({"opt/lib.so": "x"})) == {
        "opt/model": "file:opt/model",
        "opt/small": "dir:opt",
        "opt/lib.so": "x",
    }


def test_the_subfolders_of_a_large_folder_are_apart_but_not_for_ever() -> None:
    size = LARGE_FILE // 2
    count = LARGE_FOLDER // size + 1
    deep = "/".join("abcdefgh")
    sizes = {f"opt/big/{deep}/{number}": size for number in range(count)}
    sizes |= {"opt/big/x/y/z": 1, "opt/big/top": 1, "opt/little/x/y": 1}
    found = grouped(entries(sizes), ownership({}))
    assert found[f"opt/big/{deep}/0"] == "dir:" + "/".join(f"opt/big/{deep}".split("/")[:MOST_DEPTH])
    assert found["opt/big/x/y/z"] == "dir:opt/big/x"
    assert found["opt/big/top"] == "dir:opt/big"
    assert found["opt/little/x/y"] == "dir:opt/little"


def test_names_of_one_file_are_one_groups_a_packages_before_all() -> None:
    def names(first: str, *others: str) -> dict[str, Entry]:
        links = [(member(name, tarfile.LNKTYPE, linkname=first), b"") for name in others]
        return image_of([(member(first), b"content"), *links]).visible

    cache, env, mine = "srv/conda/pkgs/numpy/a.so", "srv/conda/lib/a.so", "home/me/a.so"
    owned = ownership({env: "numpy"}, [cache])
    assert grouped(names(cache, env), owned) == {cache: "numpy", env: "numpy"}
    assert grouped(names(env, cache, mine), owned) == {cache: "numpy", env: "numpy", mine: "numpy"}
    assert set(grouped(names(cache, mine), owned).values()) == {"dir:home/me"}
    assert group_files(names(env, cache, mine), owned).groups[0].size == len(b"content") + 3 * groups.HEADER


def test_sizes_are_of_contents_and_headers() -> None:
    found = group_files(entries({"a/b/c": 100, "a/b/d": 50}), ownership({}))
    assert [(group.key, group.size) for group in found.groups] == [("dir:a/b", 150 + 2 * 512)]


def test_only_the_group_of_what_changes_is_volatile_and_packages_keep_what_they_need() -> None:
    needs = Package("pypi", "x", "1", "srv/venv", depends=("pypi:srv/venv:y",))
    owned = Ownership((needs,), {"x": needs.key}, frozenset({"log"}))
    found = {group.key: group for group in group_files(entries({"x": 1, "log": 1, "z": 1}), owned).groups}
    assert {key for key, group in found.items() if group.volatile} == {"volatile"}
    assert found[needs.key].depends == ("pypi:srv/venv:y",)


names = st.sampled_from(["a", "b", "__pycache__", "m.py", "m.cpython-311.pyc", "c"])
sizes = st.sampled_from([0, 5, LARGE_FILE, LARGE_FOLDER - 1])
trees = st.dictionaries(st.lists(names, min_size=1, max_size=8).map("/".join), sizes, max_size=30)


@given(trees, st.data())
def test_every_file_is_in_one_group_whatever_the_order(sizes: dict[str, int], data: st.DataObject) -> None:
    paths = sorted(sizes)
    owner = {path: "x" for path in data.draw(st.lists(st.sampled_from(paths))) if paths} if paths else {}
    owned = ownership(owner, data.draw(st.lists(st.sampled_from(paths))) if paths else [])
    visible = entries(sizes)
    found = grouped(visible, owned)
    assert set(found) >= {path for path in visible if not any(other.startswith(path + "/") for other in visible)}
    assert set(found) <= set(visible)
    turned = dict(reversed(visible.items()))
    assert grouped(turned, owned) == found
    assert group_files(turned, owned).groups == group_files(visible, owned).groups
