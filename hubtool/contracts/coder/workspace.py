"""A workspace started from an image as Coder's templates start one, and watched until its agent runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from hubtool.contracts import Settings
from hubtool.contracts.coder.programs import WAITING
from hubtool.contracts.coder.stub import CoderStub
from hubtool.contracts.started import Started
from hubtool.engines import ContainerSpec, Engine

FAILED = re.compile(r"^hubtool-bootstrap: failed: (.*)$", re.M)
BOOTSTRAP = files("hubtool.contracts.coder").joinpath("bootstrap.sh").read_text(encoding="utf-8")


def home_of(settings: Settings) -> str:
    """Where the platform mounts the workspace's volume."""
    return settings.parameters.home or f"/home/{settings.user}"


class Workspace(Started):
    """An image whose own program is the bootstrap: ``sh -c`` in place of its entrypoint, as the workspace user with
    the group of the volumes, and an empty volume over the home directory. MOUNTS are files of this machine that it
    sees in place of its own."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        stub: CoderStub,
        architecture: str,
        mounts: Mapping[Path, str] | None = None,
    ) -> None:
        self._stub = stub
        spec = ContainerSpec(
            image=settings.image,
            entrypoint=("sh", "-c"),
            command=(BOOTSTRAP,),
            environment={"ACCESS_URL": stub.url, "ARCH": architecture, "CODER_AGENT_TOKEN": "none"},
            user=str(settings.uid),
            groups=(str(settings.uid),),
            empty={home_of(settings): settings.uid},
            volumes={str(source): (target, "ro") for source, target in (mounts or {}).items()},
            reaches_machine=True,
        )
        super().__init__(engine, spec)

    def wait(self, seconds: float) -> None:
        """Wait until the agent says that it waits, as wait_until_up does; not after the bootstrap gave up."""
        self.wait_until_up(seconds, self._ask)

    def _ask(self) -> str:
        said = self.logs()
        if WAITING in said:
            return ""
        failed = FAILED.search(said)
        if failed:
            self.problem = f"the bootstrap could not {failed[1]}"
            if failed[1].startswith("fetch") and not self._stub.reached:
                self.problem += (
                    "; nothing came from it: a firewall between containers and this machine, if not what it says"
                )
        return "the bootstrap is not done"
