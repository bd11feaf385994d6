"""R's libraries."""

from __future__ import annotations

import pytest

from hubtool.image.owners import find_owners
from tests.image.owners.images import depends, image, owners, packages

LIBRARY = "usr/local/lib/R/site-library"
BUILT = "R 4.3.1; x86_64-pc-linux-gnu; 2026-01-05 10:00:00 UTC; unix"


def installed(name: str, *more: str, library: str = LIBRARY, version: str = "1.0") -> dict[str, str]:
    fields = [f"Package: {name}", "Type: Package", f"Version: {version}", *more, f"Built: {BUILT}"]
    return {f"{library}/{name}/DESCRIPTION": "\n".join(fields) + "\n", f"{library}/{name}/R/{name}.rdb": ""}


def test_a_package_owns_its_folder() -> None:
    files = {**installed("ggplot2", version="3.5.1"), f"{LIBRARY}/ggplot2/libs/x.so": "1"}
    assert packages(files) == {f"r:{LIBRARY}:ggplot2": "3.5.1"}
    assert owners({**files, f"{LIBRARY}/x": ""}) == dict.fromkeys(files, f"r:{LIBRARY}:ggplot2")


def test_what_a_package_needs_may_be_in_another_library() -> None:
    files = {
        **installed(
            "a", "Depends: R (>= 3.5), methods", "Imports: b (>= 1.0),\n        c", "LinkingTo: d", "Suggests: s"
        ),
        **installed("methods", library="usr/lib/R/library"),
        **installed("b"),
        **installed("c"),
        **installed("d"),
        **installed("s"),
    }
    keys = ("r:usr/lib/R/library:methods", f"r:{LIBRARY}:b", f"r:{LIBRARY}:c", f"r:{LIBRARY}:d")
    assert depends(files)[f"r:{LIBRARY}:a"] == keys


def test_the_files_that_tell_when_it_was_built_are_volatile() -> None:
    files = {**installed("a"), f"{LIBRARY}/a/Meta/package.rds": "", f"{LIBRARY}/a/Meta/links.rds": ""}
    found = find_owners(image(files))
    assert found.volatile == {f"{LIBRARY}/a/DESCRIPTION", f"{LIBRARY}/a/Meta/package.rds"}
    assert found.owner == dict.fromkeys(files, f"r:{LIBRARY}:a")


@pytest.mark.parametrize(
    "files",
    [
        {"srv/project/DESCRIPTION": "Package: project\nVersion: 1.0\n"},
        {f"{LIBRARY}/00LOCK-a/a/DESCRIPTION": f"Package: b\nVersion: 1.0\nBuilt: {BUILT}\n"},
        {"usr/share/doc/DESCRIPTION": "Some text: with colons\n"},
    ],
    ids=["a source tree", "another's name", "another file"],
)
def test_what_is_no_installed_package(files: dict[str, str]) -> None:
    assert packages(files) == {}


def test_one_that_dpkg_brought_is_dpkgs_with_all_that_came_later() -> None:
    library = "usr/lib/R/site-library"
    files = installed("jsonlite", library=library)
    files |= {
        "var/lib/dpkg/status": "Package: r-cran-jsonlite\nStatus: install ok installed\nVersion: 1\n",
        "var/lib/dpkg/info/r-cran-jsonlite.list": "\n".join(f"/{path}" for path in files),
    }
    later = {**installed("mine", "Imports: jsonlite"), f"{library}/jsonlite/cache": ""}
    assert owners(files | later)[f"{library}/jsonlite/cache"] == "dpkg::r-cran-jsonlite"
    assert depends(files | later)[f"r:{LIBRARY}:mine"] == ("dpkg::r-cran-jsonlite",)


def test_renvs_cache_is_no_volatile_one_and_its_keys_have_no_versions() -> None:
    base = "root/.cache/R/renv/cache/v5/linux-debian-bookworm/R-4.3/x86_64-pc-linux-gnu"
    files = installed("a", library=f"{base}/a/1.0/{'0' * 32}")
    files["srv/renv/library/a"] = f"->/{base}/a/1.0/{'0' * 32}/a"
    assert packages(files) == {f"r:{base}:a": "1.0"}
    assert f"{base}/a/1.0/{'0' * 32}/a/R/a.rdb" in owners(files)
