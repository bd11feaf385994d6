"""The repo2docker builder: repo2docker decides what an image is made of, a hubtool engine builds it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version

from hubtool.builders import BuildJob, BuildOptions, Ingredients
from hubtool.builders.dockerfile import base_users
from hubtool.builders.recipe import Recipe, build_recipe, ingredients_of
from hubtool.builders.repo2docker.reading import prepare
from hubtool.builders.repo2docker.uv_buildpack import LOCK_IS_OLD
from hubtool.engines import Engine
from hubtool.errors import HubtoolError, Where

__all__ = ["Repo2DockerBuilder"]


class Repo2DockerBuilder:
    """Builds what ``jupyter-repo2docker`` would, with hubtool's engines, site settings and labels."""

    @contextmanager
    def prepare(self, job: BuildJob) -> Iterator[PreparedJob]:
        """Read the files of JOB, with nothing started."""
        with prepare(job) as recipe:
            yield PreparedJob(job, recipe)


@dataclass(frozen=True)
class PreparedJob:
    """What repo2docker made of a job's files; satisfies hubtool.builders.Prepared."""

    job: BuildJob
    recipe: Recipe

    def dockerfile(self) -> str:
        """The Dockerfile that would be built."""
        return self.recipe.dockerfile

    def ingredients(self) -> Ingredients:
        """What decides the image, repo2docker's version among it."""
        return ingredients_of(self.recipe, self.job, [version("jupyter-repo2docker")])

    def build(self, engine: Engine, options: BuildOptions) -> Iterator[str]:
        """Build, yielding output lines as they come; raises HubtoolError when it fails."""
        own = (self.job.context / "Dockerfile").is_file()
        users = base_users(self.recipe, self.job, engine) if own else {}
        if not users:
            yield from _explained(build_recipe(self.recipe, self.job, engine, options), self.job)
            return
        with prepare(self.job, users) as recipe:  # site settings have to go back to them
            yield from _explained(build_recipe(recipe, self.job, engine, options), self.job)


def _explained(lines: Iterator[str], job: BuildJob) -> Iterator[str]:
    """LINES, and where the build fails for a lock that is out of date, an error that says so."""
    old = False
    try:
        for line in lines:
            old = old or any(text in line for text in LOCK_IS_OLD)
            yield line
    except HubtoolError as error:
        if not old:
            raise
        raise HubtoolError(
            "uv.lock does not fit pyproject.toml", where=Where(job.context / "uv.lock"), hint="uv lock, then commit it"
        ) from error
