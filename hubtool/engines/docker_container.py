"""A container that the Docker daemon runs."""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlparse

import docker
import docker.errors
import docker.types
import requests

from hubtool.engines import MACHINE_NAMES, ContainerSpec
from hubtool.engines.leftovers import LABEL, RUN_ID, forget
from hubtool.errors import HubtoolError
from hubtool.process import Completed, ProcessError

# What a container has where its spec doesn't say: as much as no server needs, and less than ends this machine.
PROCESSES = 4096
MEMORY = 8 * 1024**3
MEMORY_SHARE = 2  # of this machine's, at most one part in so many
LOG = {"max-size": "16m", "max-file": "2"}  # and no more on the disk, whatever it prints
EXEC_OUTPUT = 64 * 1024 * 1024  # bytes of each stream of a program that are kept


@contextmanager
def speaking(what: str) -> Iterator[None]:
    """Turn the SDK's errors into HubtoolError: WHAT was being done."""
    try:
        yield
    except docker.errors.APIError as error:
        text = str(error.explanation or error)
        hint = "free disk space: docker system prune" if "no space left on device" in text else None
        raise HubtoolError(f"{what}: {text}", hint=hint) from error
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        raise HubtoolError(f"{what}: Docker does not answer: {error}", hint="is Docker still running?") from error


def run_arguments(spec: ContainerSpec, host: str) -> dict[str, Any]:
    """What SPEC is for the SDK's ``containers.create``. HOST is the address that ports are published on."""
    shared = spec.network == "host"
    return {
        "image": spec.image,
        "command": list(spec.command) if spec.command is not None else None,
        "entrypoint": list(spec.entrypoint) if spec.entrypoint is not None else None,
        "environment": dict(spec.environment),
        "user": spec.user,
        "group_add": list(spec.groups),
        "working_dir": spec.workdir,
        "volumes": {source: {"bind": path, "mode": mode} for source, (path, mode) in spec.volumes.items()},
        "ports": {} if shared else {f"{port}/tcp": (host, None) for port in spec.ports},
        "network_mode": spec.network,
        "mounts": [_empty(path, uid) for path, uid in spec.empty.items()],
        "labels": {LABEL: RUN_ID, **spec.labels},
        "security_opt": [] if spec.new_privileges else ["no-new-privileges"],
        "shm_size": spec.shm,
        "pids_limit": spec.processes or PROCESSES,
        "mem_limit": spec.memory or _memory(),
        "log_config": docker.types.LogConfig(type=docker.types.LogConfig.types.JSON, config=LOG),
        "extra_hosts": {MACHINE_NAMES["docker"]: "host-gateway"} if spec.reaches_machine else {},
        "detach": True,
    }


