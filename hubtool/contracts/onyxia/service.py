"""An IDE started from an image, as Onyxia's chart starts it or as ``docker run`` does, and watched until it answers."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path

import httpx
import pytest

from hubtool.contracts.onyxia.ide import Platform
from hubtool.contracts.onyxia.login import LOGINS, gets_in
from hubtool.contracts.onyxia.processes import Process, listener
from hubtool.contracts.ports import listening, only_loopback
from hubtool.contracts.started import Started
from hubtool.engines import ContainerSpec, Engine
from hubtool.errors import HubtoolError
from hubtool.process import Completed

PROBE_SECONDS = 2.0  # a chart's probes: timeoutSeconds
ASK_SECONDS = 60.0
SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


class Service(Started):
    """An IDE in a container. ``platform`` is what it was started for; ``on_loopback`` and ``elsewhere`` say, after it
    was waited for, where it listens instead of where it shall."""

    on_loopback = elsewhere = ""

    def __init__(self, engine: Engine, platform: Platform, spec: ContainerSpec) -> None:
        self.platform = platform
        super().__init__(engine, spec)

    def wait(self) -> Service:
        """Wait until ``GET /`` answers as a chart's probes want it, as wait_until_up does; keep the logs where not."""
        if self.up and not self.seconds:
            self.wait_until_up(self.platform.settings.start_seconds, self._ask)
            if not self.up:
                self._look_at_ports()
                self.keep_logs(self.platform.settings)
        return self

    def _ask(self) -> str:
        try:
            answer = httpx.get(self.url(self.platform.port), timeout=PROBE_SECONDS, trust_env=False)
        except (httpx.HTTPError, HubtoolError) as error:
            return f"GET /: {error or type(error).__name__}"
        return "" if 200 <= answer.status_code < 400 else f"GET /: HTTP {answer.status_code}"

    def _look_at_ports(self) -> None:
        found = (listening(self.container) or {}) if self.running else {}
        port = self.platform.port
        open_ports = sorted(number for number, at in found.items() if not only_loopback(at))
        if port in found and only_loopback(found[port]):
            self.on_loopback = f"port {port} is open on {', '.join(found[port])} only"
        elif port not in found and open_ports:
            self.elsewhere = f"it listens on port {', '.join(map(str, open_ports))}, not on {port}"

    @property
    def running(self) -> bool:
        return self._container is not None and self._container.running()

    @cached_property
    def process(self) -> Process:
        """The IDE's process. Skips where it can't be told."""
        found = listener(self.container, self.platform.port)
        if found is None:
            pytest.skip("which process listens can't be told: it takes cat, sh and ls in the image")
        return found

    def gets_in(self, password: str | None) -> bool:
        """Whether somebody with PASSWORD (None: without any) gets into the IDE. Fails the check where it does not
        answer."""
        login, user = LOGINS[self.platform.profile], self.platform.settings.user
        try:
            return gets_in(login, self.url(self.platform.port), user, password)
        except (httpx.HTTPError, HubtoolError) as error:
            pytest.fail(f"the login does not answer: {error or type(error).__name__}")

    def run(self, *argv: str, seconds: float = ASK_SECONDS) -> Completed:
        """Run a program as the IDE's user, with the IDE's own variables, as its terminal would."""
        process, home = self.process, self.platform.home
        return self.container.exec(
            argv, user=f"{process.uid}:{process.gid}", environment=process.environment, workdir=home, timeout=seconds
        )


class Starts:
    """The starts of an image's IDE. Each begins at once, side by side; ``wait`` for the one that is asked."""

    def __init__(self, engine: Engine, platform: Platform, stack: ExitStack) -> None:
        self._engine = engine
        self._platform = platform
        self._stack = stack
        self.chart = self.start(platform.chart())
        self.plain = self.start(platform.plain(password=True))
        self.keyless = self.start(platform.plain(password=False))
        self.open = self.start(platform.chart(more={"CODE_SERVER_AUTH": "none"})) if self._is_code_server else None

    @property
    def _is_code_server(self) -> bool:
        return self._platform.profile == "code-server"

    def start(self, spec: ContainerSpec) -> Service:
        """One more start, removed with the others."""
        service = Service(self._engine, self._platform, spec)
        self._stack.callback(service.remove)
        return service

    @cached_property
    def _result(self) -> tuple[str, Service | None]:
        """Which check says why it does not start as the chart does ("" where it does, R1 where nothing else explains
        it), and the start to ask the other questions."""
        chart = self.chart.wait()
        if chart.up:
            return "", chart
        if chart.on_loopback or chart.elsewhere:
            return ("R2" if chart.on_loopback else "R3"), None
        others = {check: self.start(spec) for check, spec in self._easier()}
        return next(((check, one) for check, one in others.items() if one.wait().up), ("R1", None))

    def _easier(self) -> Iterator[tuple[str, ContainerSpec]]:
        """Starts that each let one of the chart's demands go, by the check that holds it."""
        yield "S6", self._platform.chart(volume=False)
        yield "R9", self._platform.chart(new_privileges=True)
        yield "R10", self._platform.chart(volumes={str(self._account()): (SERVICE_ACCOUNT, "ro")})

    def _account(self) -> Path:
        """What Kubernetes puts into a pod for its service account."""
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="hubtool-account-")))
        folder.chmod(0o755)
        said: Mapping[str, str] = {"namespace": "user", "token": "e30.e30.none", "ca.crt": ""}
        for name, text in said.items():
            (folder / name).write_text(text)
        return folder

    def must_be_the_charts(self) -> None:
        """Skip a check that starts more containers as the chart does, where that takes something easier to come up."""
        if self.up is not None and self.cause:
            pytest.skip(f"see {self.cause}")

    @property
    def cause(self) -> str:
        """The check that says why the chart's start does not come up; "" where it does."""
        return self._result[0]

    @property
    def up(self) -> Service | None:
        """The start to ask, None where none came up."""
        return self._result[1]
