"""Where the programs of an image are, and what is installed beside them."""

from __future__ import annotations

import re

from hubtool.contracts.image import ImageUnderTest

# What a container has as PATH where the image sets none.
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def search_path(image: ImageUnderTest) -> str:
    """The image's PATH."""
    return image.environment.get("PATH", DEFAULT_PATH)


def library(image: ImageUnderTest, program: str) -> dict[str, str]:
    """What lies directly in the library of the Python environment that PROGRAM is of: names to paths; empty for a
    program that is not there."""
    found = image.files.which(program, search_path(image))
    prefix = found.path.rpartition("bin/")[0] if found is not None else None
    if prefix is None:
        return {}
    pattern = re.compile(rf"({re.escape(prefix)}(?:local/)?lib/python3[^/]*/(?:site|dist)-packages/([^/]+))(?:/.+)?")
    matches = (pattern.fullmatch(path) for path in image.files.visible)
    return {match[2]: match[1] for match in matches if match}


def installed_version(image: ImageUnderTest, name: str) -> str:
    """The version of the distribution NAME beside jupyterhub-singleuser, "" where there is none."""
    stems = [entry.removesuffix(".dist-info").split("-") for entry in library(image, "jupyterhub-singleuser")]
    return next((version for stem, *rest in stems if stem == name and (version := "-".join(rest))), "")
