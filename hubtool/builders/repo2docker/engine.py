"""hubtool's engines as repo2docker engine plug-ins: ``jupyter-repo2docker --engine hubtool-docker .``"""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from repo2docker.docker import DockerEngine as Repo2DockerDockerEngine
from repo2docker.engine import BuildError, ContainerEngine, Image
from repo2docker.engine import Container as Repo2DockerContainer

from hubtool.engines import Container, ContainerSpec, Engine, EngineBuild
from hubtool.engines.buildah import BuildahEngine
from hubtool.engines.docker import DockerEngine
from hubtool.errors import HubtoolError

POLL_SECONDS = 0.2


def _build(engine: Engine, options: dict[str, Any]) -> Iterator[str]:
    """What repo2docker asks of ``ContainerEngine.build``, by a hubtool engine. Lines keep their ends; the reason
    of an error is one, since repo2docker does not show what BuildError says."""
    if options.get("push"):
        yield "hubtool's engines build and do not push: leave --push out, then use `hubtool push`\n"
        raise BuildError("no push")
    path = Path(options.get("path") or ".")
    context: IO[bytes] | Path = options.get("fileobj") or path
    build = EngineBuild(
        tag=options.get("tag", ""),
        context=context,
        dockerfile=options.get("dockerfile") or "Dockerfile",
        args=options.get("buildargs") or {},
        labels={key: str(value) for key, value in (options.get("labels") or {}).items()},
        platform=options.get("platform"),
        cache=next(iter(options.get("cache_from") or ()), None),
    )
    try:
        for line in engine.build(build):
            yield f"{line}\n"
    except HubtoolError as error:
        yield f"{error}\n"
        raise BuildError(str(error)) from error


def _inspect(engine: Engine, image: str) -> Image | None:
    found = engine.inspect(image)
    return None if found is None else Image(tags=[image], config={"WorkingDir": "", **found.config})


class DockerPlugin(Repo2DockerDockerEngine):  # type: ignore[misc]
    """Docker with or without buildx. Running containers is repo2docker's own."""

    def __init__(self, *, parent: Any) -> None:
        super().__init__(parent=parent)
        self.hubtool_engine = DockerEngine()

    def build(self, **options: Any) -> Iterator[str]:
        yield from _build(self.hubtool_engine, options)

    def inspect_image(self, image: str) -> Image | None:
        return _inspect(self.hubtool_engine, image)


class BuildahPlugin(ContainerEngine):  # type: ignore[misc]
    """buildah, with no daemon. A container shares this machine's network, so ports are what they are inside."""

    def __init__(self, *, parent: Any) -> None:
        super().__init__(parent=parent)
        self.hubtool_engine = BuildahEngine()

    def build(self, **options: Any) -> Iterator[str]:
        yield from _build(self.hubtool_engine, options)

    def inspect_image(self, image: str) -> Image | None:
        return _inspect(self.hubtool_engine, image)

    def run(self, image_spec: str, **options: Any) -> Repo2DockerContainer:
        spec = ContainerSpec(
            image_spec,
            command=options.get("command") or None,
            environment=dict(item.partition("=")[::2] for item in options.get("environment") or ()),
            volumes={source: (v["bind"], v["mode"]) for source, v in (options.get("volumes") or {}).items()},
            ports=[int(str(port).partition("/")[0]) for port in options.get("ports") or ()],
        )
        return _Container(self.hubtool_engine.run(spec))


class _Container(Repo2DockerContainer):  # type: ignore[misc]
    """A hubtool container with the methods that repo2docker calls."""

    def __init__(self, container: Container) -> None:
        self._container = container

    def reload(self) -> None:
        """Nothing is held that could be stale."""

    def logs(self, *, stream: bool = False, timestamps: bool = False, since: str | None = None) -> Any:
        if stream:
            return self._follow(timestamps)
        return b"" if since else self._container.logs().encode()

    def _follow(self, timestamps: bool) -> Iterator[bytes]:
        seen = 0
        running = True
        while running:
            running = self._container.running()
            lines = self._container.logs().splitlines(keepends=True)
            for line in lines[seen:]:
                stamp = f"{datetime.datetime.now(datetime.UTC).isoformat()} " if timestamps else ""
                yield f"{stamp}{line}".encode()
            seen = len(lines)
            time.sleep(POLL_SECONDS if running else 0)

    def kill(self, *, signal: str = "KILL") -> None:
        self._container.stop(0 if signal == "KILL" else 10)

    def stop(self, *, timeout: float = 10) -> None:
        self._container.stop(timeout)

    def remove(self) -> None:
        self._container.remove()

    def wait(self) -> None:
        while self._container.running():
            time.sleep(POLL_SECONDS)

    @property
    def exitcode(self) -> int | None:
        return self._container.exit_code()

    @property
    def status(self) -> str:
        return "running" if self._container.running() else "exited"