def _memory() -> int:
    here = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(MEMORY, here // MEMORY_SHARE)


def _empty(path: str, uid: int) -> Any:
    # An anonymous volume and not --tmpfs: files can be copied into it, and its programs may run.
    options = {"type": "tmpfs", "device": "tmpfs", "o": f"uid={uid},gid=100,mode=2775"}
    driver = docker.types.DriverConfig("local", options)
    return docker.types.Mount(path, None, type="volume", no_copy=True, driver_config=driver, labels={LABEL: RUN_ID})


class DockerContainer:
    """A started container; ``host`` is where its published ports answer."""

    def __init__(self, container: Any, host: str, shared: bool) -> None:
        self._container = container
        self._host = host
        self._shared = shared
        self.id = str(container.id)

    def exec(
        self,
        argv: Sequence[str],
        *,
        user: str | None = None,
        environment: Mapping[str, str] | None = None,
        workdir: str | None = None,
        timeout: float | None = None,
    ) -> Completed:
        """Run a program inside; never raises for its exit code. Past TIMEOUT (seconds) ProcessError is raised;
        the program then goes on until the container is removed, since Docker can't end it."""
        api = self._container.client.api
        words = tuple(argv)
        with speaking(f"docker exec {words[0]}"):
            made = api.exec_create(
                self.id, list(words), user=user or "", environment=dict(environment or {}), workdir=workdir
            )
            taken = _Output(api, made["Id"])
            if not taken.wait(timeout):
                raise ProcessError(words, None, taken.text(1))
            code = api.exec_inspect(made["Id"])["ExitCode"]
        return Completed(words, -1 if code is None else int(code), taken.text(0), taken.text(1))

    def copy_in(self, source: Path, target: str) -> None:
        """Copy a folder's content to the folder TARGET inside, owned by the container's user."""
        told = self.exec(["id", "-u"]).stdout.strip()
        owner = int(told) if told.isdigit() else 0
        with tempfile.TemporaryFile() as stream, speaking(f"copy {source} to {target}"):
            with tarfile.open(fileobj=stream, mode="w") as tar:
                _pack(tar, source, PurePosixPath(target), owner, with_target=not self._holds(target))
            stream.seek(0)
            self._container.put_archive("/", stream)

    def _holds(self, path: str) -> bool:
        try:
            self._container.get_archive(path)[0].close()
        except docker.errors.NotFound:
            return False
        return True

    def address(self, port: int) -> tuple[str, int]:
        """Host and port on this machine that lead to PORT inside."""
        if self._shared:
            return self._host, port
        self._reload()
        bound = (self._container.attrs["NetworkSettings"]["Ports"] or {}).get(f"{port}/tcp")
        if not bound:
            raise HubtoolError(f"port {port} of the container is not published, or the container has ended")
        return self._host, int(bound[0]["HostPort"])

    def _reload(self) -> None:
        with speaking("docker inspect"):
            self._container.reload()

    def running(self) -> bool:
        return self.exit_code() is None

    def exit_code(self) -> int | None:
        """None while it runs."""
        self._reload()
        state = self._container.attrs["State"]
        return None if state["Status"] in ("running", "created", "paused", "restarting") else int(state["ExitCode"])

    def out_of_memory(self) -> bool:
        """Whether a program of it was ended since it had no memory left."""
        self._reload()
        return bool(self._container.attrs["State"].get("OOMKilled"))

    def logs(self) -> str:
        """What it printed; of more than 32 MB the last."""
        with speaking("docker logs"):
            return str(self._container.logs().decode(errors="replace"))

    def stop(self, timeout: float = 10) -> float:
        """SIGTERM, then after TIMEOUT seconds SIGKILL; returns the seconds it took."""
        started = time.monotonic()
        with speaking("docker stop"):
            self._container.stop(timeout=max(0, round(timeout)))
        return time.monotonic() - started

    def remove(self) -> None:
        """Stop and remove it, with its anonymous volumes. Twice is no error."""
        with speaking("docker rm"):
            try:
                self._container.remove(force=True, v=True)
            except docker.errors.NotFound:
                pass
            except docker.errors.APIError as error:
                if "already in progress" not in str(error):
                    raise
        forget(self)


class _Output:
    """Reads the output of an exec in the background, so that a time limit can be held; of very much, the first."""

    def __init__(self, api: Any, exec_id: str) -> None:
        self._parts = (io.BytesIO(), io.BytesIO())
        self._error: Exception | None = None
        stream = api.exec_start(exec_id, stream=True, demux=True)
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream: Iterator[tuple[bytes | None, bytes | None]]) -> None:
        try:
            for pieces in stream:
                for part, piece in zip(self._parts, pieces, strict=True):
                    part.write((piece or b"")[: max(0, EXEC_OUTPUT - part.tell())])
        except Exception as error:  # handed to the thread that waits
            self._error = error

    def wait(self, timeout: float | None) -> bool:
        self._thread.join(timeout)
        if self._error is not None:
            raise self._error
        return not self._thread.is_alive()

    def text(self, which: int) -> str:
        return self._parts[which].getvalue().decode(errors="replace")


def _pack(tar: tarfile.TarFile, source: Path, target: PurePosixPath, owner: int, *, with_target: bool) -> None:
    def owned(info: tarfile.TarInfo) -> tarfile.TarInfo:
        info.uid = info.gid = owner
        info.uname = info.gname = ""
        return info

    inside = str(target).lstrip("/")
    if with_target:
        tar.add(source, inside, recursive=False, filter=owned)
    for entry in sorted(source.iterdir()):
        tar.add(entry, f"{inside}/{entry.name}", filter=owned)


def published_host(base_url: str) -> tuple[str, str]:
    """For a daemon at BASE_URL: the address to publish ports on, and the one to reach them at."""
    parsed = urlparse(base_url)
    if parsed.scheme in ("tcp", "http", "https", "ssh") and parsed.hostname not in ("localhost", "127.0.0.1", None):
        return "0.0.0.0", str(parsed.hostname)
    return "127.0.0.1", "127.0.0.1"
