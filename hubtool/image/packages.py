"""What is installed in an image: packages of every ecosystem, and which files are whose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ECOSYSTEMS = ("dpkg", "conda", "pypi", "r", "npm", "jupyter")


@dataclass(frozen=True, order=True, slots=True)
class Package:
    """One installed package. ``ecosystem`` is one of ECOSYSTEMS.

    ``place`` is where it is installed, below the root: "" for dpkg, else the prefix or library, as "srv/conda" or
    "usr/local/lib/R/site-library". ``depends`` are the keys of the packages of this image that it needs, sorted.
    """

    ecosystem: str
    name: str
    version: str
    place: str
    depends: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Its name among all packages of the image, the same from build to build: it has no version."""
        return key_of(self.ecosystem, self.place, self.name)


@dataclass(frozen=True, slots=True)
class Ownership:
    """The packages of an image, sorted, and the files that change hands with them.

    ``owner`` gives the key of the package that a path belongs to; a path that is nobody's is absent. ``volatile``
    are paths that change with every build, whoever owns them: databases of package managers, caches, logs.
    """

    packages: tuple[Package, ...]
    owner: Mapping[str, str]
    volatile: frozenset[str]


def key_of(ecosystem: str, place: str, name: str) -> str:
    """The key of a package: "conda:srv/conda:numpy"."""
    return f"{ecosystem}:{place}:{name}"
