"""A Jupyter server started from an image as a hub starts it, and watched until it answers."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
from testinfra.host import Host

from hubtool.contracts import Settings
from hubtool.contracts.host import testinfra_host
from hubtool.engines import Container, ContainerSpec, Engine
from hubtool.errors import HubtoolError

PORT = 8888
# Neither Lab nor notebook: what jupyterhub-singleuser itself runs.
COMMAND = ("jupyter", "server", "--ip=0.0.0.0", f"--port={PORT}")
# The group of a hub's home volumes (Zero to JupyterHub: singleuser.fsGid).
GROUP = "100"
PAUSE = 0.2


@dataclass
class Started:
    """A container with a Jupyter server. ``problem`` says why it does not answer, "" where it does; ``seconds``
    is how long that took."""

    container: Container
    token: str
    home: str
    empty_home: bool
    seconds: float = 0.0
    problem: str = ""
    host: Host = field(init=False)

    def __post_init__(self) -> None:
        self.host = testinfra_host(self.container)

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


def start_server(engine: Engine, settings: Settings, home: str, *, empty_home: bool) -> Started:
    """Start the image as a hub does: uid, group 100, a random token in the environment, and with EMPTY_HOME an
    empty volume over HOME. Raises HubtoolError where the engine can't start the container at all."""
    token = secrets.token_urlsafe(24)
    spec = ContainerSpec(
        image=settings.image,
        command=COMMAND,
        environment={"JUPYTER_TOKEN": token},
        user=str(settings.uid),
        groups=(GROUP,),
        ports=(PORT,),
        empty={home: settings.uid} if empty_home else {},
    )
    return Started(engine.run(spec), token, home, empty_home)


def wait_until_up(started: Started, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
    """Ask ``GET /api/status`` until it is 200, at most SECONDS; fills in what came of it."""
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
