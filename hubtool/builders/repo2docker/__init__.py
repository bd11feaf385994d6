"""The repo2docker builder: repo2docker decides what an image is made of, a hubtool engine builds it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version

from hubtool import __version__
from hubtool.builders import BASE_DIGEST, BASE_NAME, CREATED, REVISION, BuildJob, BuildOptions, Ingredients
from hubtool.builders.repo2docker.dockerfile import base_image, base_images
from hubtool.builders.repo2docker.packs import Prepared
from hubtool.builders.repo2docker.reading import platform_of, prepare
from hubtool.builders.repo2docker.uv_buildpack import LOCK_IS_OLD
from hubtool.engines import Engine, EngineBuild
from hubtool.errors import HubtoolError, Where

__all__ = ["Repo2DockerBuilder"]


class Repo2DockerBuilder:
    """Builds what ``jupyter-repo2docker`` would, with hubtool's engines, site settings and labels."""

    @contextmanager
    def prepare(self, job: BuildJob) -> Iterator[PreparedJob]:
        """Read the files of JOB, with nothing started."""
        with prepare(job) as prepared:
            yield PreparedJob(job, prepared)


@dataclass(frozen=True)
class PreparedJob:
    """What repo2docker made of a job's files; satisfies hubtool.builders.Prepared."""

    job: BuildJob
    prepared: Prepared

    def dockerfile(self) -> str:
        """The Dockerfile that would be built."""
        return self.prepared.dockerfile

    def ingredients(self) -> Ingredients:
        """Files, Dockerfile, build arguments, labels, platform and versions, hashed; and the base images."""
        prepared = self.prepared
        digest = hashlib.sha256()
        labels = {**prepared.labels, **self.job.labels}
        for text in (
            __version__,
            version("jupyter-repo2docker"),
            prepared.dockerfile,
            repr(sorted(prepared.args.items())),
            repr(sorted((key, value) for key, value in labels.items() if key not in (REVISION, CREATED))),
            platform_of(self.job),
        ):
            digest.update(f"{len(text.encode())}:{text}".encode())
        prepared.context.hash_into(digest)
        return Ingredients(digest.hexdigest(), base_images(prepared.dockerfile))

    def build(self, engine: Engine, options: BuildOptions) -> Iterator[str]:
        """Build, yielding output lines as they come; raises HubtoolError when it fails."""
        user = _base_user(self.job, engine)
        if not user:
            yield from self._build(self.prepared, engine, options)
            return
        with prepare(self.job, base_user=user) as prepared:  # site settings have to go back to that user
            yield from self._build(prepared, engine, options)

    def _build(self, prepared: Prepared, engine: Engine, options: BuildOptions) -> Iterator[str]:
        job = self.job
        yield from prepared.notes
        labels = {
            **prepared.labels,
            **_base_labels(prepared.dockerfile, engine, options.pull),
            **job.labels,
            **options.labels,
        }
        with prepared.context.tar(job.settings.uid) as stream:
            build = EngineBuild(
                tag=str(job.reference),
                context=stream,
                dockerfile=prepared.context.dockerfile,
                args=prepared.args,
                labels=labels,
                platform=platform_of(job),
                cache=options.cache.reference,
                cache_read=options.cache.read,
                cache_write=options.cache.write,
                cache_compression=options.compression,
                network=job.network,
                extra=[*(["--no-cache"] if options.anew else []), *(["--pull"] if options.pull else [])],
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
    """The user of the base image of the repository's own Dockerfile, where that and site settings meet; else ""."""
    if not (job.site.model_fields_set and (job.context / "Dockerfile").is_file()):
        return ""
    base = base_image((job.context / "Dockerfile").read_text(errors="replace"))
    held = engine.inspect(base) if base else None
    return str(held.config.get("User") or "") if held else ""


def _base_labels(dockerfile: str, engine: Engine, pull: bool) -> dict[str, str]:
    """Name and digest of the base image. The digest is the registry's; for a base that was only ever in this
    engine it is the engine's id, which names its content as well. PULL is whether the registry is asked anew."""
    base = base_image(dockerfile)
    if base is None:
        return {}
    held = None if pull else engine.inspect(base)
    if held is not None:
        known = [digest.partition("@")[2] for digest in held.digests]
        digest = known[0] if known else held.id
    else:
        digest = base.partition("@")[2] or engine.registry_digest(base) or ""
    return {BASE_NAME: base, **({BASE_DIGEST: digest} if digest else {})}
