"""The dockerfile builder: a Dockerfile of the repository's own, built by a hubtool engine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hubtool.builders import BuildJob, BuildOptions, Ingredients
from hubtool.builders.dockerfile.context import context_of, site_files
from hubtool.builders.dockerfile.lint import check_arguments, check_base
from hubtool.builders.recipe import Recipe, build_recipe, ingredients_of
from hubtool.builders.site import SiteFiles
from hubtool.builders.stages import base_images, stages
from hubtool.engines import Engine
from hubtool.errors import HubtoolError, Where
from hubtool.reference import ImageReference
from hubtool.registries import find_release

__all__ = ["DockerfileBuilder", "read_dockerfile"]


class DockerfileBuilder:
    """Builds the Dockerfile that an image's settings name, with its context, build arguments, secrets and target."""

    @contextmanager
    def prepare(self, job: BuildJob) -> Iterator[PreparedDockerfile]:
        """Read the files of JOB, with nothing started."""
        yield PreparedDockerfile(job, _recipe(job))


@dataclass(frozen=True)
class PreparedDockerfile:
    """A Dockerfile and its context; satisfies hubtool.builders.Prepared."""

    job: BuildJob
    recipe: Recipe

    def dockerfile(self) -> str:
        """The Dockerfile that would be built."""
        return self.recipe.dockerfile

    def ingredients(self) -> Ingredients:
        """What decides the image. Secrets do not."""
        return ingredients_of(self.recipe, self.job)

    def build(self, engine: Engine, options: BuildOptions) -> Iterator[str]:
        """Build, yielding output lines as they come; raises HubtoolError when it fails."""
        users = base_users(self.recipe, self.job, engine)
        recipe = _recipe(self.job, users) if users else self.recipe
        yield from build_recipe(recipe, self.job, engine, options)


def base_users(recipe: Recipe, job: BuildJob, engine: Engine) -> dict[str, str]:
    """The users of the base images, less those of images that have none, where there are settings of a site."""
    bases = base_images(recipe.dockerfile, recipe.args) if SiteFiles(job.site, job.ca_bundle) else ()
    found = {base: _user(base, engine) for base in bases}
    return {base: user for base, user in found.items() if user}


def _user(base: str, engine: Engine) -> str:
    """Of an image that the engine holds, or would pull; "" where that can't be known."""
    held = engine.inspect(base)
    if held is not None:
        return str(held.config.get("User") or "")
    with contextlib.suppress(HubtoolError):  # the engine may reach it by a mirror of its own
        release = find_release(ImageReference.parse(base))
        return release.user if release else ""
    return ""


def _recipe(job: BuildJob, users: Mapping[str, str] = {}) -> Recipe:
    settings = job.settings
    text = read_dockerfile(job)
    site = SiteFiles(job.site, job.ca_bundle, users)
    base = {settings.base_arg: settings.base} if isinstance(settings.base, str) else {}
    args = {**base, **settings.args}
    text = site.apply(text, args, settings.target)
    context = context_of(job.context, settings.dockerfile, for_site=bool(site))
    for name, data in site_files(site, text).items():
        context.add(name, data, 0o644)
    return Recipe(text, context, args, {}, context.notes(), settings.target, settings.secrets)


def read_dockerfile(job: BuildJob) -> str:
    """The text of JOB's Dockerfile; raises HubtoolError for what is wrong with it."""
    file = job.context / job.settings.dockerfile
    text = _text(file, job.context)
    check_arguments(text, file)
    if job.settings.base or job.settings.parent:
        check_base(text, file, job.settings.base_arg)
    return text


def _text(file: Path, context: Path) -> str:
    if not file.resolve().is_relative_to(context.resolve()):
        raise HubtoolError("leads outside the image's context", where=Where(file))
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise HubtoolError(
            "there is no such file", where=Where(file), hint="write it, or name another by 'dockerfile' in hubtool.yaml"
        ) from error
    except OSError as error:
        raise HubtoolError(f"cannot be read: {error.strerror}", where=Where(file)) from error
    except UnicodeDecodeError as error:
        raise HubtoolError(f"not UTF-8 text (byte {error.start})", where=Where(file)) from error
    if not stages(text):
        raise HubtoolError("has no FROM", where=Where(file))
    return text
