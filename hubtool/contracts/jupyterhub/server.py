"""A Jupyter server started from an image as a hub starts it, and watched until it answers."""

from __future__ import annotations

import secrets
from functools import cached_property

import httpx

from hubtool.contracts import Settings
from hubtool.contracts.image import ImageUnderTest
from hubtool.contracts.started import Started
from hubtool.engines import ContainerSpec, Engine
from hubtool.errors import HubtoolError

PORT = 8888
# Neither Lab nor notebook: what jupyterhub-singleuser itself runs.
COMMAND = ("jupyter", "server", "--ip=0.0.0.0", f"--port={PORT}")
# The group of a hub's home volumes (Zero to JupyterHub: singleuser.fsGid).
GROUP = "100"


class Server(Started):
    """A Jupyter server, started as a hub does: uid, group 100, a random token in the environment, and an empty
    volume over the folder EMPTY_HOME (none, where None). ``said`` is what it said until it was up."""

    def __init__(self, engine: Engine, settings: Settings, empty_home: str | None) -> None:
        self.token = secrets.token_urlsafe(24)
        self.said = ""
        spec = ContainerSpec(
            image=settings.image,
            command=COMMAND,
            environment={"JUPYTER_TOKEN": self.token},
            user=str(settings.uid),
            groups=(GROUP,),
            ports=(PORT,),
            empty={empty_home: settings.uid} if empty_home else {},
        )
        super().__init__(engine, spec)

    def http(self, seconds: float = 30) -> httpx.Client:
        """A client that holds the token, and asks no proxy."""
        headers = {"Authorization": f"token {self.token}"}
        return httpx.Client(base_url=self.url(PORT), headers=headers, timeout=seconds, trust_env=False)

    def wait(self, seconds: float) -> None:
        """Wait until ``GET /api/status`` is 200, as wait_until_up does."""
        self.wait_until_up(seconds, self._ask)
        self.said = self.said or self.logs()

    def _ask(self) -> str:
        try:
            with self.http(5) as http:
                answer = http.get("api/status")
        except (httpx.HTTPError, HubtoolError) as error:
            return f"GET /api/status: {error or type(error).__name__}"
        return "" if answer.status_code == 200 else f"GET /api/status: HTTP {answer.status_code}"


class Starts:
    """The image's server with an empty volume over its home, and where that does not come up, with the home that
    the image has. The first is started at once, so that it comes up while the image's files are read."""

    def __init__(self, engine: Engine, settings: Settings, image: ImageUnderTest) -> None:
        self._engine = engine
        self._settings = settings
        self._image = image
        self._home = image.likely_home
        self._all = [Server(engine, settings, self._home)]

    @cached_property
    def empty(self) -> Server:
        """With an empty home; waited for."""
        if self._image.home != self._home:
            self._all.pop().remove()
            self._all.append(Server(self._engine, self._settings, self._image.home))
        self._all[0].wait(self._settings.start_seconds)
        if not self._all[0].up:
            self._all[0].keep_logs(self._settings)
        return self._all[0]

    @cached_property
    def own(self) -> Server | None:
        """With the home of the image; waited for. None where it comes up with an empty one."""
        if self.empty.up:
            return None
        self._all.append(Server(self._engine, self._settings, None))
        self._all[-1].wait(self._settings.start_seconds)
        return self._all[-1]

    @property
    def up(self) -> Server | None:
        """The server to ask, None where none came up."""
        if self.empty.up:
            return self.empty
        return self.own if self.own is not None and self.own.up else None

    def remove(self) -> None:
        """Remove the containers. Twice is no error."""
        for server in self._all:
            server.remove()
