"""Reading a repository by repo2docker's own application: which build pack, Dockerfile and context it makes."""

from __future__ import annotations

import logging
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from repo2docker.app import Repo2Docker
from repo2docker.buildpacks import DockerBuildPack, LegacyBinderDockerBuildPack
from ruamel.yaml.error import YAMLError

from hubtool.builders import BuildJob
from hubtool.builders.recipe import Recipe, platform_of
from hubtool.builders.repo2docker.packs import Recorder, Setting, adapt
from hubtool.builders.repo2docker.uv_buildpack import UvBuildPack, requirements_pack
from hubtool.builders.site import SiteFiles
from hubtool.errors import HubtoolError

# What repo2docker's reading of a user's files is known to raise.
UNREADABLE = (ValueError, RuntimeError, TypeError, LookupError, AttributeError, OSError, YAMLError, SystemExit)


_ONE_AT_A_TIME = threading.Lock()  # repo2docker changes the working folder, and has one logger


class HubtoolRepo2Docker(Repo2Docker):  # type: ignore[misc]
    """repo2docker with a recorder for an engine, and without its own logging to the terminal."""

    recorder: Recorder

    def get_engine(self) -> Recorder:
        return self.recorder


@contextmanager
def prepare(job: BuildJob, users: Mapping[str, str] = {}) -> Iterator[Recipe]:
    """What is to be built for JOB. The files that its context names are there until the block ends.

    Raises HubtoolError for whatever repo2docker finds wrong with the repository.
    """
    with tempfile.TemporaryDirectory(prefix="hubtool-build-") as scratch:
        setting = Setting(SiteFiles(job.site, job.ca_bundle, users), Path(scratch))
        yield _read(job, setting)


def _read(job: BuildJob, setting: Setting) -> Recipe:
    recorder = Recorder()
    with _ONE_AT_A_TIME, _logged() as (log, lines):
        app = HubtoolRepo2Docker(log=log)
        app.recorder = recorder
        _configure(app, job, setting)
        try:
            app.build()
        except HubtoolError:
            raise
        except UNREADABLE as error:
            raise HubtoolError(f"repo2docker cannot read {job.context}: {_told(error, lines)}") from error
    if recorder.recipe is None:
        raise HubtoolError(f"repo2docker found nothing to build in {job.context}")
    recorder.recipe.notes = [line for line in lines if line] + recorder.recipe.context.notes()
    return recorder.recipe


def _configure(app: HubtoolRepo2Docker, job: BuildJob, setting: Setting) -> None:
    settings = job.settings
    app.repo = str(job.context)
    app.output_image_spec = str(job.reference)
    app.run = app.push = False
    app.user_id, app.user_name = settings.uid, settings.user
    app.target_repo_dir = settings.repo_dir
    app.appendix = settings.appendix or ""
    app.extra_build_args = dict(settings.args)
    app.platform = platform_of(job)
    if settings.base:
        app.base_image = settings.base
    packs = [pack for pack in app.buildpacks if pack not in (LegacyBinderDockerBuildPack, DockerBuildPack)]
    ours: list[Any] = [requirements_pack()] if job.environment == "uv" else [UvBuildPack]
    order = [LegacyBinderDockerBuildPack, DockerBuildPack, *ours, *packs]
    app.buildpacks = [adapt(pack, setting) for pack in order]
    app.default_buildpack = adapt(app.default_buildpack, setting)


@contextmanager
def _logged() -> Iterator[tuple[logging.Logger, list[str]]]:
    """repo2docker's logger, for the moment into a list; as it was before, afterwards."""
    log = logging.getLogger("repo2docker")
    lines: list[str] = []
    handler = _Lines(lines)
    before = (log.handlers, log.level, log.propagate)
    log.handlers, log.propagate = [handler], False
    log.setLevel(logging.INFO)
    try:
        yield log, lines
    finally:
        log.handlers, log.propagate = before[0], before[2]
        log.setLevel(before[1])


class _Lines(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines += record.getMessage().splitlines()


def _told(error: BaseException, lines: list[str]) -> str:
    """What went wrong, in repo2docker's words: its last lines where it only said so and left."""
    if isinstance(error, SystemExit):
        return " ".join(line for line in lines[-3:] if line) or "it gave up"
    if isinstance(error, KeyError):
        return f"there is no {error}"
    return str(error) or type(error).__name__
