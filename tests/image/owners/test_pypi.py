"""Python packages: what pip, uv and setuptools leave behind."""

from __future__ import annotations

import json

import pytest

from hubtool.image.owners import find_owners
from tests.image.owners.images import depends, image, owners, packages, wheel

SITE = "opt/venv/lib/python3.11/site-packages"
KEY = f"pypi:{SITE}:a"


def files_of(*paths: str) -> dict[str, str]:
    return dict.fromkeys(paths, "")


@pytest.mark.parametrize(
    ("entry", "path"),
    [
        ("a/__init__.py", f"{SITE}/a/__init__.py"),
        ("../../../bin/a", "opt/venv/bin/a"),
        ("../../../../../../../../../../bin/a", "bin/a"),
        ("/opt/venv/etc/a.conf", "opt/venv/etc/a.conf"),
        ('"a/x, ""y"".txt"', f'{SITE}/a/x, "y".txt'),
        ("a/caf\udce9", f"{SITE}/a/caf\udce9"),
        ("./a//b/../x.py", f"{SITE}/a/x.py"),
    ],
)
def test_a_package_owns_what_its_record_lists(entry: str, path: str) -> None:
    assert owners({**wheel(SITE, "a", entry), path: ""})[path] == KEY


def test_all_of_the_info_folder_goes_with_its_package() -> None:
    files = {
        **wheel(SITE, "a"),
        **files_of(*(f"{SITE}/a-1.0.dist-info/{name}" for name in ("REQUESTED", "licenses/X"))),
    }
    found = find_owners(image(files))
    assert found.owner == dict.fromkeys(files, KEY)
    assert not found.volatile


def test_names_are_spelt_one_way_and_versions_kept() -> None:
    assert packages(wheel(SITE, "Ruamel.YAML__x", version="1!2.0+local")) == {
        f"pypi:{SITE}:ruamel-yaml-x": "1!2.0+local"
    }


def test_a_package_with_broken_metadata_is_named_by_its_folder() -> None:
    assert packages({f"{SITE}/some_tool-1.2.dist-info/METADATA": "\0\0"}) == {f"pypi:{SITE}:some-tool": "1.2"}


def test_a_licence_with_blank_lines_hides_no_field() -> None:
    text = "Name: a\nVersion: 1.0\nLicense: BSD\n        \n        All rights\nRequires-Dist: b\n\nRequires-Dist: c\n"
    files = {f"{SITE}/a-1.0.dist-info/METADATA": text, **wheel(SITE, "b"), **wheel(SITE, "c")}
    assert depends(files)[KEY] == (f"pypi:{SITE}:b",)


def test_what_a_package_needs_but_extras_is_found_in_its_own_environment_first() -> None:
    needs = ("b (>=1)", 'c; extra == "x"', "d[x]>=1; python_version>'3'", "gone")
    files = {**wheel(SITE, "a", needs=needs)}
    for name in "bcd":
        files |= wheel(SITE, name) | wheel("opt/other/lib/python3.11/site-packages", name)
    assert depends(files)[KEY] == (f"pypi:{SITE}:b", f"pypi:{SITE}:d")


def test_a_package_of_usr_local_needs_those_of_usr() -> None:
    local, system = "usr/local/lib/python3.11/dist-packages", "usr/lib/python3/dist-packages"
    files = {**wheel(local, "a", needs=("b", "c", "d")), **wheel(system, "b"), **wheel("opt/x/site-packages", "c")}
    files |= wheel(local, "d") | wheel(system, "d")
    assert depends(files)[f"pypi:{local}:a"] == (f"pypi:{system}:b", f"pypi:{local}:d")


def test_packages_of_one_namespace_keep_apart() -> None:
    files = {**wheel(SITE, "a", "google/a.py"), **wheel(SITE, "b", "google/b.py")}
    found = owners({**files, **files_of(f"{SITE}/google/a.py", f"{SITE}/google/b.py")})
    assert found[f"{SITE}/google/a.py"] == KEY
    assert found[f"{SITE}/google/b.py"] == f"pypi:{SITE}:b"


def test_a_file_that_two_list_is_the_firsts_by_name() -> None:
    files = {**wheel(SITE, "b", "tests/__init__.py"), **wheel(SITE, "a", "tests/__init__.py")}
    assert owners({**files, f"{SITE}/tests/__init__.py": ""})[f"{SITE}/tests/__init__.py"] == KEY


def test_a_package_vendored_in_another_is_a_part_of_it() -> None:
    inner = wheel(f"{SITE}/a/_vendor", "six", "six.py")
    files = {**wheel(SITE, "a", *(path.removeprefix(f"{SITE}/") for path in inner)), **inner}
    files |= files_of(f"{SITE}/a/_vendor/six.py")
    assert packages(files) == {KEY: "1.0"}
    assert owners(files) == dict.fromkeys(files, KEY)


def test_two_packages_that_list_each_other_are_two() -> None:
    files = wheel(SITE, "a", "b-1.0.dist-info/METADATA") | wheel(SITE, "b", "a-1.0.dist-info/METADATA")
    assert len(packages(files)) == 2


def direct_url(url: str, editable: object = True) -> dict[str, str]:
    document = {"url": url, "dir_info": {"editable": editable}}
    return {
        **wheel(SITE, "a", "__editable__.a-1.0.pth"),
        f"{SITE}/a-1.0.dist-info/direct_url.json": json.dumps(document),
    }


