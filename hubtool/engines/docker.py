"""The docker engine: images and containers through the daemon's API, builds through a docker program's BuildKit."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import docker
import docker.context
import docker.errors
import requests
from docker.context.config import get_current_context_name

from hubtool.engines import Container, ContainerSpec, EngineBuild, EngineImage, failures
from hubtool.engines.docker_cli import DockerCli, build_arguments, candidates, find_cli, writes_cache
from hubtool.engines.docker_container import DockerContainer, published_host, run_arguments, speaking
from hubtool.engines.leftovers import LABEL, keep
from hubtool.errors import HubtoolError
from hubtool.process import ProcessError, run, stream

API_SECONDS = 600
STARTS = 4


class DockerEngine:
    """A Docker daemon: $DOCKER_HOST's, else the current docker context's, else the default socket's."""

    name = "docker"
    bounded_cache = True

    @cached_property
    def _client(self) -> Any:
        try:
            client = _connect()
            client.ping()
        except (docker.errors.DockerException, requests.RequestException, OSError) as error:
            raise _no_daemon(error) from error
        return client

    @cached_property
    def _cli(self) -> DockerCli:
        return find_cli()

    def check(self) -> str:
        """Version and manner of the engine; raises HubtoolError with a hint where unusable."""
        with speaking("docker version"):
            version = self._client.version()["Version"]
        manner = "buildx" if self._cli.buildx else "the daemon's own BuildKit, no buildx"
        return f"Docker {version} at {_address()}, building with {self._cli.path} ({manner})"

    def build(self, build: EngineBuild) -> Iterator[str]:
        """Build, yielding output lines as they come. The tag names the image only if all went well."""
        self.check()
        cache_to = True
        if build.cache and build.cache_write:
            cache_to = writes_cache(self._cli, self._client.info())
            if not cache_to:
                yield "build cache not written: the buildx builder in use can't (docker buildx create --use)"
        context = None if isinstance(build.context, Path) else build.context
        arguments = build_arguments(self._cli, build, cache_to=cache_to)
        try:
            # The program does not heed SIGTERM once it has read the context; without it the daemon ends the build.
            yield from stream(self._cli.path, *arguments, env=self._cli.environment, stdin=context, grace=1)
        except ProcessError as error:
            raise self._explain(error) from error
        if build.cache and build.cache_write and not self._cli.buildx:
            yield from self._push_cache(build.tag, build.cache)

    def _push_cache(self, image: str, cache: str) -> Iterator[str]:
        """Push IMAGE, which tells of its own steps, as the build cache: all that the daemon's BuildKit can write. A
        refusal is one line, and no error."""
        self.tag(image, cache)
        try:
            yield from stream(self._cli.path, "push", "--quiet", cache)
        except ProcessError as error:
            yield f"build cache not written: {failures.last_lines(error.output)}"
        finally:
            self.remove_image(cache)

    def _explain(self, error: ProcessError) -> HubtoolError:
        try:
            self._client.ping()
        except (docker.errors.DockerException, requests.RequestException, OSError):
            return HubtoolError(
                f"Docker stopped answering during the build:\n{failures.last_lines(error.output)}",
                hint="start Docker again, then run the same command",
            )
        return failures.explain(error, prune="docker system prune")

    def inspect(self, image: str) -> EngineImage | None:
        """The image by tag or id; None where the engine has none."""
        with speaking(f"docker inspect {image}"):
            try:
                attrs = self._client.images.get(image).attrs
            except (docker.errors.ImageNotFound, docker.errors.NullResource):
                return None
        return EngineImage(
            attrs["Id"],
            attrs.get("Config") or {},
            attrs["Architecture"],
            attrs["Size"],
            tuple(attrs.get("RepoDigests") or ()),
        )

    def registry_digest(self, image: str) -> str | None:
        """The digest that IMAGE's registry gives for it; None where it can't be had."""
        try:
            return str(self._client.images.get_registry_data(image).id)
        except (docker.errors.DockerException, requests.RequestException, OSError):
            return None

    def run(self, spec: ContainerSpec) -> Container:
        """Start a container and return at once. It is removed when the program ends, if not before."""
        publish, reach = published_host(_address())
        with speaking(f"docker run {spec.image}"):
            created = self._client.containers.create(**run_arguments(spec, publish))
        container = DockerContainer(created, reach, shared=spec.network == "host")
        keep(container)
        try:
            with speaking(f"docker run {spec.image}"):
                _start(created)
        except BaseException:
            container.remove()
            raise
        return container

    def can_run(self) -> str | None:
        """None where it can start containers, else why it can't: a daemon that answers can."""
        try:
            self.check()
        except HubtoolError as error:
            return error.message
        return None

    def clean(self, run: str) -> int:
        """Remove every container labelled ``hubtool.run=RUN``, with its anonymous volumes, and the volumes and networks
        that carry this label; returns how many containers."""
        ours = {"label": f"{LABEL}={run}"}
        with speaking("docker ps"):
            found = self._client.containers.list(all=True, filters=ours, ignore_removed=True)
        for container in found:
            DockerContainer(container, "", shared=False).remove()
        with speaking("docker volume rm, network rm"):
            for left in [*self._client.volumes.list(filters=ours), *self._client.networks.list(filters=ours)]:
                with contextlib.suppress(docker.errors.NotFound):  # it went with its container
                    left.remove()
        return len(found)

    def export(self, image: str, target: Path) -> None:
        """Write the image as a docker archive to the file TARGET: whole, or not at all."""
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            with speaking(f"docker save {image}"), part.open("wb") as file:
                for chunk in self._client.api.get_image(image):
                    file.write(chunk)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    def load(self, archive: Path) -> str:
        """Load a docker archive; returns the image's id."""
        try:
            with speaking(f"docker load {archive}"), archive.open("rb") as file:
                images = self._client.images.load(file)
        except docker.errors.ImageLoadError as error:
            raise HubtoolError(f"docker load {archive}: {error}") from error
        if not images:
            raise HubtoolError(f"docker load {archive}: no image in it")
        return str(images[0].id)

    def tag(self, image: str, reference: str) -> None:
        repository, colon, tag = reference.rpartition(":")
        named = (repository, tag) if colon and "/" not in tag else (reference, "latest")
        with speaking(f"docker tag {image} {reference}"):
            self._client.images.get(image).tag(named[0], tag=named[1])

    def remove_image(self, image: str) -> None:
        """Remove a tag or image; one that is not there is no error."""
        with speaking(f"docker rmi {image}"), contextlib.suppress(docker.errors.ImageNotFound):
            self._client.images.remove(image)


