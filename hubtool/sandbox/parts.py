"""Choose the parts that a machine offers for the whole line, and say why."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from hubtool import console
from hubtool.engines import Engine, choose_engine, get_engine
from hubtool.errors import HubtoolError
from hubtool.sandbox import dockerd, network, packages
from hubtool.sandbox.base_image import base_image
from hubtool.sandbox.registry import local_registry


@dataclass(frozen=True)
class Parts:
    """What the line is run with. ``base`` is None for repo2docker's own base image; ``environment`` is the
    template's answer, conda or uv; ``ca_bundle`` what builds trust beside the public authorities."""

    engine: Engine
    registry: str
    base: str | None
    environment: str
    ca_bundle: Path | None


def cache_folder() -> Path:
    """Where engine data and base images stay from run to run: $XDG_CACHE_HOME/hubtool or ~/.cache/hubtool."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hubtool"


def take_parts(stack: ExitStack, registry_data: Path, registry_port: int | None) -> Parts:
    """Start or find every part; STACK ends what was started. Raises HubtoolError where one can't be had."""
    bundle = network.private_bundle()
    if bundle is not None:
        _chose("certificates", str(bundle), "package indexes answer with a certificate that only this file knows")
    engine = _engine(stack)
    hub = network.answers(network.DOCKER_HUB, bundle)
    forge = network.answers(network.CONDA_FORGE, bundle)
    if hub and forge:
        base, environment = None, "conda"
        _chose("base image", "repo2docker's own", "Docker Hub answers")
        _chose("packages", "conda (environment.yml)", "conda-forge answers")
    else:
        silent = " and ".join(name for name, answers in (("Docker Hub", hub), ("conda-forge", forge)) if not answers)
        _chose("packages", "uv (uv.lock)", f"no answer from {silent}")
        environment = "uv"
        with console.step("base image: made from Debian packages, or loaded from the last run"):
            base = base_image(engine, cache_folder() / "base")
    host = stack.enter_context(local_registry(registry_data, port=registry_port))
    _chose("registry", host, "Debian's docker-registry, on loopback")
    return Parts(engine, host, base, environment, bundle)


def _engine(stack: ExitStack) -> Engine:
    try:
        engine = choose_engine()
        _chose("engine", engine.check(), "it works here")
        return engine
    except HubtoolError as error:
        first = error
    starts: list[Callable[[ExitStack], Engine]] = [_own_docker, _own_buildah]
    for start in starts:
        try:
            return start(stack)
        except HubtoolError as error:
            console.warn(error.message)
    raise first


def _own_docker(stack: ExitStack) -> Engine:
    packages.ensure(["dockerd"])
    host = stack.enter_context(dockerd.private_dockerd(cache_folder() / "docker"))
    os.environ["DOCKER_HOST"] = host
    engine = get_engine("docker")
    _chose("engine", engine.check(), "none was running; this one is Debian's, and ends with the demo")
    return engine


def _own_buildah(_: ExitStack) -> Engine:
    packages.ensure(["buildah"])
    engine = get_engine("buildah")
    _chose("engine", engine.check(), "no Docker daemon can be started here")
    return engine


def _chose(part: str, what: str, why: str) -> None:
    console.say(f"{part}: {what} ({why})")
