"""Builders make an image of its files: repo2docker, dockerfile, nix, debian. Each satisfies Protocol Builder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from hubtool.config import CompressionName, EnvironmentName, Image, Site
from hubtool.engines import Engine
from hubtool.reference import ImageReference

# Which commit an image is of, by OCI's annotations.md; they decide nothing in it.
REVISION, CREATED = "org.opencontainers.image.revision", "org.opencontainers.image.created"
ARCHIVE = "hubtool.archive"  # a hash of the packages that a distribution's archives had
BASE_NAME, BASE_DIGEST = "org.opencontainers.image.base.name", "org.opencontainers.image.base.digest"
_TELLING = (REVISION, CREATED, BASE_DIGEST)


@dataclass(frozen=True)
class BuildJob:
    """One image to build from the files below ``context``, to be named ``reference`` in the engine.

    ``ca_bundle`` is ``site.ca_bundle`` as an absolute path. With ``on_parent`` the settings' base is an image of the
    same run, whose name decides nothing.
    """

    image: str
    context: Path
    reference: ImageReference
    settings: Image
    environment: EnvironmentName = "auto"
    site: Site = field(default_factory=Site)
    ca_bundle: Path | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    network: str | None = None
    on_parent: bool = False


@dataclass(frozen=True)
class Cache:
    """The registry build cache, None for none; whether to read it and to write it."""

    reference: str | None = None
    read: bool = False
    write: bool = False


@dataclass(frozen=True)
class BuildOptions:
    """How to build, which decides no file in the image: more ``labels``; the registry build ``cache``, written in that
    ``compression``. ``anew``: run every step; ``pull``: from bases of their registries."""

    labels: Mapping[str, str] = field(default_factory=dict)
    cache: Cache = Cache()
    compression: CompressionName = "gzip"
    anew: bool = False
    pull: bool = False


@dataclass(frozen=True)
class Ingredients:
    """All that decides an image: a hash of what it is made of, and the images that it stands on, by name; the name of
    the ``parent`` among them does not. ``archive`` is a hash of the packages that there are for it, a part of the
    former."""

    content: str
    bases: tuple[str, ...] = ()
    parent: str = ""
    archive: str = ""

    def fingerprint(self, digest_of: Callable[[str], str]) -> str:
        """A hash (64 hexadecimal digits) of it, with the bases' digests."""
        digest = hashlib.sha256(self.content.encode())
        for base in self.bases:
            digest.update(f"\n{'' if base == self.parent else base}@{digest_of(base)}".encode())
        return digest.hexdigest()


def deciding(labels: Mapping[str, str]) -> dict[str, str]:
    """LABELS without those that only tell which commit and base an image is of."""
    return {key: value for key, value in labels.items() if key not in _TELLING}


class Prepared(Protocol):
    """What a builder made of a job's files, which were read once."""

    def dockerfile(self) -> str:
        """The Dockerfile that would be built."""
        ...

    def ingredients(self) -> Ingredients:
        """What decides the image. Labels that say which commit it is of do not."""
        ...

    def build(self, engine: Engine, options: BuildOptions) -> Iterator[str]:
        """Build, yielding output lines as they come; raises HubtoolError when it fails."""
        ...


class Builder(Protocol):
    def prepare(self, job: BuildJob) -> AbstractContextManager[Prepared]:
        """Read the files of JOB, with nothing started. What was made of them is there until the block ends. Raises
        HubtoolError for whatever is wrong with them."""
        ...


def get_builder(name: str) -> Builder:
    """The builder called NAME, as hubtool.yaml's ``builder`` names it."""
    if name == "dockerfile":
        from hubtool.builders.dockerfile import DockerfileBuilder

        return DockerfileBuilder()
    if name == "nix":
        from hubtool.builders.nix import NixBuilder

        return NixBuilder()
    if name == "debian":
        from hubtool.builders.debian import DebianBuilder

        return DebianBuilder()
    from hubtool.builders.repo2docker import Repo2DockerBuilder

    return Repo2DockerBuilder()


def check_builder(name: str) -> str:
    """What the builder called NAME has of the programs that it needs beside an engine, "" where it needs none. Raises
    HubtoolError, with a hint, where one is not there."""
    if name == "nix":
        from hubtool.builders import nix

        return nix.check()
    if name == "debian":
        from hubtool.builders import debian

        return debian.check()
    return ""
