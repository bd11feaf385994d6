"""A registry on loopback: Debian's docker-registry (distribution), with its blobs in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import yaml

from hubtool.errors import HubtoolError
from hubtool.sandbox import packages
from hubtool.sandbox.services import end_leftover, free_port, is_free, service


@contextmanager
def local_registry(folder: Path, *, htpasswd: str | None = None, port: int | None = None) -> Iterator[str]:
    """Run a registry on 127.0.0.1; gives its ``host:port``. One that a killed run left is ended first.

    HTPASSWD is the content of an htpasswd file (bcrypt) that users must be in; without it, everybody may push.
    """
    packages.ensure(["docker-registry"])
    folder.mkdir(parents=True, exist_ok=True)
    pidfile = folder / "registry.pid"
    end_leftover(pidfile, "docker-registry")
    port = port or free_port()
    if not is_free(port):
        raise HubtoolError(f"port {port} of the registry is taken by another program", hint="end that one first")
    settings: dict[str, object] = {
        "version": 0.1,
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "blobs")}, "delete": {"enabled": True}},
        "http": {"addr": f"127.0.0.1:{port}", "secret": "of no worth on loopback"},
    }
    if htpasswd is not None:
        users = folder / "htpasswd"
        users.write_text(htpasswd)
        settings["auth"] = {"htpasswd": {"realm": "hubtool", "path": str(users)}}
    file = folder / "config.yml"
    file.write_text(yaml.safe_dump(settings))

    def ready() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/v2/", timeout=2, trust_env=False).status_code in (200, 401)
        except httpx.HTTPError:
            return False

    program = packages.find("docker-registry") or Path("docker-registry")
    with service([program, "serve", file], log=folder / "registry.log", ready=ready, seconds=30) as running:
        pidfile.write_text(str(running.pid))
        yield f"127.0.0.1:{port}"
    pidfile.unlink()