def test_an_editable_package_has_its_project() -> None:
    files = direct_url("file:///srv/my%20repo") | files_of("srv/my repo/pyproject.toml", "srv/my repo/src/a.py")
    files |= files_of(f"{SITE}/__editable__.a-1.0.pth")
    assert owners(files) == dict.fromkeys(files, KEY)


@pytest.mark.parametrize(
    ("url", "editable"),
    [
        ("file:///", True),
        ("file:///srv/empty", True),
        ("file:///srv/repo", False),
        ("file:///srv/repo", "yes"),
        ("https://example.org/srv/repo", True),
        ("file://[", True),
        ("file:///srv/%00", True),
    ],
)
def test_no_other_folder_is_taken_for_an_editable_project(url: str, editable: object) -> None:
    files = direct_url(url, editable) | files_of("pyproject.toml", "srv/repo/setup.py", "srv/empty/x", "etc/x")
    found = owners(files)
    assert not {path for path in found if not path.startswith(SITE)}


@pytest.mark.parametrize(("base", "link"), [("srv/repo", "/srv/repo\n."), ("srv/repo/src", "/srv/repo/src\n../")])
def test_an_egg_link_leads_to_its_project(base: str, link: str) -> None:
    files = {
        f"{SITE}/my-a.egg-link": link,
        "srv/repo/setup.py": "",
        f"{base}/my_a.egg-info/PKG-INFO": "Name: my-a\nVersion: 3\n",
        f"{base}/a/x.py": "",
    }
    assert packages(files) == {f"pypi:{SITE}:my-a": "3"}
    assert owners(files) == dict.fromkeys(files, f"pypi:{SITE}:my-a")


def test_an_egg_info_with_a_list_owns_what_is_in_it() -> None:
    files = {
        f"{SITE}/a.egg-info/PKG-INFO": "Name: a\nVersion: 2\n",
        f"{SITE}/a.egg-info/installed-files.txt": "../a/x.py\nPKG-INFO\n../../../../bin/a\n",
        **files_of(f"{SITE}/a/x.py", "opt/venv/bin/a"),
    }
    assert packages(files) == {KEY: "2"}
    assert owners(files) == dict.fromkeys(files, KEY)


@pytest.mark.parametrize("info", ["a.egg-info/PKG-INFO", "a-2.dist-info/METADATA"])
def test_one_without_a_list_has_the_folders_of_its_modules(info: str) -> None:
    files = {
        f"{SITE}/{info}": "Name: a\nVersion: 2\n",
        f"{SITE}/{info.partition('/')[0]}/top_level.txt": "a\n",
        f"{SITE}/a/x.py": "",
    }
    assert owners({**files, f"{SITE}/b/x.py": ""}) == dict.fromkeys(files, KEY)


def test_an_egg_folder_is_its_packages() -> None:
    files = {f"{SITE}/a-2-py3.11.egg/EGG-INFO/PKG-INFO": "Name: a\nVersion: 2\n", f"{SITE}/a-2-py3.11.egg/a/x.py": ""}
    assert owners(files) == dict.fromkeys(files, KEY)


def test_an_egg_info_of_a_source_tree_is_no_installed_package() -> None:
    assert packages({"srv/repo/a.egg-info/PKG-INFO": "Name: a\nVersion: 2\n"}) == {}


def test_compiled_modules_go_with_their_source_and_orphans_are_volatile() -> None:
    cache = f"{SITE}/a/__pycache__"
    files = {**wheel(SITE, "a", "a/x.py"), f"{SITE}/a/x.py": "", "srv/app.py": ""}
    compiled = files_of(
        f"{cache}/x.cpython-311.pyc", f"{cache}/gone.cpython-311.pyc", "srv/__pycache__/app.cpython-311.pyc"
    )
    found = find_owners(image(files | compiled))
    assert found.owner[f"{cache}/x.cpython-311.pyc"] == KEY
    assert found.volatile == {f"{cache}/gone.cpython-311.pyc"}
    assert "srv/__pycache__/app.cpython-311.pyc" not in found.owner


def test_a_module_that_was_shipped_compiled_only_is_its_packages() -> None:
    files = {**wheel(SITE, "a", "a/__pycache__/x.cpython-311.pyc"), f"{SITE}/a/__pycache__/x.cpython-311.pyc": ""}
    found = find_owners(image(files))
    assert found.owner[f"{SITE}/a/__pycache__/x.cpython-311.pyc"] == KEY
    assert not found.volatile


def test_a_name_in_uvs_cache_makes_no_file_volatile() -> None:
    files = {
        **wheel(SITE, "a", "a.py"),
        f"{SITE}/a.py": "1",
        "root/.cache/uv/archive-v0/x/a.py": f"={SITE}/a.py",
        "root/.cache/uv/lock": "",
    }
    found = find_owners(image(files))
    assert found.owner["root/.cache/uv/archive-v0/x/a.py"] == KEY
    assert found.volatile == {"root/.cache/uv/lock"}


def test_the_lasting_name_of_a_file_says_whose_it_is() -> None:
    cached, site = "var/cache/a.py", "venv/lib/site-packages"
    files = {
        "var/lib/dpkg/status": "Package: cache\nStatus: install ok installed\n",
        "var/lib/dpkg/info/cache.list": f"/{cached}\n",
        **wheel(site, "a", "a.py"),
        f"{site}/a.py": "1",
        cached: f"={site}/a.py",
    }
    found = find_owners(image(files))
    assert found.owner[cached] == found.owner[f"{site}/a.py"] == f"pypi:{site}:a"
    assert cached not in found.volatile
