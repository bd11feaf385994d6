"""Which files change with every build."""

from __future__ import annotations

import pytest

from hubtool.image.owners import find_owners
from tests.image.owners.images import image

VOLATILE = [
    "etc/ld.so.cache",
    "etc/machine-id",
    "etc/passwd-",
    "etc/shadow",
    "etc/ssh/ssh_host_ed25519_key.pub",
    "home/jovyan/.cache/pip/http/1",
    "home/jovyan/.local/share/jupyter/runtime/kernel.json",
    "root/.bash_history",
    "root/.cache/R/pkgcache/x",
    "root/.cache/fontconfig/x",
    "root/.npm/_logs/x",
    "srv/conda/var/cache/fontconfig/x",
    "tmp/x",
    "usr/share/mime/mime.cache",
    "opt/site-packages/a-1.0.dist-info/uv_cache.json",
    "var/cache/apt/pkgcache.bin",
    "var/lib/apt/lists/x",
    "var/lib/dpkg/alternatives/x",
    "var/lib/dpkg/available",
    "var/lib/dpkg/lock",
    "var/lib/dpkg/status",
    "var/lib/dpkg/status-old",
    "var/lib/dpkg/triggers/File",
    "var/log/dpkg.log",
    "var/tmp/x",
]

LASTING = [
    "etc/passwd",
    "etc/ssh/sshd_config",
    "home/jovyan/.config/x",
    "home/jovyan/cache/x",
    "opt/tmp/x",
    "opt/var/lib/dpkg/status",
    "root/.cache/R/renv/cache/v5/x",
    "root/.bashrc",
    "srv/conda/conda-meta/state",
    "usr/bin/x",
    "usr/share/cache/x",
    "var/lib/dpkg/info/x.list",
    "var/lib/dpkg/status.d/x",
    "var/lib/x",
]


@pytest.mark.parametrize("path", VOLATILE)
def test_volatile(path: str) -> None:
    assert find_owners(image({path: ""})).volatile == {path}


@pytest.mark.parametrize("path", LASTING)
def test_lasting(path: str) -> None:
    assert not find_owners(image({path: ""})).volatile


def test_a_cache_that_a_package_ships_is_lasting() -> None:
    status = "Package: a\nStatus: install ok installed\n"
    files = {"usr/share/mime/mime.cache": "", "var/lib/dpkg/info/a.list": "/usr/share/mime/mime.cache"}
    assert find_owners(image({**files, "var/lib/dpkg/status": status})).volatile == {"var/lib/dpkg/status"}
