"""A Docker daemon of our own, where none runs: Debian's docker.io, all its state below one folder."""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from hubtool.errors import HubtoolError
from hubtool.sandbox import packages
from hubtool.sandbox.bridge import own_bridge
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

    Images and build cache stay in FOLDER for the next run. A daemon that an earlier run left is ended first;
    where one of a run that still goes on uses FOLDER, this one has a folder of its own beside it. Raises
    HubtoolError where dockerd is not there and can't be installed, or does not start.
    """
    packages.ensure(["dockerd"])
    dockerd = packages.find("dockerd") or Path("dockerd")
    path = os.pathsep.join([os.environ.get("PATH", ""), *packages.SBIN])
    with ExitStack() as stack:
        data = stack.enter_context(_own_folder(folder))
        short = _short_folder(data)
        stack.callback(shutil.rmtree, short, ignore_errors=True)
        host = f"unix://{short}/docker.sock"
        pidfile = short / "dockerd.pid"
        end_leftover(pidfile, "dockerd")
        # What it knew of its networks: it would give the bridge its old address, which another daemon may have by now.
        shutil.rmtree(data / "data" / "network", ignore_errors=True)
        log = data / "dockerd.log"
        with _one_starts():
            bridge = stack.enter_context(own_bridge(f"hub-{short.name[-11:]}"))
            command: list[str | Path] = [
                dockerd,
                f"--data-root={data / 'data'}",
                f"--exec-root={short / 'exec'}",
                f"--pidfile={pidfile}",
                f"--host={host}",
                f"--bridge={bridge}",
                "--log-level=warn",
            ]
            stack.enter_context(service(command, log=log, ready=lambda: answers(host), env={"PATH": path}))
        yield host


@contextmanager
def _one_starts() -> Iterator[None]:
    """Waits for daemons of ours that start: each looks for a free address, and makes iptables' chain DOCKER anew."""
    with Path(tempfile.gettempdir(), f"hubtool-{os.getuid()}-dockerd.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _own_folder(folder: Path) -> Iterator[Path]:
    """FOLDER, or the first of FOLDER-2, FOLDER-3 … that no running process holds."""
    for number in itertools.count(1):
        candidate = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
        candidate.mkdir(parents=True, exist_ok=True)
        with (candidate / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield candidate
            return


def _short_folder(data: Path) -> Path:
    """A folder for the socket, whose path may have 107 bytes: a temporary one, under a name made of DATA's."""
    name = hashlib.sha256(str(data.resolve()).encode()).hexdigest()[:12]
    short = Path(tempfile.gettempdir()) / f"hubtool-{os.getuid()}-{name}"
    short.mkdir(mode=0o700, exist_ok=True)
    if short.stat().st_uid != os.getuid():
        raise HubtoolError(f"{short} belongs to somebody else", hint="remove it, or set TMPDIR")
    return short
