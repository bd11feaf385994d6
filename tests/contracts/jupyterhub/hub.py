"""A real JupyterHub (PyPI) with DockerSpawner and configurable-http-proxy (npm), for as long as a test needs it."""

from __future__ import annotations

import json
import secrets
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import httpx
import uv

from hubtool.sandbox.services import free_port, service

PACKAGES = ("jupyterhub", "dockerspawner")
PROXY = "configurable-http-proxy"
CONFIG = """\
import json
said = json.loads({said!r})
c.JupyterHub.bind_url = f"http://127.0.0.1:{{said['public']}}"
c.JupyterHub.hub_bind_url = f"http://0.0.0.0:{{said['hub']}}"
c.JupyterHub.hub_connect_url = f"http://{{said['gateway']}}:{{said['hub']}}"
c.ConfigurableHTTPProxy.command = [said["proxy"]]
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{{said['api']}}"
c.JupyterHub.db_url = "sqlite://"
c.JupyterHub.cookie_secret_file = said["folder"] + "/cookie_secret"
c.ConfigurableHTTPProxy.pid_file = said["folder"] + "/proxy.pid"
c.JupyterHub.services = [{{"name": "test", "api_token": said["token"], "admin": True}}]
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "dockerspawner.DockerSpawner"
c.DockerSpawner.allowed_images = "*"
c.DockerSpawner.pull_policy = "never"
c.DockerSpawner.remove = True
c.DockerSpawner.prefix = said["prefix"]
c.DockerSpawner.use_internal_ip = True
c.DockerSpawner.network_name = "bridge"
# As Zero to JupyterHub does: uid 1000, group 100, an empty home.
c.DockerSpawner.extra_create_kwargs = {{"user": "1000"}}
home = {{"/home/jovyan": "uid=1000,gid=100,mode=2775,exec"}}
c.DockerSpawner.extra_host_config = {{"group_add": ["100"], "tmpfs": home}}
c.Spawner.cmd = "jupyterhub-singleuser"
c.Spawner.start_timeout = c.Spawner.http_timeout = said["seconds"]
"""


@dataclass(frozen=True)
class Hub:
    """A hub that runs; ``url`` is its proxy's."""

    url: str
    token: str
    seconds: int

    def spawns(self, user: str, image: str) -> str:
        """Let the hub start IMAGE for USER; "" where it comes up, serves its user and nobody else, else what the hub
        says."""
        headers = {"Authorization": f"token {self.token}"}
        with httpx.Client(base_url=self.url, headers=headers, timeout=60, trust_env=False) as http:
            http.post(f"/hub/api/users/{user}").raise_for_status()
            begun = http.post(f"/hub/api/users/{user}/server", json={"image": image})
            said = f"HTTP {begun.status_code}" if begun.status_code >= 400 else _wait(http, user, self.seconds)
            if not said:
                said = _serves(http, user)
            http.delete(f"/hub/api/users/{user}/server")
        return said


def _wait(http: httpx.Client, user: str, seconds: int) -> str:
    """What the hub says when it has given up, "" when the server is up."""
    deadline = time.monotonic() + 3 * seconds
    while time.monotonic() < deadline:
        told = http.get(f"/hub/api/users/{user}").json()["servers"].get("")
        if told is None:
            return "the spawn failed"
        if told["ready"]:
            return ""
        time.sleep(0.3)
    return "the hub does not come to an end"


def _serves(http: httpx.Client, user: str) -> str:
    own = http.post(f"/hub/api/users/{user}/tokens", json={"expires_in": 600}).json()["token"]
    path = f"/user/{user}/api/status"
    allowed = http.get(path, headers={"Authorization": f"token {own}"}).status_code
    strangers: list[dict[str, str]] = [{}, {"Authorization": "token unknown"}]
    address = f"{str(http.base_url).rstrip('/')}{path}"
    refused = [httpx.get(address, headers=headers, timeout=60, trust_env=False).status_code for headers in strangers]
    if allowed != 200:
        return f"{path} is HTTP {allowed} with the user's token"
    return f"{path} is HTTP 200 without a token" if 200 in refused else ""


@contextmanager
def real_hub(cache: Path, folder: Path, seconds: int) -> Iterator[Hub]:
    """Run a hub whose files are in FOLDER; its programs stay in CACHE. A server has SECONDS to start."""
    programs, proxy = _installed(cache), _proxy(cache)
    said: dict[str, Any] = {name: free_port() for name in ("public", "hub", "api")}
    said |= {
        "gateway": _gateway(),
        "proxy": str(proxy),
        "token": secrets.token_urlsafe(24),
        "prefix": f"hubtool-hub-{secrets.token_hex(4)}",
        "seconds": seconds,
        "folder": str(folder),
    }
    config = folder / "jupyterhub_config.py"
    config.write_text(CONFIG.format(said=json.dumps(said)))
    url = f"http://127.0.0.1:{said['public']}"
    command: list[str | Path] = [programs / "jupyterhub", "--config", config]
    with service(command, log=folder / "hub.log", ready=lambda: _answers(f"{url}/hub/api")):
        try:
            yield Hub(url, said["token"], seconds)
        finally:
            _remove(said["prefix"])


def _installed(cache: Path) -> Path:
    """The folder of the hub's programs."""
    folder = cache / "jupyterhub"
    if not (folder / "done").exists():
        program = uv.find_uv_bin()
        subprocess.run([program, "venv", "--quiet", "--clear", folder], check=True)
        subprocess.run([program, "pip", "install", "--quiet", "--python", folder / "bin/python", *PACKAGES], check=True)
        (folder / "done").touch()
    return folder / "bin"


def _proxy(cache: Path) -> Path:
    folder = cache / "npm" / PROXY
    program = folder / "node_modules" / ".bin" / PROXY
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, PROXY], check=True)
    return program


def _gateway() -> str:
    """This machine's address on the daemon's bridge."""
    client = docker.from_env()
    try:
        return str(client.api.inspect_network("bridge")["IPAM"]["Config"][0]["Gateway"])
    finally:
        client.close()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _remove(prefix: str) -> None:
    """Remove the containers that the hub did not."""
    client = docker.from_env()
    try:
        for item in client.api.containers(all=True, filters={"name": prefix}):
            client.api.remove_container(item["Id"], force=True, v=True)
    finally:
        client.close()
