"""A container started as its platform starts it, and watched until it does what it is there for."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from hubtool.contracts import Settings, container_logs
from hubtool.contracts.host import Host, host_of
from hubtool.engines import Container, ContainerSpec, Engine
from hubtool.errors import HubtoolError

PAUSE = 0.2
LAST_LINES = 20


class Started:
    """A container that was started from SPEC. ``problem`` says why it does not do what it shall, "" where it does;
    ``seconds`` is how long that took. ``container`` and ``host`` (testinfra's) are there wherever the engine could
    start it."""

    def __init__(self, engine: Engine, spec: ContainerSpec) -> None:
        self.begin = time.monotonic()
        self.seconds = 0.0
        self.problem = ""
        self._container: Container | None = None
        try:
            self._container = engine.run(spec)
        except HubtoolError as error:
            self.problem = f"the engine can't start it: {error.message}"

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

    def url(self, port: int) -> str:
        """The address on this machine of what listens on PORT inside."""
        host, outside = self.container.address(port)
        return f"http://{host}:{outside}/"

    def logs(self) -> str:
        """What the container said so far, "" where there is none."""
        return self._container.logs() if self._container is not None else ""

    def remove(self) -> None:
        """Remove the container. Twice is no error."""
        if self._container is not None:
            self._container.remove()

    def wait_until_up(self, seconds: float, ask: Callable[[], str]) -> None:
        """Call ASK until it says "", at most until SECONDS after the start, at least once; what it says last, or the
        container's end, is the problem then."""
        while self.up and not self.seconds:
            code = self.container.exit_code()
            if code is not None:
                passed = time.monotonic() - self.begin
                self.problem = f"the container ended with code {code} after {passed:.0f} s"
                return
            last = ask()
            passed = time.monotonic() - self.begin
            if not last:
                self.seconds = passed
            elif passed >= seconds:
                self.problem = f"no answer within {seconds:.0f} s: {last}"
            else:
                time.sleep(PAUSE)

    def keep_logs(self, settings: Settings) -> None:
        """Keep what the container said, and add its last lines to what is wrong with it."""
        text = self.logs()
        if not text:
            self.problem += "; the container said nothing"
            return
        file = container_logs(Path(settings.log_folder), settings.name)
        file.write_text(text, encoding="utf-8", errors="replace")
        last = [line for line in text.splitlines() if line.strip()][-LAST_LINES:]
        said = "".join(f"\n  | {line[:300]}" for line in last)
        self.problem += f"; the container said (all of it: {file}):{said}"
