"""The nix builder: an image that a Nix expression yields, as an archive or as a script that writes one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hubtool import __version__
from hubtool.builders import BuildJob, BuildOptions, Ingredients, deciding
from hubtool.builders.nix.output import archive_of
from hubtool.builders.nix.programs import check, evaluate, realise
from hubtool.builders.recipe import platform_of
from hubtool.engines import Engine
from hubtool.errors import HubtoolError
from hubtool.image.archive import Archive
from hubtool.image.docker_archive import relabelled
from hubtool.image.spool import spool_folder

__all__ = ["NixBuilder", "check"]


class NixBuilder:
    """Builds what the key ``nix`` of an image's settings names."""

    @contextmanager
    def prepare(self, job: BuildJob) -> Iterator[PreparedNix]:
        """Evaluate the expression of JOB. Nothing is built but what the expression itself imports."""
        with spool_folder() as folder:
            yield PreparedNix(job, evaluate(job, folder / "source"))


@dataclass(frozen=True)
class PreparedNix:
    """A derivation, by its path in the store; satisfies hubtool.builders.Prepared."""

    job: BuildJob
    derivation: str

    def dockerfile(self) -> str:
        """Raises HubtoolError: there is none."""
        raise HubtoolError(
            f"{self.job.image} is built by nix, which has no Dockerfile", hint=f"its derivation: {self.derivation}"
        )

    def ingredients(self) -> Ingredients:
        """What decides the image: the derivation, whose name is a hash of all that goes into it, and the labels."""
        labels = deciding(self.job.labels)
        told = repr((__version__, Path(self.derivation).name, sorted(labels.items()), platform_of(self.job)))
        return Ingredients(hashlib.sha256(told.encode()).hexdigest())

    def build(self, engine: Engine, options: BuildOptions) -> Iterator[str]:
        """Build, yielding output lines as they come; raises HubtoolError when it fails. Nix builds nothing anew
        that it has: the same derivation, the same image."""
        labels = {**self.job.labels, **options.labels}
        with spool_folder() as folder:
            yield from realise(self.job, self.derivation, folder / "result")
            yield f"loading {(folder / 'result').resolve().name} into {engine.name}"
            with Archive(archive_of(folder / "result", folder)) as archive:
                self._check_platform(archive)
                relabelled(archive, labels, str(self.job.reference), folder / "image.tar")
            engine.load(folder / "image.tar")

    def _check_platform(self, archive: Archive) -> None:
        wanted, made = platform_of(self.job), f"{archive.config.get('os')}/{archive.config.get('architecture')}"
        if made != wanted:
            raise HubtoolError(
                f"{self.job.image} is to be for {wanted}, but its expression yields an image for {made}",
                hint="build it for builtins.currentSystem or the output packages.SYSTEM; set 'architecture' in it",
            )
