"""A Jupyter server started from an image as a hub starts it, and watched until it answers."""

from __future__ import annotations

import secrets
import time
from functools import cached_property
from pathlib import Path

import httpx

from hubtool.contracts import Settings, container_logs
from hubtool.contracts.host import Host, host_of
from hubtool.contracts.image import ImageUnderTest
from hubtool.engines import Container, ContainerSpec, Engine
from hubtool.errors import HubtoolError

PORT = 8888
# Neither Lab nor notebook: what jupyterhub-singleuser itself runs.
COMMAND = ("jupyter", "server", "--ip=0.0.0.0", f"--port={PORT}")
# The group of a hub's home volumes (Zero to JupyterHub: singleuser.fsGid).
GROUP = "100"
PAUSE = 0.2
LAST_LINES = 20


class Started:
    """A Jupyter server in a container. ``problem`` says why it does not answer, "" where it does; ``seconds`` is
    how long that took. ``container`` and ``host`` (testinfra's) are there wherever the engine could start it."""

    def __init__(self, container: Container | None, token: str, problem: str = "") -> None:
        self.begin = time.monotonic()
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


def wait_until_up(started: Started, seconds: float) -> None:
    """Ask ``GET /api/status`` until it is 200, at most until SECONDS after its start, at least once; fills in what
    came of it."""
    while started.up and not started.seconds:
        code = started.container.exit_code()
        if code is not None:
            started.problem = f"the container ended with code {code} after {time.monotonic() - started.begin:.0f} s"
            return
        last = _ask(started)
        passed = time.monotonic() - started.begin
        if not last:
            started.seconds = passed
        elif passed >= seconds:
            started.problem = f"no answer within {seconds:.0f} s: {last}"
        else:
            time.sleep(PAUSE)


def _ask(started: Started) -> str:
    """ "" where the server answers as it should, else what it does instead."""
    try:
        with started.http(5) as http:
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
        self._all = [start_server(engine, settings, self._home)]

    @cached_property
    def empty(self) -> Started:
        """With an empty home; waited for."""
        if self._image.home != self._home:
            self._all.pop().remove()
            self._all.append(start_server(self._engine, self._settings, self._image.home))
        wait_until_up(self._all[0], self._settings.start_seconds)
        if not self._all[0].up:
            keep_logs(self._all[0], self._settings)
        return self._all[0]

    @cached_property
    def own(self) -> Started | None:
        """With the home of the image; waited for. None where it comes up with an empty one."""
        if self.empty.up:
            return None
        self._all.append(start_server(self._engine, self._settings, None))
        wait_until_up(self._all[-1], self._settings.start_seconds)
        return self._all[-1]

    @property
    def up(self) -> Started | None:
        """The server to ask, None where none came up."""
        if self.empty.up:
            return self.empty
        return self.own if self.own is not None and self.own.up else None

    def remove(self) -> None:
        """Remove the containers. Twice is no error."""
        for started in self._all:
            started.remove()


def keep_logs(started: Started, settings: Settings) -> None:
    """Keep the container's logs, and add their last lines to what is wrong with it."""
    text = started.logs()
    if not text:
        started.problem += "; the container said nothing"
        return
    file = container_logs(Path(settings.log_folder), settings.name)
    file.write_text(text, encoding="utf-8", errors="replace")
    last = [line for line in text.splitlines() if line.strip()][-LAST_LINES:]
    said = "".join(f"\n  | {line[:300]}" for line in last)
    started.problem += f"; the container said (all of it: {file}):{said}"
