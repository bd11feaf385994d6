"""Builders turn an image's files into an image: repo2docker. Each is a module that satisfies Protocol Builder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from hubtool.config import EnvironmentName, Image, Site
from hubtool.engines import Engine
from hubtool.reference import ImageReference

# Which commit an image is of, by OCI's annotations.md; they decide nothing in it.
REVISION, CREATED = "org.opencontainers.image.revision", "org.opencontainers.image.created"


@dataclass(frozen=True)
class BuildJob:
    """One image to build from the files below ``context``, to be named ``reference`` in the engine.

    ``ca_bundle`` is ``site.ca_bundle`` as an absolute path. ``cache`` is the build cache's reference.
    """

    image: str
    context: Path
    reference: ImageReference
    settings: Image
    environment: EnvironmentName = "auto"
    site: Site = field(default_factory=Site)
    ca_bundle: Path | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    cache: str | None = None
    cache_write: bool = False
    network: str | None = None


@dataclass(frozen=True)
class Ingredients:
    """All that decides an image: a hash of what it is made of, and the images that it stands on, by name."""

    content: str
    bases: tuple[str, ...] = ()

    def fingerprint(self, digest_of: Callable[[str], str]) -> str:
        """A hash (64 hexadecimal digits) of it, with the bases' digests."""
        digest = hashlib.sha256(self.content.encode())
        for base in self.bases:
            digest.update(f"\n{base}@{digest_of(base)}".encode())
        return digest.hexdigest()


class Builder(Protocol):
    def dockerfile(self, job: BuildJob) -> str:
        """The Dockerfile that would be built, with nothing started."""
        ...

    def ingredients(self, job: BuildJob) -> Ingredients:
        """What decides the image of JOB, with nothing started. Labels that say which commit it is of do not."""
        ...

    def build(self, job: BuildJob, engine: Engine) -> Iterator[str]:
        """Build, yielding output lines as they come; raises HubtoolError when it fails."""
        ...


def get_builder(name: str) -> Builder:
    """The builder called NAME, as hubtool.yaml's ``builder`` names it."""
    from hubtool.builders.repo2docker import Repo2DockerBuilder

    builders: dict[str, type[Builder]] = {"repo2docker": Repo2DockerBuilder}
    return builders[name]()
