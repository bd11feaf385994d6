"""Metadata that is broken, huge or made to mislead: passed over, never a crash."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubtool.image.owners import find_owners, tree
from tests.image.owners.images import conda_record, image, packages, wheel

SITE = "v/lib/python3.11/site-packages"
INFO = f"{SITE}/a-1.0.dist-info"
MODULE = "usr/lib/node_modules/a/package.json"
RECORD = "c/conda-meta/a-1.0-0.json"
STATUS = "Package: a\nStatus: install ok installed\nVersion: 1\n"

BROKEN: dict[str, dict[str, str]] = {
    "half a record": {RECORD: conda_record("a", "x")[:50]},
    "a record that is a list": {RECORD: "[]"},
    "a record without end": {RECORD: "[" * 200_000},
    "a record with a number of 5000 digits": {RECORD: f'{{"name": {"1" * 5000}}}'},
    "a record of wrong kinds": {RECORD: conda_record("a", version="1", files=3, depends={"a": 1}, paths_data=[1])},
    "a record with wrong items": {RECORD: conda_record("a", files=[1, {}], paths_data={"paths": [1, {"_path": 2}]})},
    "a record with a name of wrong kind": {RECORD: '{"name": ["a"]}'},
    "a status of zeros": {"var/lib/dpkg/status": "\0" * 1000},
    "a status with colons alone": {"var/lib/dpkg/status": ":\n:\n\n ::\n"},
    "diversions cut short": {"var/lib/dpkg/status": STATUS, "var/lib/dpkg/diversions": "/a\n/b"},
    "a list of zeros": {"var/lib/dpkg/status": STATUS, "var/lib/dpkg/info/a.list": "\0\n/\n//\n/..\n\udcff\n"},
    "a RECORD with an open quote": wheel(SITE, "a") | {f"{INFO}/RECORD": 'a.py,,\n"b.py,,\nc.py'},
    "a RECORD with a long field": wheel(SITE, "a") | {f"{INFO}/RECORD": "x" * 300_000},
    "a RECORD with zeros": wheel(SITE, "a") | {f"{INFO}/RECORD": "\0,\0\n,,\n\n"},
    "a RECORD that is a folder": {f"{INFO}/METADATA": "Name: a\n", f"{INFO}/RECORD/": ""},
    "a RECORD that is a link to itself": {f"{INFO}/METADATA": "Name: a\n", f"{INFO}/RECORD": "->RECORD"},
    "a METADATA of one line without end": {f"{INFO}/METADATA": "Name: " + "a" * 2_000_000},
    "a METADATA that is a link": {f"{INFO}/METADATA": "->/etc/passwd"},
    "a direct_url of wrong kinds": wheel(SITE, "a") | {f"{INFO}/direct_url.json": '{"url": 1, "dir_info": []}'},
    "an egg-link to nowhere": {f"{SITE}/a.egg-link": "\0/../..//\n"},
    "a package.json of wrong kinds": {MODULE: '{"version": [], "bin": 1, "dependencies": 2}'},
    "a package.json with odd programs": {MODULE: '{"bin": {"": "", "\\u0000": 1, "..": 2}}'},
    "a DESCRIPTION of colons": {"usr/lib/R/library/a/DESCRIPTION": "Package: a\nBuilt:\nDepends: ,,(,\n"},
    "folders that lead in circles": {
        "var/lib/dpkg/status": STATUS,
        "var/lib/dpkg/info/a.list": "/x/y/z\n/x/x/x\n",
        "x": "->y",
        "y": "->x",
        **wheel(SITE, "a", "../../../../x/y"),
    },
    "a path of many folders": wheel("/".join("a" * 200), "a", "../" * 20_000 + "x", "b/" * 20_000) | {"x": ""},
}


@pytest.mark.parametrize("files", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_broken_is_passed_over_and_all_else_is_found(files: dict[str, str]) -> None:
    started = time.monotonic()
    sound = wheel("opt/lib/python3.11/site-packages", "sound")
    found = packages({**files, **sound})
    assert found["pypi:opt/lib/python3.11/site-packages:sound"] == "1.0"
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[31mb", "a\udce9b", "a" * 5000])
def test_names_are_one_line_of_text_and_not_long(name: str) -> None:
    for package in find_owners(image({RECORD: conda_record(name)})).packages:
        assert package.name.isprintable()
        assert len(package.name) <= tree.NAME_LIMIT
        package.name.encode()


def test_one_long_list_under_many_names_is_not_read_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "BUDGET", 5_000_000)
    listed = "".join(f"missing/{number},,\n" for number in range(50_000))
    files = {f"{INFO}/METADATA": "Name: a\n", f"{INFO}/RECORD": listed}
    for number in range(2_000):
        files |= {f"{SITE}/a{number}.dist-info/{name}": f"={INFO}/{name}" for name in ("METADATA", "RECORD")}
    started = time.monotonic()
    find_owners(image(files))
    assert time.monotonic() - started < 10


MANY = {
    "prefixes of conda": {f"c{number}/envs/e/conda-meta/a-1-0.json": conda_record("a") for number in range(3_000)},
    "egg-links": {
        **{f"{SITE}/a{number}.egg-link": "/srv/a\n." for number in range(3_000)},
        **{f"srv/a/{number}": "" for number in range(3_000)},
        "srv/a/setup.py": "",
    },
    "packages in each other": {
        path: content
        for number in range(150)
        for path, content in wheel("/".join("a" * number or "b"), f"a{number}", "b.py").items()
    },
}


@pytest.mark.parametrize("files", MANY.values(), ids=MANY.keys())
def test_time_is_in_proportion_to_what_there_is(files: dict[str, str]) -> None:
    contents = image(files)
    assert contents.visible
    started = time.monotonic()
    find_owners(contents)
    assert time.monotonic() - started < 5


PATHS = [
    *("c/conda-meta/a-1-0.json", "c/conda-meta/b-1-0.json", "c/pkgs/a-1-0/x", "c/lib/x.so", "c/pkgs/urls"),
    *("var/lib/dpkg/status", "var/lib/dpkg/info/a.list", "var/lib/dpkg/diversions", "var/lib/dpkg/info/b.list"),
    *(f"{SITE}/{name}-1.dist-info/{file}" for name in "ab" for file in ("METADATA", "RECORD", "direct_url.json")),
    *(f"{SITE}/a/x.py", f"{SITE}/a/__pycache__/x.cpython-311.pyc", f"{SITE}/a.egg-link", f"{SITE}/a.egg-info/PKG-INFO"),
    *(f"{SITE}/a/_vendor/b-1.dist-info/METADATA", "srv/a/setup.py", "srv/a/a.egg-info/PKG-INFO", "srv/a/x.py"),
    *("u/lib/node_modules/a/package.json", "u/bin/a", "u/lib/R/library/a/DESCRIPTION", "tmp/x"),
    *("u/share/jupyter/labextensions/a/package.json", "bin", "lib"),
]
LINES = [
    *("", "Package: a", "Package: b", "Status: install ok installed", "Depends: b | a, c", "Name: a", "Version: 1"),
    *("Built: R", "Requires-Dist: b", "srv/a", "->lib", "->/srv", "../../../../srv/a/x.py,,", "a/x.py,,", "{"),
    *('{"name": "a", "files": ["lib/x.so"], "depends": ["b 1"], "dependencies": {"b": ""}, "bin": "x"}',),
    *('{"url": "file:///srv/a", "dir_info": {"editable": true}}', *(f"/{path}" for path in PATHS), *PATHS),
]
CONTENT = st.lists(st.sampled_from(LINES), max_size=6).map("\n".join)
FILES = st.dictionaries(st.sampled_from(PATHS), CONTENT, max_size=20)


@settings(max_examples=400, deadline=None)
@given(FILES)
def test_whatever_is_in_an_image_the_answer_holds_together(files: dict[str, str]) -> None:
    contents = image(files)
    found = find_owners(contents)
    keys = [package.key for package in found.packages]
    paths = {path for path, entry in contents.visible.items() if entry.kind != "folder"}
    assert len(set(keys)) == len(keys)
    assert list(found.packages) == sorted(found.packages)
    assert set(found.owner.values()) <= set(keys)
    assert set(found.owner) | found.volatile <= paths
    for package in found.packages:
        assert set(package.depends) <= set(keys) - {package.key}
    assert find_owners(image(dict(reversed(files.items())))) == found
