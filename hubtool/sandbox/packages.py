"""Programs that the machine lacks: installed from Debian where that is allowed, else named."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from hubtool import console, process
from hubtool.errors import HubtoolError

SBIN = ("/usr/sbin", "/sbin")

# program -> the Debian package that brings it
PACKAGES = {
    "dockerd": "docker.io",
    "buildah": "buildah",
    "docker-registry": "docker-registry",
    "mmdebstrap": "mmdebstrap",
    "git": "git",
    "ip": "iproute2",
    "skopeo": "skopeo",
    "nix-store": "nix-bin",
}


def find(program: str) -> Path | None:
    """The path of PROGRAM, also where it stands in a folder for the system's own that PATH leaves out."""
    found = process.which(program)
    if found:
        return found
    return next((Path(folder, program) for folder in SBIN if os.access(Path(folder, program), os.X_OK)), None)


def ensure(programs: Sequence[str]) -> None:
    """Have every one of PROGRAMS installed: by apt-get when root on Debian or Ubuntu.

    Raises HubtoolError that names the packages where hubtool may not or cannot install them.
    """
    missing = [PACKAGES[program] for program in programs if find(program) is None]
    if not missing:
        return
    if process.which("apt-get") is None or os.geteuid() != 0:
        raise HubtoolError(
            "not installed: " + ", ".join(program for program in programs if find(program) is None),
            hint="install them first (Debian, Ubuntu: sudo apt-get install " + " ".join(missing) + ")",
        )
    with console.step("installing " + " ".join(missing) + " from Debian"):
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        process.run("apt-get", "-qq", "update", env=quiet, timeout=600)
        process.run("apt-get", "-qq", "install", "--yes", "--no-install-recommends", *missing, env=quiet, timeout=1800)
