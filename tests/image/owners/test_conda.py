"""Conda's packages: records as conda, mamba and rattler write them."""

from __future__ import annotations

import json

import pytest

from hubtool.image.owners import find_owners
from tests.image.owners.images import conda_record, depends, image, owners, packages, wheel

META = "srv/conda/conda-meta"
NUMPY = f"{META}/numpy-1.0-py311h1_0.json"
SITE = "srv/conda/lib/python3.11/site-packages"


def test_a_package_owns_its_files_and_its_record() -> None:
    files = {NUMPY: conda_record("numpy", "lib/a.so", "../out", "lib"), "srv/conda/lib/a.so": "1", "srv/conda/b": "2"}
    assert owners(files) == {NUMPY: "conda:srv/conda:numpy", "srv/conda/lib/a.so": "conda:srv/conda:numpy"}


@pytest.mark.parametrize("key", ["files", "paths_data"])
def test_either_list_of_files_will_do(key: str) -> None:
    record = json.loads(conda_record("numpy", "lib/a.so"))
    files = {NUMPY: json.dumps({**record, key: None}), "srv/conda/lib/a.so": "1"}
    assert "srv/conda/lib/a.so" in owners(files)


def test_each_prefix_has_its_own_packages() -> None:
    files = {
        f"{where}/conda-meta/a-1.0-0.json": conda_record("a") for where in ("srv/conda", "srv/conda/envs/notebook")
    }
    assert list(packages(files)) == ["conda:srv/conda:a", "conda:srv/conda/envs/notebook:a"]


def test_a_prefix_may_be_the_root() -> None:
    assert owners({"conda-meta/a-1.0-0.json": conda_record("a", "bin/a"), "bin/a": "1"})["bin/a"] == "conda::a"


def test_what_a_package_needs_is_of_its_prefix() -> None:
    other = "opt/conda/conda-meta/blas-1.0-0.json"
    files = {
        NUMPY: conda_record("numpy", depends=["python >=3.11,<3.12.0a0", "blas", "__glibc >=2.17", "", " "]),
        f"{META}/python-3.11-0.json": conda_record("python"),
        other: conda_record("blas"),
    }
    assert depends(files)["conda:srv/conda:numpy"] == ("conda:srv/conda:python",)


def test_a_wheel_that_conda_brought_is_condas_with_what_its_record_lists() -> None:
    files = {
        **wheel(SITE, "numpy", "numpy/__init__.py", "../../../bin/f2py"),
        **dict.fromkeys([f"{SITE}/numpy/__init__.py", "srv/conda/bin/f2py"], ""),
        f"{SITE}/numpy/__pycache__/__init__.cpython-311.pyc": "",
    }
    files[NUMPY] = conda_record("numpy", *(path.removeprefix("srv/conda/") for path in files if "bin" not in path))
    assert set(owners(files).values()) == {"conda:srv/conda:numpy"}
    assert set(owners(files)) == set(files)
    assert list(packages(files)) == ["conda:srv/conda:numpy"]


def test_a_wheel_that_pip_put_over_condas_is_pips() -> None:
    module = f"{SITE}/numpy/__init__.py"
    files = {
        NUMPY: conda_record("numpy", "lib/python3.11/site-packages/numpy/__init__.py", "lib/libx.so"),
        **wheel(SITE, "numpy", "numpy/__init__.py", version="2.0"),
        **{module: "", "srv/conda/lib/libx.so": ""},
    }
    found = owners(files)
    assert found[module] == f"pypi:{SITE}:numpy"
    assert found["srv/conda/lib/libx.so"] == "conda:srv/conda:numpy"


def test_a_wheel_needs_the_conda_package_that_brought_the_other() -> None:
    numpy = wheel(SITE, "numpy")
    files = {**numpy, **wheel(SITE, "pandas", needs=("NumPy>=1.2",))}
    files[NUMPY] = conda_record("numpy", *(path.removeprefix("srv/conda/") for path in numpy))
    assert depends(files)[f"pypi:{SITE}:pandas"] == ("conda:srv/conda:numpy",)


def test_the_history_and_what_is_left_in_caches_are_volatile() -> None:
    files = {
        NUMPY: conda_record("numpy"),
        f"{META}/history": "",
        "srv/conda/pkgs/urls.txt": "",
        "srv/conda/pkgs/cache/1.json": "",
        "srv/conda/pkgs/old-1.0-0/lib/x": "",
        **wheel("srv/conda/pkgs/old-1.0-0/site-packages", "old"),
    }
    found = find_owners(image(files))
    assert found.volatile == set(files) - {NUMPY}
    assert [package.name for package in found.packages] == ["numpy"]


@pytest.mark.parametrize("prefix", ["srv/conda", "srv/conda/envs/notebook", "opt/elsewhere"])
def test_what_is_left_of_an_installed_package_is_its_own(prefix: str) -> None:
    kept = "srv/conda/pkgs/numpy-1.0-py311h1_0"
    files = {
        f"{prefix}/conda-meta/numpy-1.0-py311h1_0.json": conda_record("numpy", "lib/a.so"),
        f"{prefix}/lib/a.so": "1",
        "srv/conda/conda-meta/conda-25-0.json": "{}",
        f"{kept}/lib/a.so": f"={prefix}/lib/a.so",
        f"{kept}/info/index.json": "{}",
        f"{kept}.conda": "2",
    }
    found = find_owners(image(files))
    assert not found.volatile
    assert set(found.owner) == set(files) - {"srv/conda/conda-meta/conda-25-0.json"}
    assert set(found.owner.values()) == {f"conda:{prefix}:numpy"}


def test_a_file_of_two_environments_has_one_owner() -> None:
    files = {
        NUMPY: conda_record("numpy", "lib/a.so"),
        "srv/conda/envs/b/conda-meta/numpy-1.0-py311h1_0.json": conda_record("numpy", "lib/a.so"),
        "srv/conda/lib/a.so": "1",
        "srv/conda/envs/b/lib/a.so": "=srv/conda/lib/a.so",
    }
    found = owners(files)
    assert found["srv/conda/lib/a.so"] == found["srv/conda/envs/b/lib/a.so"]
