"""The IDEs that Onyxia's charts start, and how a chart starts one."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from hubtool.contracts import Settings
from hubtool.engines import ContainerSpec

# The group of a chart's volumes (fsGroup of its pods), and what it has of shared memory.
GROUP = 100
SHARED_MEMORY = 1 << 30


@dataclass(frozen=True)
class Ide:
    """An IDE: ``program`` is the path or the name that the chart calls, ``command`` what stands after the init script
    in the container's args (``{workspace}`` is the mounted folder)."""

    program: str
    port: int
    command: str


IDES: Mapping[str, Ide] = {
    "code-server": Ide("/usr/bin/code-server", 8080, "/usr/bin/code-server --host 0.0.0.0 {workspace}"),
    "jupyter": Ide(
        "jupyter",
        8888,
        "jupyter lab --no-browser --ip '0.0.0.0' --LabApp.token='$(PASSWORD)' --ContentsManager.allow_hidden=True",
    ),
    "rstudio": Ide("/init", 8787, "/init"),
}
# code-server opens the repository that was cloned, where a user asks for that (git.asCodeServerRoot).
IN_REPOSITORY = "/$(basename $GIT_REPOSITORY .git)"

_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")


def expand(text: str, variables: Mapping[str, str]) -> str:
    """TEXT of a container's args as a kubelet hands it on: ``$(NAME)`` is replaced where VARIABLES has NAME and left
    as it is where not, ``$$`` is a dollar sign. What a value holds is not looked at again."""
    return _REFERENCE.sub(lambda match: _value(match, variables), text)


def _value(match: re.Match[str], variables: Mapping[str, str]) -> str:
    return "$" if match[1] is None else variables.get(match[1], match[0])


@dataclass(frozen=True)
class Platform:
    """How a site's chart starts the image; from hubtool.yaml, with the charts' own values where it says nothing."""

    settings: Settings
    password: str = field(default_factory=lambda: secrets.token_urlsafe(18), repr=False)

    @property
    def profile(self) -> str:
        return self.settings.profile

    @property
    def ide(self) -> Ide:
        return IDES[self.profile]

    @property
    def program(self) -> str:
        """The IDE's program, as the chart calls it."""
        return self.command.split()[0]

    @property
    def port(self) -> int:
        return self.settings.parameters.ide_port or self.ide.port

    @property
    def home(self) -> str:
        return self.settings.parameters.home or f"/home/{self.settings.user}"

    @property
    def workspace(self) -> str:
        return self.settings.parameters.workspace or f"{self.home}/work"

    @property
    def init_script(self) -> str:
        return self.settings.parameters.init_script

    @property
    def command(self) -> str:
        """What stands after the init script in the container's args."""
        return self.settings.parameters.ide_command or self.ide.command.replace("{workspace}", self.workspace)

    @property
    def command_in_repository(self) -> str:
        """The same where the IDE shall open the repository that was cloned."""
        if self.profile != "code-server" or self.workspace not in self.command:
            return self.command
        return self.command.replace(self.workspace, self.workspace + IN_REPOSITORY)

    def variables(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """What a chart sets in every container, and MORE."""
        return {
            "PASSWORD": self.password,
            "PROJECT_USER": self.settings.user,
            "PROJECT_GROUP": "users",
            "ROOT_PROJECT_DIRECTORY": self.workspace,
            "UV_CACHE_DIR": f"{self.workspace}/.cache/uv",
            "KUBERNETES_POD_NAME": f"{self.profile}-0",
            **(more or {}),
        }

    def chart(
        self,
        command: str | None = None,
        more: Mapping[str, str] | None = None,
        *,
        volumes: Mapping[str, tuple[str, str]] | None = None,
        volume: bool = True,
        new_privileges: bool = False,
        user: str | None = None,
        ports: bool = True,
    ) -> ContainerSpec:
        """The container of a chart's pod, with COMMAND after its init script and MORE variables: the image's entrypoint
        is not used, the pod's group is 100, and an empty VOLUME of that group lies over the workspace."""
        environment = self.variables(more)
        return ContainerSpec(
            image=self.settings.image,
            entrypoint=("/bin/sh", "-c"),
            command=(expand(f"{self.init_script} {command or self.command}", environment),),
            environment=environment,
            user=user,
            groups=(str(GROUP),),
            ports=(self.port,) if ports else (),
            volumes=volumes or {},
            empty={self.workspace: 0} if volume else {},
            new_privileges=new_privileges,
            shm=SHARED_MEMORY,
            reaches_machine=True,
        )

    def plain(self, password: bool) -> ContainerSpec:
        """What ``docker run`` makes of the image, with its own entrypoint and command; with the PASSWORD or none."""
        environment = {"PASSWORD": self.password} if password else {}
        return ContainerSpec(image=self.settings.image, environment=environment, ports=(self.port,))
