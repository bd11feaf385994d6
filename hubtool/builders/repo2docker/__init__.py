"""The repo2docker builder: repo2docker decides what an image is made of, a hubtool engine builds it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib.metadata import version

from hubtool import __version__
from hubtool.builders import CREATED, REVISION, BuildJob, Ingredients
from hubtool.builders.repo2docker.dockerfile import base_image, base_images
from hubtool.builders.repo2docker.reading import platform_of, prepare
from hubtool.builders.repo2docker.uv_buildpack import LOCK_IS_OLD
from hubtool.engines import Engine, EngineBuild
from hubtool.errors import HubtoolError, Where

BASE_NAME = "org.opencontainers.image.base.name"
BASE_DIGEST = "org.opencontainers.image.base.digest"

__all__ = ["Repo2DockerBuilder"]


class Repo2DockerBuilder:
    """Builds what ``jupyter-repo2docker`` would, with hubtool's engines, site settings and labels."""

    def dockerfile(self, job: BuildJob) -> str:
        """The Dockerfile that would be built, with nothing started."""
        with prepare(job) as prepared:
            return prepared.dockerfile

    def ingredients(self, job: BuildJob) -> Ingredients:
        """Files, Dockerfile, build arguments, labels, platform and versions, hashed; and the base images."""
        with prepare(job) as prepared:
            digest = hashlib.sha256()
            labels = {**prepared.labels, **job.labels}
            for text in (
                __version__,
                version("jupyter-repo2docker"),
                prepared.dockerfile,
                repr(sorted(prepared.args.items())),
                repr(sorted((key, value) for key, value in labels.items() if key not in (REVISION, CREATED))),
                platform_of(job),
            ):
                digest.update(f"{len(text.encode())}:{text}".encode())
            prepared.context.hash_into(digest)
            return Ingredients(digest.hexdigest(), base_images(prepared.dockerfile))

    def build(self, job: BuildJob, engine: Engine) -> Iterator[str]:
        """Build, yielding output lines as they come; raises HubtoolError when it fails."""
        with prepare(job, base_user=_base_user(job, engine)) as prepared:
            yield from prepared.notes
            labels = {**prepared.labels, **_base_labels(prepared.dockerfile, engine), **job.labels}
            with prepared.context.tar(job.settings.uid) as stream:
                build = EngineBuild(
                    tag=str(job.reference),
                    context=stream,
                    dockerfile=prepared.context.dockerfile,
                    args=prepared.args,
                    labels=labels,
                    platform=platform_of(job),
                    cache=job.cache,
                    cache_write=job.cache_write,
                    network=job.network,
                )
                yield from _explained(engine.build(build), job)


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


def _base_user(job: BuildJob, engine: Engine) -> str:
    """The user of the base image of the repository's own Dockerfile, which site settings have to go back to."""
    if not (job.site.model_fields_set and (job.context / "Dockerfile").is_file()):
        return ""
    base = base_image((job.context / "Dockerfile").read_text(errors="replace"))
    held = engine.inspect(base) if base else None
    return str(held.config.get("User") or "") if held else ""


def _base_labels(dockerfile: str, engine: Engine) -> dict[str, str]:
    """Name and digest of the base image. The digest is the registry's; for a base that was only ever in this
    engine it is the engine's id, which names its content as well."""
    base = base_image(dockerfile)
    if base is None:
        return {}
    held = engine.inspect(base)
    if held is not None:
        known = [digest.partition("@")[2] for digest in held.digests]
        digest = known[0] if known else held.id
    else:
        digest = base.partition("@")[2] or engine.registry_digest(base) or ""
    return {BASE_NAME: base, **({BASE_DIGEST: digest} if digest else {})}
