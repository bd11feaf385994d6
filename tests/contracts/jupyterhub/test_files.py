"""What is read from an image's files: ballast, sizes, compiled Python."""

from __future__ import annotations

import importlib.util
import struct
import tarfile
from collections.abc import Mapping

import pytest

from hubtool.contracts.ballast import ballast, layer_sizes, size
from hubtool.contracts.jupyterhub.bytecode import compiled
from hubtool.image.files import ImageFiles
from tests.image.layers import image_of, image_with, member

MUCH = b"x" * 1_000_001
BALLAST: dict[str, tuple[str, Mapping[str, str], str | None]] = {
    "apt's lists": ("var/lib/apt/lists/a_Packages", {}, "apt's package lists in /var/lib/apt/lists"),
    "apt's lists, half fetched": ("var/lib/apt/lists/partial/a", {}, None),
    "apt's packages": ("var/cache/apt/archives/a.deb", {}, "apt's downloads in /var/cache/apt"),
    "apt's index": ("var/cache/apt/pkgcache.bin", {}, "apt's downloads in /var/cache/apt"),
    "pip's": ("home/a/.cache/pip/http-v2/a", {}, "pip's cache in /home/a/.cache/pip"),
    "pip's elsewhere": ("opt/c/a", {"PIP_CACHE_DIR": "/opt/c/"}, "pip's cache in /opt/c"),
    "uv's": ("root/.cache/uv/archive/a", {}, "uv's cache in /root/.cache/uv"),
    "npm's": ("root/.npm/_cacache/content/a", {}, "npm's cache in /root/.npm/_cacache"),
    "yarn's": ("usr/local/share/.cache/yarn/v6/a", {}, "yarn's cache in /usr/local/share/.cache/yarn"),
    "R's": ("tmp/RtmpA1/downloaded_packages/a.tar.gz", {}, "R's downloads in /tmp/RtmpA1/downloaded_packages"),
    "something else called so": ("srv/pip/a", {"PIP_CACHE_DIR": ""}, None),
}


@pytest.mark.parametrize("name", BALLAST)
def test_ballast_is_named_with_its_folder_and_size(name: str) -> None:
    path, environment, expected = BALLAST[name]
    found = {
        f"{what} in {place}": count for (what, place), count in ballast(image_with({path: MUCH}), environment).items()
    }
    assert found == ({expected: len(MUCH)} if expected else {})


def test_little_is_no_ballast() -> None:
    assert ballast(image_with({"root/.cache/pip/selfcheck/a": b"x" * 1000}), {}) == {}


def test_of_condas_cache_what_the_environment_has_too_is_no_ballast() -> None:
    files = [
        (member("srv/conda/conda-meta/", tarfile.DIRTYPE), b""),
        (member("srv/conda/lib/a.so"), MUCH),
        (member("srv/conda/pkgs/a-1/lib/a.so", tarfile.LNKTYPE, linkname="srv/conda/lib/a.so"), b""),
        (member("srv/conda/share/a.bin"), MUCH),
        (member("srv/conda/pkgs/a-1/share/a.bin", tarfile.LNKTYPE, linkname="srv/conda/share/a.bin"), b""),
    ]
    assert ballast(image_of(files), {}) == {}
    files.append((member("srv/conda/pkgs/a-1.conda"), MUCH))
    assert ballast(image_of(files), {}) == {("conda's package cache", "/srv/conda/pkgs"): len(MUCH)}


def test_a_file_with_two_names_counts_once() -> None:
    files = image_of(
        [(member("a"), b"12345"), (member("b", tarfile.LNKTYPE, linkname="a"), b""), (member("c"), b"678")]
    )
    assert size(files) == 8
    assert layer_sizes(files) == [8]


SITE = "srv/venv/lib/python3.11/site-packages"
TIME = 1_700_000_000
SOURCE = b"a = 1\n"


def pyc(time: int = TIME, length: int = len(SOURCE), flags: int = 0) -> bytes:
    return importlib.util.MAGIC_NUMBER + struct.pack("<III", flags, time, length) + b"code"


def package(head: bytes | None, count: int = 12, site: str = SITE, tag: str = "cpython-311") -> ImageFiles:
    """An image with a package of COUNT modules, whose .pyc all start with HEAD, or that has none."""
    files = [(member(f"{site}/a/m{number}.py", mtime=TIME), SOURCE) for number in range(count)]
    if head is not None:
        files += [(member(f"{site}/a/__pycache__/m{number}.{tag}.pyc"), head) for number in range(count)]
    return image_of(files)


COMPILED = {
    "compiled": (package(pyc()), False),
    "not compiled": (package(None), True),
    "of another time": (package(pyc(TIME - 1)), True),
    "of another size": (package(pyc(length=7)), True),
    "by the hash of the source": (package(pyc(0, 0, flags=1)), False),
    "cut short": (package(pyc()[:10]), True),
    "only optimised": (package(pyc(), tag="cpython-311.opt-1"), True),
    "too few to matter": (package(None, count=9), False),
}


@pytest.mark.parametrize("name", COMPILED)
def test_a_package_is_compiled_where_python_would_take_its_pyc(name: str) -> None:
    files, lacks = COMPILED[name]
    assert {path: found.lacks for path, found in compiled(files).items()} == {f"/{SITE}/a": lacks}


def test_what_is_not_installed_is_not_looked_at() -> None:
    assert compiled(package(None, site="srv/repo")) == {}
    assert compiled(package(None, site="srv/conda/pkgs/a-1/lib/python3.11/site-packages")) == {}
