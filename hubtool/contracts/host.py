"""pytest-testinfra's Host for a container of any engine."""

from __future__ import annotations

from typing import Any

from testinfra.backend.base import BaseBackend, CommandResult  # type: ignore[import-untyped]
from testinfra.host import Host  # type: ignore[import-untyped]

from hubtool.engines import Container

__all__ = ["Host", "host_of"]

SECONDS = 60.0


class ContainerBackend(BaseBackend):  # type: ignore[misc]
    """Runs testinfra's commands through ``Container.exec``; it wants ``/bin/sh`` in the image.

    A command that takes longer than 60 seconds raises ProcessError.
    """

    NAME = "hubtool"

    def __init__(self, container: Container, user: str | None = None) -> None:
        super().__init__(container.id[:12])
        self._container = container
        self._user = user

    def run(self, command: str, *args: str, **_: Any) -> CommandResult:
        line = self.get_command(command, *args)
        done = self._container.exec(["/bin/sh", "-c", line], user=self._user, timeout=SECONDS)
        return self.result(done.returncode, self.encode(line), done.stdout, done.stderr)


def host_of(container: Container, user: str | None = None) -> Host:
    """The testinfra Host of CONTAINER, running its commands as USER (default: the container's)."""
    backend = ContainerBackend(container, user)
    host = Host(backend)
    backend.set_host(host)
    return host
