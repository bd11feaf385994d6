"""A container started as its platform starts it, and watched until it does what it is there for."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from hubtool.contracts import Settings, container_logs
from hubtool.contracts.host import Host, host_of
from hubtool.contracts.ports import listening, only_loopback
from hubtool.engines import Container, ContainerSpec, Engine, Unsupported
from hubtool.errors import HubtoolError
from hubtool.machine import architecture_of

PAUSE = 0.2
LAST_LINES = 20
WRONG_FORMAT = "exec format error"


class Started:
    """A container that was started from SPEC. ``problem`` says why it does not do what it shall, "" where it does;
    ``seconds`` is how long that took. ``container`` and ``host`` (testinfra's) are there wherever the engine could
    start it. Where ``keep`` is set, what a container said is kept when it is removed."""

    keep: ClassVar[Settings | None] = None
    _numbers: ClassVar[itertools.count[int]] = itertools.count(1)

    def __init__(self, engine: Engine, spec: ContainerSpec) -> None:
        self.begin = time.monotonic()
        self.seconds = 0.0
        self.problem = ""
        self._engine = engine
        self._spec = spec
        self._number = next(Started._numbers)
        self._container: Container | None = None
        try:
            self._container = engine.run(spec)
        except Unsupported:
            raise
        except HubtoolError as error:
            self.problem = f"the engine can't start it: {error.message}{self._wrong_machine(error.message)}"

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
        if self._container is None:
            return
        if Started.keep is not None:
            with contextlib.suppress(HubtoolError, OSError):  # removed already, or nobody to ask
                self._log_file(Started.keep).write_text(self.logs(), encoding="utf-8", errors="replace")
        self._container.remove()
        self._container = None

    def wait_until_up(self, seconds: float, ask: Callable[[], str]) -> None:
        """Call ASK until it says "", at most until SECONDS after the start, at least once; what it says last, or the
        container's end, is the problem then."""
        while self.up and not self.seconds:
            code = self.container.exit_code()
            if code is not None:
                passed = time.monotonic() - self.begin
                self.problem = f"the container ended with code {code} after {passed:.0f} s{self._why_ended()}"
                return
            last = self._said(ask)
            passed = time.monotonic() - self.begin
            if not last:
                self.seconds = passed
            elif passed >= seconds:
                self.problem = f"no answer within {seconds:.0f} s: {last}{self._ports_inside()}"
            else:
                time.sleep(PAUSE)

    def _said(self, ask: Callable[[], str]) -> str:
        try:
            return ask()
        except HubtoolError as error:
            self.container.running()  # raises where the engine is gone
            return error.message  # it may have ended while it was asked: the engine tells that in a moment

    def keep_logs(self, settings: Settings) -> None:
        """Keep what the container said, and add its last lines to what is wrong with it."""
        text = self.logs()
        if not text:
            self.problem += "; the container said nothing"
            return
        file = self._log_file(settings)
        file.write_text(text, encoding="utf-8", errors="replace")
        last = [line for line in text.splitlines() if line.strip()][-LAST_LINES:]
        said = "".join(f"\n  | {line[:300]}" for line in last)
        self.problem += f"; the container said (all of it: {file}):{said}"

    def _log_file(self, settings: Settings) -> Path:
        number = "" if self._number == 1 else f"-{self._number}"
        return container_logs(Path(settings.log_folder), settings.name, f"container{number}")

    def _why_ended(self) -> str:
        if self.container.out_of_memory():
            return ": it had no memory left"
        return self._wrong_machine(self.logs())

    def _wrong_machine(self, said: str) -> str:
        """What explains SAID where programs are another machine's."""
        held = self._engine.inspect(self._spec.image) if WRONG_FORMAT in said.lower() else None
        return f" (the image is for {held.architecture}, this machine is {architecture_of()})" if held else ""

    def _ports_inside(self) -> str:
        """What explains that a published port does not answer."""
        found = listening(self.container) if self._spec.ports and self._spec.network is None else None
        if found is None:
            return ""
        for port in self._spec.ports:
            if port not in found:
                return f"; nothing listens on port {port} inside"
            if only_loopback(found[port]):
                return f"; inside, port {port} is open on {found[port][0]} only: it has to listen on 0.0.0.0"
        return ""
