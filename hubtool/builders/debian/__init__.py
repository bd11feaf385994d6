"""The debian builder: a base image made of a distribution's packages, for sites that cannot pull one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hubtool import __version__
from hubtool.builders import ARCHIVE, BuildJob, BuildOptions, Ingredients, deciding
from hubtool.builders.context import Context
from hubtool.builders.debian.archives import State, build_sources, image_sources, read_state
from hubtool.builders.debian.bootstrap import INSIDE, PATH, Bootstrap, check, make_root
from hubtool.builders.recipe import platform_of
from hubtool.builders.site import FOLDER, SiteFiles
from hubtool.engines import Engine
from hubtool.errors import HubtoolError, Where
from hubtool.image.docker_archive import StoredLayer, write_docker_archive
from hubtool.image.spool import spool_folder

__all__ = ["DebianBuilder", "check"]


class DebianBuilder:
    """Builds what the key ``debian`` of an image's settings says."""

    @contextmanager
    def prepare(self, job: BuildJob) -> Iterator[PreparedDebian]:
        """Read the files of JOB, with nothing started."""
        yield PreparedDebian(job, _inside(job))


@dataclass(frozen=True)
class PreparedDebian:
    """What goes over the packages; satisfies hubtool.builders.Prepared."""

    job: BuildJob
    inside: Context

    @property
    def architecture(self) -> str:
        return platform_of(self.job).rpartition("/")[2]

    @cached_property
    def state(self) -> State:
        """The state of the archives, asked for once."""
        debian, site = self.job.settings.debian, self.job.site
        sources = build_sources(debian, site, self.architecture)
        return read_state(debian, sources, self.architecture, self.job.ca_bundle)

    def dockerfile(self) -> str:
        """Raises HubtoolError: there is none."""
        raise HubtoolError(f"{self.job.image} is built by debian, which has no Dockerfile")

    def ingredients(self) -> Ingredients:
        """What decides the image: settings, files, and the state of the package archives."""
        settings = self.job.settings
        labels = deciding(self.job.labels)
        kept = image_sources(settings.debian, self.job.site, self.architecture)
        told = (__version__, settings.debian.model_dump_json(), self.architecture, self.state.content, kept)
        digest = hashlib.sha256(repr((told, sorted(self._environment.items()), sorted(labels.items()))).encode())
        if self._keyring:
            digest.update(hashlib.sha256(self._keyring.read_bytes()).digest())
        self.inside.hash_into(digest)
        return Ingredients(digest.hexdigest(), archive=self.state.content[:16])

    def build(self, engine: Engine, options: BuildOptions) -> Iterator[str]:
        """Build, yielding output lines as they come; raises HubtoolError when it fails."""
        with spool_folder() as folder:
            yield from self.write(folder, {**self.job.labels, **options.labels})
            yield f"loading the image into {engine.name}"
            engine.load(folder / "image.tar")

    def write(self, folder: Path, labels: Mapping[str, str]) -> Iterator[str]:
        """Write the image with LABELS as a docker archive, image.tar in FOLDER, yielding output lines as they come."""
        yield from self.inside.notes()
        yield from make_root(self._wanted(), folder)
        root = folder / "root.tar"
        with root.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        layer = StoredLayer(f"sha256:{digest}", root.stat().st_size, lambda: root.open("rb"))
        labels = {**labels, **({ARCHIVE: self.state.content[:16]} if self.state.content else {})}
        write_docker_archive(folder / "image.tar", self._config(labels), [layer], str(self.job.reference))
        root.unlink()

    def _wanted(self) -> Bootstrap:
        debian, site = self.job.settings.debian, self.job.site
        return Bootstrap(
            debian=debian,
            architecture=self.architecture,
            sources=build_sources(debian, site, self.architecture),
            kept=image_sources(debian, site, self.architecture),
            epoch=self.state.epoch,
            inside=self.inside,
            environment=self._environment,
            keyring=self._keyring,
            ca_bundle=self.job.ca_bundle,
        )

    @property
    def _environment(self) -> dict[str, str]:
        """What the last step sees, and its args."""
        return {**SiteFiles(self.job.site, self.job.ca_bundle).variables(), **self.job.settings.args}

    @property
    def _keyring(self) -> Path | None:
        named = self.job.settings.debian.keyring
        return _file(self.job, named) if named else None

    def _config(self, labels: Mapping[str, str]) -> dict[str, Any]:
        debian, site = self.job.settings.debian, self.job.site
        told = debian.config
        left = SiteFiles(site, self.job.ca_bundle).variables() if site.run_time else {}
        environment = {"PATH": PATH, **left, **told.environment}
        created = self.state.date.strftime("%Y-%m-%dT%H:%M:%SZ")
        config: dict[str, Any] = {
            "User": told.user,
            "WorkingDir": told.workdir,
            "Entrypoint": list(told.entrypoint),
            "Cmd": list(told.command),
            "Env": [f"{key}={value}" for key, value in environment.items()],
            "ExposedPorts": {f"{port}/tcp": {} for port in told.ports},
            "Labels": dict(sorted(labels.items())),
        }
        return {
            "architecture": self.architecture,
            "os": "linux",
            "created": created,
            "config": {key: value for key, value in config.items() if value},
            "history": [{"created": created, "created_by": f"mmdebstrap {debian.suite}"}],
        }


def _inside(job: BuildJob) -> Context:
    """What is copied over the root: the repository's files, its script, the site's settings."""
    debian = job.settings.debian
    found = Context()
    if debian.files:
        folder = job.context / debian.files
        if not folder.resolve().is_relative_to(job.context.resolve()):
            raise HubtoolError("leads outside the image's context", where=Where(folder))
        if not folder.is_dir():
            raise HubtoolError("there is no such folder", where=Where(folder), hint="write it, or mend debian.files")
        found.add_repository(folder, "", [])
    if debian.run:
        script = _file(job, debian.run).read_bytes()
        found.add(f"{INSIDE}/run", script if script.startswith(b"#!") else b"#!/bin/sh -eu\n" + script, 0o755)
    site = SiteFiles(job.site, job.ca_bundle)
    for name, data in site.files().items() if site else ():
        found.add(f"{FOLDER.lstrip('/')}/{name}", data, 0o644)
    return found


def _file(job: BuildJob, name: str) -> Path:
    file = job.context / name
    if not file.resolve().is_relative_to(job.context.resolve()):
        raise HubtoolError("leads outside the image's context", where=Where(file))
    if not file.is_file():
        raise HubtoolError("there is no such file", where=Where(file))
    return file