def _start(created: Any) -> None:
    """Start a container that was CREATED. A daemon tries ten ports, one after the other, which another daemon may all
    have; asked again, it goes on from there."""
    for left in reversed(range(STARTS)):
        try:
            created.start()
            return
        except docker.errors.APIError as error:
            if not left or "address already in use" not in str(error):
                raise


def _connect() -> Any:
    if os.environ.get("DOCKER_HOST"):
        return docker.from_env(timeout=API_SECONDS, use_ssh_client=os.environ["DOCKER_HOST"].startswith("ssh://"))
    context = _context()
    if context is None:
        return docker.from_env(timeout=API_SECONDS)
    host, tls = context
    return docker.DockerClient(
        base_url=host, tls=tls or False, timeout=API_SECONDS, use_ssh_client=host.startswith("ssh://")
    )


def _context() -> tuple[str, Any] | None:
    """Host and TLS settings of the docker context that the docker program would use; None for the default one."""
    name = os.environ.get("DOCKER_CONTEXT") or get_current_context_name()
    if name == "default":
        return None
    found = docker.context.ContextAPI.get_context(name)
    if found is not None:
        return str(found.Host), found.TLSConfig
    for path in candidates():  # the SDK looks for contexts only beside a config.json
        told = run(path, "context", "inspect", name, "--format", "{{.Endpoints.docker.Host}}", check=False)
        if told.returncode == 0:
            return told.stdout.strip(), None
    raise HubtoolError(f"there is no docker context called '{name}'", hint="docker context ls")


def _address() -> str:
    if os.environ.get("DOCKER_HOST"):
        return os.environ["DOCKER_HOST"]
    context = _context()
    return context[0] if context is not None else "unix:///var/run/docker.sock"


def _no_daemon(error: Exception) -> HubtoolError:
    text = str(error)
    if "Permission denied" in text or "PermissionError" in text:
        hint = "join the group that may use Docker: sudo usermod -aG docker $USER, then log in again"
        return HubtoolError(f"you may not use Docker at {_address()}", hint=hint)
    return HubtoolError(f"Docker does not answer at {_address()}", hint="start Docker, or set DOCKER_HOST")
