"""The docker program that builds: with buildx, or old enough to use the daemon's own BuildKit."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hubtool.engines import EngineBuild
from hubtool.errors import HubtoolError
from hubtool.process import run

DEBIAN_DOCKER = Path("/usr/bin/docker")
# From this version on the docker program refuses to use BuildKit without the buildx plug-in
# (docs.docker.com/engine/release-notes/23.0).
NEEDS_BUILDX = 23
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")


@dataclass(frozen=True)
class DockerCli:
    """A docker program that can build with BuildKit. ``buildx`` is False where it uses the daemon's own."""

    path: Path
    version: str
    buildx: bool

    @property
    def environment(self) -> dict[str, str | None]:
        """What to lay over the process environment when building."""
        return {"DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain", "DOCKER_CLI_HINTS": "false"}


def find_cli() -> DockerCli:
    """The first docker program on PATH (or /usr/bin/docker) with buildx, else the first below version 23.

    Raises HubtoolError where there is neither.
    """
    older: DockerCli | None = None
    seen = []
    for path in candidates():
        version = _version(path)
        if version is None:
            continue
        seen.append(f"{path} ({version})")
        if run(path, "buildx", "version", check=False, timeout=30).returncode == 0:
            return DockerCli(path, version, buildx=True)
        if older is None and int(version.split(".")[0]) < NEEDS_BUILDX:
            older = DockerCli(path, version, buildx=False)
    if older is not None:
        return older
    why = f"{', '.join(seen)} cannot build without the buildx plug-in" if seen else "there is no docker program on PATH"
    raise HubtoolError(why, hint="install it: apt-get install docker-buildx (or docker-buildx-plugin), or docker.io")


def candidates() -> list[Path]:
    """The docker programs on PATH and Debian's, each once."""
    folders = [Path(folder) for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if folder]
    paths = [folder / "docker" for folder in folders] + [DEBIAN_DOCKER]
    found: list[Path] = []
    for path in paths:
        if path.is_file() and os.access(path, os.X_OK) and path.resolve() not in [other.resolve() for other in found]:
            found.append(path)
    return found


def _version(path: Path) -> str | None:
    """The version of the program itself, asked without a daemon; None where it is not docker."""
    try:
        done = run(path, "--version", check=False, timeout=30)
    except (HubtoolError, OSError):
        return None
    found = re.match(r"Docker version (\d+[\w.]*)", done.stdout)
    return found[1] if found else None


def build_arguments(cli: DockerCli, build: EngineBuild, *, cache_to: bool = True) -> list[str]:
    """The arguments after the program's name that run BUILD. CACHE_TO says whether the builder can write a
    registry cache."""
    words = ["buildx", "build", "--load"] if cli.buildx else ["build"]
    if cli.buildx and build.local_base:  # other builders see no image that the daemon holds, and write no cache
        words, cache_to = [*words, "--builder", "default"], False
    words += ["--progress", "plain", "--tag", build.tag, "--file", _dockerfile(build)]
    for key, value in build.args.items():
        words += ["--build-arg", f"{key}={value}"]
    for name in _proxies(build.args, os.environ):
        words += ["--build-arg", name]
    for key, value in build.labels.items():
        words += ["--label", f"{key}={value}"]
    words += ["--platform", build.platform] if build.platform else []
    words += ["--network", build.network] if build.network else []
    words += _cache_arguments(cli, build, cache_to)
    return [*words, *build.extra, str(build.context) if isinstance(build.context, Path) else "-"]


def _dockerfile(build: EngineBuild) -> str:
    """Docker reads --file from its own working folder where the context is a folder."""
    return str(build.context / build.dockerfile) if isinstance(build.context, Path) else build.dockerfile


def _cache_arguments(cli: DockerCli, build: EngineBuild, cache_to: bool) -> list[str]:
    if build.cache is None:
        return []
    if not cli.buildx:
        inline = ["--build-arg", "BUILDKIT_INLINE_CACHE=1"] if build.cache_write else []
        return [*(["--cache-from", build.cache] if build.cache_read else []), *inline]
    words = ["--cache-from", f"type=registry,ref={build.cache}"] if build.cache_read else []
    if build.cache_write and cache_to:
        # All steps of one build, those of earlier stages as well; nothing of the builds before.
        options = "mode=max,image-manifest=true,oci-mediatypes=true,ignore-error=true"
        options += f",compression={build.cache_compression}"
        words += ["--cache-to", f"type=registry,ref={build.cache},{options}"]
    return words


def _proxies(args: Mapping[str, str], environ: Mapping[str, str]) -> Iterator[str]:
    """Proxy variables that are set here and not given: by name only, so that a password in one stays out of argv."""
    for name in PROXIES:
        for spelled in (name, name.lower()):
            if environ.get(spelled) and spelled not in args:
                yield spelled


def writes_cache(cli: DockerCli, storage: Mapping[str, object]) -> bool:
    """Whether the chosen buildx builder can write a registry cache. Driver "docker" can only with the containerd
    image store (docs.docker.com/build/cache/backends); STORAGE is the daemon's `info`."""
    if not cli.buildx:
        return True
    shown = run(cli.path, "buildx", "inspect", check=False, timeout=60).stdout
    if not re.search(r"^Driver:\s+docker\s*$", shown, re.MULTILINE):
        return True
    return "io.containerd.snapshotter" in str(storage.get("DriverStatus"))
