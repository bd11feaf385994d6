"""A Jupyter server started from an image as a hub starts it, and watched until it answers."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

import httpx

from hubtool.contracts import Settings
from hubtool.contracts.host import Host, host_of
from hubtool.engines import Container, ContainerSpec, Engine
from hubtool.errors import HubtoolError

PORT = 8888
# Neither Lab nor notebook: what jupyterhub-singleuser itself runs.
COMMAND = ("jupyter", "server", "--ip=0.0.0.0", f"--port={PORT}")
# The group of a hub's home volumes (Zero to JupyterHub: singleuser.fsGid).
GROUP = "100"
PAUSE = 0.2


class Started:
    """A Jupyter server in a container. ``problem`` says why it does not answer, "" where it does; ``seconds`` is
    how long that took. ``container`` and ``host`` (testinfra's) are there wherever the engine could start it."""

    def __init__(self, container: Container | None, token: str, problem: str = "") -> None:
        self._container = container
        self.token = token
        self.problem = problem
        self.seconds = 0.0

    @property
    def container(self) -> Container:
        if self._container is None:
            raise HubtoolError(f"there is no container: {self.problem}")
        return self._container

    @property
    def host(self) -> Host:
        return host_of(self.container)

    @property
    def up(self) -> bool:
        return not self.problem

    @property
    def url(self) -> str:
        """The server's address on this machine."""
        host, port = self.container.address(PORT)
        return f"http://{host}:{port}/"

    def http(self, seconds: float = 30) -> httpx.Client:
        """A client that holds the token, and asks no proxy."""
        headers = {"Authorization": f"token {self.token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=seconds, trust_env=False)

    def logs(self) -> str:
        """What the container said so far, "" where there is none."""
        return self._container.logs() if self._container is not None else ""

    def remove(self) -> None:
        """Remove the container. Twice is no error."""
        if self._container is not None:
            self._container.remove()


def start_server(engine: Engine, settings: Settings, empty_home: str | None) -> Started:
    """Start the image as a hub does: uid, group 100, a random token in the environment, and an empty volume over
    the folder EMPTY_HOME (none, where None). An image that can't be started has that as its problem."""
    token = secrets.token_urlsafe(24)
    spec = ContainerSpec(
        image=settings.image,
        command=COMMAND,
        environment={"JUPYTER_TOKEN": token},
        user=str(settings.uid),
        groups=(GROUP,),
        ports=(PORT,),
        empty={empty_home: settings.uid} if empty_home else {},
    )
    try:
        return Started(engine.run(spec), token)
    except HubtoolError as error:
        return Started(None, token, f"the engine can't start it: {error.message}")


def wait_until_up(started: Started, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
    """Ask ``GET /api/status`` until it is 200, at most SECONDS; fills in what came of it."""
    if not started.up:
        return
    begin = clock()
    last = "it does not listen"
    while clock() - begin < seconds:
        code = started.container.exit_code()
        if code is not None:
            started.problem = f"the container ended with code {code} after {clock() - begin:.0f} s"
            return
        last = _ask(started)
        if not last:
            started.seconds = clock() - begin
            return
        time.sleep(PAUSE)
    started.problem = f"no answer within {seconds:.0f} s: {last}"


def _ask(started: Started) -> str:
    """ "" where the server answers as it should, else what it does instead."""
    try:
        with started.http(5) as http:
            answer = http.get("api/status")
    except (httpx.HTTPError, HubtoolError) as error:
        return f"GET /api/status: {error or type(error).__name__}"
    return "" if answer.status_code == 200 else f"GET /api/status: HTTP {answer.status_code}"
