"""A single-user server as a hub spawns it: its command, its environment, its prefix, and a hub's API to speak to."""

from __future__ import annotations

import json
import secrets
import threading
import time
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from hubtool.contracts import Settings
from hubtool.contracts.jupyterhub import stub_hub
from hubtool.contracts.jupyterhub.server import GROUP, PORT
from hubtool.contracts.started import PAUSE, Started
from hubtool.engines import ContainerSpec, Engine
from hubtool.errors import HubtoolError

HUB_PORT = 8581  # not 8081, where a server that was not told its hub looks for one
USER = "ada"
OTHER = "bob"
PREFIX = f"/user/{USER}/"
CALLBACK = f"{PREFIX}oauth_callback"
CLIENT = f"jupyterhub-user-{USER}"
COMMAND = "jupyterhub-singleuser"
HOPS = 10


class Spawned(Started):
    """The image as a hub of JupyterHub starts it for the user ``ada``, an empty volume over EMPTY_HOME, and the stub
    of a hub on its loopback. ``token`` is the server's own, ``stranger`` one of a user who may not use the server."""

    def __init__(self, engine: Engine, settings: Settings, empty_home: str) -> None:
        self.token, self.stranger = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        self._version = settings.parameters.hub_version or ""
        self._ended = ""
        spec = ContainerSpec(
            image=settings.image,
            command=[COMMAND],
            environment=self._environment(),
            user=str(settings.uid),
            groups=(GROUP,),
            ports=(PORT, HUB_PORT),
            empty={empty_home: settings.uid},
        )
        super().__init__(engine, spec)
        if self.up:
            threading.Thread(target=self._run_hub, daemon=True).start()

    def _environment(self) -> dict[str, str]:
        """What JupyterHub sets (jupyterhub.spawner, Spawner.get_env)."""
        api = f"http://127.0.0.1:{HUB_PORT}{stub_hub.API}"
        return {
            "JUPYTERHUB_API_TOKEN": self.token,
            "JPY_API_TOKEN": self.token,
            "JUPYTERHUB_API_URL": api,
            "JUPYTERHUB_ACTIVITY_URL": f"{api}/users/{USER}/activity",
            "JUPYTERHUB_BASE_URL": "/",
            "JUPYTERHUB_HOST": "",
            "JUPYTERHUB_CLIENT_ID": CLIENT,
            "JUPYTERHUB_OAUTH_CALLBACK_URL": CALLBACK,
            "JUPYTERHUB_OAUTH_SCOPES": json.dumps(access(USER)),
            "JUPYTERHUB_OAUTH_ACCESS_SCOPES": json.dumps(access(USER)),
            "JUPYTERHUB_OAUTH_CLIENT_ALLOWED_SCOPES": "[]",
            "JUPYTERHUB_USER": USER,
            "JUPYTERHUB_SERVER_NAME": "",
            "JUPYTERHUB_SERVICE_PREFIX": PREFIX,
            "JUPYTERHUB_SERVICE_URL": f"http://0.0.0.0:{PORT}{PREFIX}",
        }

    def _run_hub(self) -> None:
        """Run the stub until the container is gone."""
        said = {
            "user": USER,
            "port": HUB_PORT,
            "version": self._version,
            "token": self.token,
            "client_id": CLIENT,
            "callback": CALLBACK,
            "people": {self.token: person(USER), self.stranger: person(OTHER)},
        }
        code = Path(stub_hub.__file__).read_text(encoding="utf-8")
        try:
            done = self.container.exec(["python3", "-c", code, json.dumps(said)])
            said_last = (done.stderr or done.stdout).strip().splitlines()[-1:]
            self._ended = f"python3 can't run a stub of a hub there: {''.join(said_last) or f'code {done.returncode}'}"
        except HubtoolError as error:
            self._ended = f"python3 can't run a stub of a hub there: {error.message}"

    def wait(self, seconds: float) -> None:
        """Wait until the server says to its owner that it is up, as wait_until_up does."""
        self.wait_until_up(seconds, self._ask)

    def _ask(self) -> str:
        if self._ended:
            return self._ended
        try:
            code = self.get("api/status", self.token)
        except (httpx.HTTPError, HubtoolError) as error:
            return f"GET {PREFIX}api/status: {error or type(error).__name__}"
        return "" if code == 200 else f"GET {PREFIX}api/status: HTTP {code}"

    def get(self, path: str, token: str | None) -> int:
        """The code of the answer to GET PATH below the user's prefix, with the TOKEN or none."""
        headers = {"Authorization": f"token {token}"} if token else {}
        return httpx.get(self._outside(f"{PREFIX}{path}"), headers=headers, timeout=10, trust_env=False).status_code

    @cached_property
    def login(self) -> list[str]:
        """What a browser without a token or cookie passes on its way to the server's API: code and path, each."""
        steps = []
        with httpx.Client(timeout=10, trust_env=False) as browser:
            path = f"{PREFIX}files/"  # every server has these pages, and shows none to strangers
            for _ in range(HOPS):
                answer = browser.get(self._outside(path))
                steps.append(f"{answer.status_code} {urlsplit(path).path}")
                if not answer.is_redirect:
                    break
                path = _below_host(answer.headers["location"])
            steps.append(f"{browser.get(self._outside(f'{PREFIX}api/contents')).status_code} {PREFIX}api/contents")
        return steps

    def _outside(self, path: str) -> str:
        """The address of PATH as a proxy leads there: to the hub or to the server."""
        return self.url(HUB_PORT if path.startswith("/hub/") else PORT).rstrip("/") + path

    @property
    def told(self) -> list[str]:
        """What the server asked the hub so far, as method, path and code."""
        answer = httpx.get(f"{self.url(HUB_PORT)}seen", timeout=10, trust_env=False)
        return [str(line) for line in answer.json()]

    def reported(self, seconds: float) -> bool:
        """Whether the server tells the hub within SECONDS that it is in use."""
        deadline = time.monotonic() + seconds
        while f"POST {stub_hub.API}/users/{USER}/activity 200" not in self.told:
            if time.monotonic() >= deadline:
                return False
            time.sleep(PAUSE)
        return True


def person(name: str) -> dict[str, object]:
    """A user who may use the own server only, as the hub's API has them."""
    return {"name": name, "kind": "user", "admin": False, "groups": [], "scopes": access(name), "session_id": None}


def access(name: str) -> list[str]:
    """The scopes that let somebody use the server of the user NAME."""
    return [f"access:servers!server={name}/", f"access:servers!user={name}"]


def _below_host(location: str) -> str:
    parts = urlsplit(location)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
