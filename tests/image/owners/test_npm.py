"""Global modules of npm, and prebuilt extensions of JupyterLab."""

from __future__ import annotations

import json

import pytest

from hubtool.image.owners import find_owners
from tests.image.owners.images import depends, image, owners, packages, wheel

ROOT = "usr/local/lib/node_modules"


def module(name: str, root: str = ROOT, **more: object) -> dict[str, str]:
    document = {"name": name, "version": "1.0.0", **more}
    return {f"{root}/{name}/package.json": json.dumps(document), f"{root}/{name}/index.js": ""}


@pytest.mark.parametrize("name", ["tool", "@scope/tool", "lib"])
def test_a_module_owns_its_folder_with_the_modules_in_it(name: str) -> None:
    files = module(name) | module("inner", f"{ROOT}/{name}/node_modules")
    assert packages(files) == {f"npm:{ROOT}:{name}": "1.0.0"}
    assert owners(files) == dict.fromkeys(files, f"npm:{ROOT}:{name}")


@pytest.mark.parametrize("programs", ["cli.js", {"tool": "cli.js", "../../etc/passwd": "x", "other": "cli.js"}])
def test_a_modules_programs_are_its_own_when_they_lead_into_it(programs: object) -> None:
    files = {**module("tool", bin=programs), f"{ROOT}/tool/cli.js": ""}
    files |= {"usr/local/bin/tool": "->../lib/node_modules/tool/cli.js", "usr/local/bin/other": "->/bin/sh"}
    found = owners({**files, "bin/sh": "", "etc/passwd": ""})
    assert found["usr/local/bin/tool"] == f"npm:{ROOT}:tool"
    assert not {"usr/local/bin/other", "bin/sh", "etc/passwd"} & set(found)


def test_modules_need_each_other_within_a_root() -> None:
    files = module("a", dependencies={"b": "^1", "c": "*"}) | module("b") | module("c", "opt/node/lib/node_modules")
    assert depends(files)[f"npm:{ROOT}:a"] == (f"npm:{ROOT}:b",)


def test_a_projects_own_modules_are_no_global_ones() -> None:
    assert packages(module("a", "srv/app/node_modules")) == {}


def test_npms_own_list_of_all_modules_is_volatile() -> None:
    assert find_owners(image({f"{ROOT}/.package-lock.json": "{}"})).volatile == {f"{ROOT}/.package-lock.json"}


def extension(prefix: str = "usr/local") -> dict[str, str]:
    where = f"{prefix}/share/jupyter/labextensions/@me/lab"
    return {f"{where}/package.json": '{"name": "@me/lab", "version": "2.0"}', f"{where}/static/x.js": ""}


def test_an_extension_of_jupyterlab_owns_its_folder() -> None:
    key = "jupyter:usr/local/share/jupyter/labextensions:@me/lab"
    assert packages(extension()) == {key: "2.0"}
    assert owners(extension()) == dict.fromkeys(extension(), key)


def test_one_that_a_wheel_brought_is_the_wheels() -> None:
    site, files = "opt/venv/lib/python3.11/site-packages", extension("opt/venv")
    files |= wheel(site, "lab", *(path.replace("opt/venv", "../../..") for path in files if "package" in path))
    assert owners(files) == dict.fromkeys(files, f"pypi:{site}:lab")
    assert packages(files) == {f"pypi:{site}:lab": "1.0"}
