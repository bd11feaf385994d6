"""A Docker daemon of our own, where none runs: Debian's docker.io, all its state below one folder."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hubtool.sandbox import packages
from hubtool.sandbox.services import end_leftover, service


def answers(host: str | None = None) -> bool:
    """Whether a Docker daemon answers at HOST (default: $DOCKER_HOST or the usual socket)."""
    import docker
    from docker.errors import DockerException

    try:
        client = docker.DockerClient(host, timeout=5) if host else docker.from_env(timeout=5)
        try:
            return bool(client.ping())
        finally:
            client.close()
    except (DockerException, OSError, ValueError):
        return False


@contextmanager
def private_dockerd(folder: Path) -> Iterator[str]:
    """Run a Docker daemon with its images below FOLDER; gives its DOCKER_HOST.

    Images and build cache stay in FOLDER for the next run. A daemon that an earlier run left is ended first.
    Raises HubtoolError where dockerd is not there and can't be installed, or does not start.
    """
    packages.ensure(["dockerd"])
    folder.mkdir(parents=True, exist_ok=True)
    # A socket's path may have 107 bytes: it stands in the temporary folder, under a name made of FOLDER's.
    short = Path(tempfile.gettempdir()) / f"hubtool-{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]}"
    short.mkdir(mode=0o700, exist_ok=True)
    pidfile = short / "dockerd.pid"
    end_leftover(pidfile, "dockerd")
    host = f"unix://{short}/docker.sock"
    dockerd = packages.find("dockerd") or Path("dockerd")
    command: list[str | Path] = [
        dockerd,
        f"--data-root={folder / 'data'}",
        f"--exec-root={short / 'exec'}",
        f"--pidfile={pidfile}",
        f"--host={host}",
        "--log-level=warn",
    ]
    path = os.pathsep.join([os.environ.get("PATH", ""), *packages.SBIN])
    with service(command, log=folder / "dockerd.log", ready=lambda: answers(host), env={"PATH": path}):
        yield host
