"""What a builder made of an image's files, ready for an engine: Dockerfile, context and arguments."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hubtool import __version__
from hubtool.builders import BASE_DIGEST, BASE_NAME, BuildJob, BuildOptions, Ingredients, deciding
from hubtool.builders.context import Context
from hubtool.builders.stages import base_image, base_images
from hubtool.engines import Engine, EngineBuild
from hubtool.errors import HubtoolError
from hubtool.machine import architecture_of

PARENT = "hubtool-parent"  # stands for the parent's name, which differs from engine to registry


@dataclass
class Recipe:
    """A Dockerfile's text, the context that it is built in, its build arguments, the labels that it does not set
    itself, and what was said while it was made. ``target`` is the stage to build, the last where None; ``secrets``
    are ids with the environment variables that hold them."""

    dockerfile: str = ""
    context: Context = field(default_factory=Context)
    args: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    target: str | None = None
    secrets: Mapping[str, str] = field(default_factory=dict)


def platform_of(job: BuildJob) -> str:
    """The platform asked for, else this machine's."""
    return job.settings.platform or ("linux/arm64" if architecture_of() == "arm64" else "linux/amd64")


def ingredients_of(recipe: Recipe, job: BuildJob, versions: Sequence[str] = ()) -> Ingredients:
    """Files, Dockerfile, build arguments, labels, platform, hubtool's and further VERSIONS, hashed; the base images."""
    digest = hashlib.sha256()
    parent = job.settings.base if job.on_parent and isinstance(job.settings.base, str) else ""
    labels = deciding({**recipe.labels, **job.labels})
    for text in (
        __version__,
        *versions,
        recipe.dockerfile,
        recipe.target or "",
        repr(sorted(recipe.args.items())),
        repr(sorted(labels.items())),
        platform_of(job),
    ):
        text = text.replace(parent, PARENT) if parent else text
        digest.update(f"{len(text.encode())}:{text}".encode())
    recipe.context.hash_into(digest)
    return Ingredients(digest.hexdigest(), base_images(recipe.dockerfile, recipe.args), parent)


def build_recipe(recipe: Recipe, job: BuildJob, engine: Engine, options: BuildOptions) -> Iterator[str]:
    """Build it, yielding output lines as they come; raises HubtoolError when it fails."""
    yield from recipe.notes
    base = base_image(recipe.dockerfile, recipe.args, recipe.target)
    labels = {**recipe.labels, **_base_labels(base, engine, options.pull), **job.labels, **options.labels}
    # repo2docker's Dockerfile takes what it copies for the run user's; a team's own, as engines have it, for root's.
    owner = 0 if job.settings.builder == "dockerfile" else job.settings.uid
    with recipe.context.tar(owner) as stream:
        yield from engine.build(
            EngineBuild(
                tag=str(job.reference),
                context=stream,
                dockerfile=recipe.context.dockerfile,
                args=recipe.args,
                labels=labels,
                platform=platform_of(job),
                cache=options.cache.reference,
                cache_read=options.cache.read,
                cache_write=options.cache.write,
                cache_compression=options.compression,
                network=job.network,
                local_base=job.on_parent and "@" not in str(job.settings.base),
                extra=_extra(recipe, options),
            )
        )


def _extra(recipe: Recipe, options: BuildOptions) -> list[str]:
    words = [*(["--no-cache"] if options.anew else []), *(["--pull"] if options.pull else [])]
    words += ["--target", recipe.target] if recipe.target else []
    for name, variable in recipe.secrets.items():
        if variable not in os.environ:
            raise HubtoolError(
                f"the secret {name} is to be in ${variable}, which is not set", hint=f"export {variable}=…"
            )
        words += ["--secret", f"id={name},env={variable}"]
    return words


def _base_labels(base: str | None, engine: Engine, pull: bool) -> dict[str, str]:
    """Name and digest of the base image. The digest is the registry's; for a base that was only ever in this
    engine it is the engine's id, which names its content as well. PULL is whether the registry is asked anew."""
    if base is None:
        return {}
    held = None if pull else engine.inspect(base)
    if held is not None:
        known = [digest.partition("@")[2] for digest in held.digests]
        digest = known[0] if known else held.id
    else:
        digest = base.partition("@")[2] or engine.registry_digest(base) or ""
    return {BASE_NAME: base, **({BASE_DIGEST: digest} if digest else {})}
