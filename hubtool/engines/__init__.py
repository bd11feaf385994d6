"""Engines run builds and containers: docker, buildah. Each is a module that satisfies Protocol Engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

from hubtool.errors import HubtoolError
from hubtool.process import Completed


class Unsupported(HubtoolError):
    """This engine can't do what a container was asked to have; another engine may."""


@dataclass(frozen=True)
class EngineBuild:
    """One build to run.

    ``context`` is a tar stream that holds the Dockerfile at ``dockerfile``, or the path of a folder.
    ``cache`` is a repository reference for the registry build cache, read with ``cache_read`` and written with
    ``cache_write``, in ``cache_compression`` as far as the engine can. ``network`` "host" lets RUN steps reach
    services on this machine's loopback. With ``local_base`` it is built on an image that the engine itself holds.
    """

    tag: str
    context: IO[bytes] | Path
    dockerfile: str = "Dockerfile"
    args: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    platform: str | None = None
    cache: str | None = None
    cache_read: bool = True
    cache_write: bool = False
    cache_compression: str = "gzip"
    network: str | None = None
    local_base: bool = False
    extra: Sequence[str] = ()


@dataclass(frozen=True)
class ContainerSpec:
    """How to start a container. ``volumes`` maps host folder or volume name to (path inside, "rw" or "ro");
    ``ports`` are TCP ports inside that shall be reachable from this machine. ``empty`` maps a folder inside to
    a uid: there the container finds an empty, writable folder of that user and group 100 (mode 2775, programs
    may run from it), as a hub's fresh home volume is, and it is gone with the container. ``network`` "none" leaves
    only loopback. With ``new_privileges`` False no program gets more rights than it was started with (setuid, sudo).
    ``shm`` is the size of /dev/shm in bytes; ``processes`` and ``memory`` (bytes) are the most that it may have: where
    they are left out, as many as no server needs (docker), or no limit (buildah). With
    ``reaches_machine`` the container finds this machine under the name that MACHINE_NAMES has for its engine."""

    image: str
    command: Sequence[str] | None = None
    entrypoint: Sequence[str] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    groups: Sequence[str] = ()
    workdir: str | None = None
    volumes: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    ports: Sequence[int] = ()
    network: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    empty: Mapping[str, int] = field(default_factory=dict)
    new_privileges: bool = True
    shm: int | None = None
    processes: int | None = None
    memory: int | None = None
    reaches_machine: bool = False


# How a container calls this machine, by the engine's name; buildah's share its network.
MACHINE_NAMES: Mapping[str, str] = {"docker": "host.docker.internal", "buildah": "127.0.0.1"}


@dataclass(frozen=True)
class EngineImage:
    """An image that an engine holds: ``id`` is its config digest (sha256:…), ``config`` the OCI image
    config's ``config`` object (User, Env, Labels, …), ``size`` bytes uncompressed; ``digests`` are the
    references with digest that registries know it by (none for an image that was only ever here)."""

    id: str
    config: Mapping[str, Any]
    architecture: str
    size: int
    digests: Sequence[str] = ()


class Container(Protocol):
    """A started container."""

    id: str

    def exec(
        self,
        argv: Sequence[str],
        *,
        user: str | None = None,
        environment: Mapping[str, str] | None = None,
        workdir: str | None = None,
        timeout: float | None = None,
    ) -> Completed:
        """Run a program inside; never raises for its exit code."""
        ...

    def copy_in(self, source: Path, target: str) -> None:
        """Copy a folder's content to the folder TARGET inside."""
        ...

    def address(self, port: int) -> tuple[str, int]:
        """Host and port on this machine that lead to PORT inside."""
        ...

    def running(self) -> bool: ...

    def exit_code(self) -> int | None:
        """None while it runs."""
        ...

    def out_of_memory(self) -> bool:
        """Whether a program of it was ended since it had no memory left."""
        ...

    def logs(self) -> str:
        """What it printed; of very much only a part (the last of it, where the engine can tell)."""
        ...

    def stop(self, timeout: float = 10) -> float:
        """SIGTERM, then after TIMEOUT seconds SIGKILL; returns the seconds it took."""
        ...

    def remove(self) -> None:
        """Stop and remove it, with its anonymous volumes. Twice is no error."""
        ...


class Engine(Protocol):
    """What hubtool needs of a container engine. Failures that a user can mend raise HubtoolError."""

    name: str
    bounded_cache: bool  # whether its registry build cache is one reference, written over by each build

    def check(self) -> str:
        """Version and manner of the engine for `doctor`; raises HubtoolError with a hint where unusable."""
        ...

    def build(self, build: EngineBuild) -> Iterator[str]:
        """Build, yielding output lines as they come. The tag names the image only if all went well."""
        ...

    def inspect(self, image: str) -> EngineImage | None:
        """The image by tag or id; None where the engine has none."""
        ...

    def registry_digest(self, image: str) -> str | None:
        """The digest that IMAGE's registry gives for it; None where it can't be had."""
        ...

    def run(self, spec: ContainerSpec) -> Container:
        """Start a container and return at once. It is removed when the program ends, if not before."""
        ...

    def can_run(self) -> str | None:
        """None where it can start containers, else why it can't."""
        ...

    def clean(self, run: str) -> int:
        """Remove every container labelled ``hubtool.run=RUN``, with its anonymous volumes, and the volumes and
        networks that carry this label; returns how many containers."""
        ...

    def export(self, image: str, target: Path) -> None:
        """Write the image as a docker archive (docker save's format) to the file TARGET."""
        ...

    def load(self, archive: Path) -> str:
        """Load a docker archive; returns the image's id."""
        ...

    def tag(self, image: str, reference: str) -> None: ...

    def remove_image(self, image: str) -> None:
        """Remove a tag or image; one that is not there is no error."""
        ...


ENGINES = ("docker", "buildah")


def get_engine(name: str) -> Engine:
    """The engine called NAME, not yet checked; raises HubtoolError for an unknown one."""
    if name == "docker":
        from hubtool.engines.docker import DockerEngine

        return DockerEngine()
    if name == "buildah":
        from hubtool.engines.buildah import BuildahEngine

        return BuildahEngine()
    raise HubtoolError(f"no engine called '{name}'", hint="engines: " + ", ".join(ENGINES))


def choose_engine(name: str | None = None) -> Engine:
    """The engine asked for by NAME or $HUBTOOL_ENGINE, else the first of ENGINES that works here.

    Raises HubtoolError that says for each engine why it can't be used.
    """
    import os

    wanted = name or os.environ.get("HUBTOOL_ENGINE")
    if wanted:
        engine = get_engine(wanted)
        engine.check()
        return engine
    reasons = []
    for candidate in ENGINES:
        engine = get_engine(candidate)
        try:
            engine.check()
        except HubtoolError as error:
            reasons.append(f"{candidate}: {error.message}")
            continue
        return engine
    raise HubtoolError(
        "no container engine works here: " + "; ".join(reasons),
        hint="start Docker, or install buildah (Debian, Ubuntu: apt-get install buildah)",
    )
