"""A workstation's image started as the platform does, and watched."""

from __future__ import annotations

import posixpath
import secrets
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

from hubtool.contracts import Settings
from hubtool.contracts.started import PAUSE, Started
from hubtool.contracts.workstation.facts import guesses, home_of
from hubtool.contracts.workstation.inside import COUNTERS, listening, processes
from hubtool.contracts.workstation.passwords import Tries, try_passwords
from hubtool.engines import ContainerSpec, Engine
from hubtool.errors import HubtoolError

# A group that no image knows: the platform's volumes belong to one of the project that a user works in.
EXTRA_GROUP = str(1_000_000_000 + secrets.randbelow(1_000_000_000))
RAN = ".ran"  # what the user's script makes beside itself
HOOK = f"#!/bin/sh\necho the hook ran > {{}}{RAN}\n"
# A data set as the platform has them: an index beside folders of studies.
DATASET = "hubtool-sample"
INDEX = '[{"path": "study1", "series": [{"folderName": "series1"}]}]\n'
IDLE = ("sleep", "3601")
# An argument of every kind that a shell would take apart.
ARGUMENTS = ("a  b;c", "$HOME", "*", '"q"', "it's", "")
JOBS: Mapping[str, Sequence[str]] = {
    "offline": COUNTERS,
    "arguments": ("printf", "<%s>\\n", *ARGUMENTS),
    "status": ("grep", "-q", "hubtool", "/no-such-file"),
}
KNOBS = {"RESOLUTION": "1024x600", "X11VNC_ARGS": "-desktop hubtool-check", "OPENBOX_ARGS": "--sm-disable"}


def hook_of(settings: Settings) -> str:
    """The path of the user's own script, "" where the platform has none."""
    hook = settings.parameters.user_hook
    return posixpath.join(home_of(settings), hook) if hook else ""


class Volumes:
    """What the platform mounts, made in FOLDER: a data set where a mount is read only, and a user's script."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        folder.chmod(0o755)
        mounts = settings.parameters.mounts
        self.read_only = {path: folder / f"mount{number}" for number, path in enumerate(mounts) if mounts[path] == "ro"}
        for place in self.read_only.values():
            series = place / DATASET / "study1" / "series1"
            series.mkdir(parents=True)
            (series / "1.dcm").write_bytes(bytes(128) + b"DICM")
            (place / DATASET / "index.json").write_text(INDEX, encoding="utf-8")
        self.hook = folder / "init.sh"
        self.hook.write_text(HOOK.format(shlex.quote(hook_of(settings))), encoding="utf-8")
        self.hook.chmod(0o755)


class Workstation(Started):
    """The image with COMMAND, no network, the run user's uid and gid and a random group more, and the platform's
    volumes: those that are to be read only are so. With PLAIN it has neither group nor volumes."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        volumes: Volumes,
        command: Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
        *,
        hook: bool = False,
        plain: bool = False,
    ) -> None:
        self._settings = settings
        home, mounts = home_of(settings), settings.parameters.mounts
        bound = {str(place): (posixpath.join(home, path), "ro") for path, place in volumes.read_only.items()}
        if hook and hook_of(settings):
            bound[str(volumes.hook)] = (hook_of(settings), "ro")
        spec = ContainerSpec(
            image=settings.image,
            command=command,
            environment=environment or {},
            user=f"{settings.uid}:{settings.uid}",
            groups=() if plain else (EXTRA_GROUP,),
            network="none",
            volumes={} if plain else bound,
            empty={posixpath.join(home, path): settings.uid for path in mounts if not plain and mounts[path] == "rw"},
        )
        super().__init__(engine, spec)

    def wait_for_end(self) -> int | None:
        """The exit code, once it ends; None where it does not within the time of a start, or was never started."""
        deadline = self.begin + self._settings.start_seconds
        while self.up:
            code = self.container.exit_code()
            if code is not None or time.monotonic() >= deadline:
                return code
            time.sleep(PAUSE)
        return None

    def wait_for_command(self) -> None:
        """Wait until the start scripts are done and IDLE runs."""
        self._wait(lambda: "" if IDLE in [tuple(one.argv) for one in processes(self.container)] else "no command runs")

    def wait_for_desktop(self) -> None:
        """Wait until every service runs and answers, or the time is over and at least one does."""
        self._wait(lambda: ", ".join(self.missing))
        if self.problem and self._some_answer():
            self.problem = ""

    def _wait(self, ask: Callable[[], str]) -> None:
        def asked() -> str:
            try:
                return ask()
            except HubtoolError as error:  # it ended while it was asked
                return error.message

        self.wait_until_up(self._settings.start_seconds, asked)
        if not self.up:
            self.keep_logs(self._settings)

    @property
    def missing(self) -> list[str]:
        """The services of a desktop that do not run, and the ports that nothing listens on."""
        running, open_ports = processes(self.container), listening(self.container)
        wanted = self._settings.parameters
        services = [name for name in wanted.services if not any(one.is_program(name) for one in running)]
        return services + [f"port {port}" for port in (wanted.vnc_port, wanted.ssh_port) if port not in open_ports]

    def _some_answer(self) -> bool:
        wanted = self._settings.parameters
        try:
            return bool({wanted.vnc_port, wanted.ssh_port} & set(listening(self.container)))
        except HubtoolError:
            return False


class Starts:
    """Every start of the image that the checks of its profile ask of, all begun at once."""

    def __init__(self, engine: Engine, settings: Settings, volumes: Volumes) -> None:
        self._given = (engine, settings, volumes)
        self._all: list[Workstation] = []
        self.desktop = settings.profile == "desktop"
        self.password, self.vnc_password = secrets.token_urlsafe(15), secrets.token_hex(4)
        self._first = self._start(None if self.desktop else IDLE)
        if self.desktop:
            given = {"PASSWORD": self.password, "VNC_PASSWORD": self.vnc_password, "SSH_ENABLE_PASSWORD_AUTH": "true"}
            on = {**given, "TCP_FORWARDING": "true", "GATEWAY_PORTS": "true", **KNOBS}
            self._configured = self._start(None, on, hook=True)
            self._restricted = self._start(None, {**given, "DISABLE_SFTP": "true"})
        self.hook_told = ("cat", hook_of(settings) + RAN)
        jobs = {} if self.desktop else {**JOBS, "hook": self.hook_told}
        self.jobs = {name: self._start(words, hook=name == "hook") for name, words in jobs.items()}

    def _start(
        self,
        command: Sequence[str] | None,
        environment: Mapping[str, str] | None = None,
        *,
        hook: bool = False,
        plain: bool = False,
    ) -> Workstation:
        self._all.append(Workstation(*self._given, command, environment, hook=hook, plain=plain))
        return self._all[-1]

    def _waited(self, one: Workstation) -> Workstation:
        if self.desktop:
            one.wait_for_desktop()
        else:
            one.wait_for_command()
        return one

    @cached_property
    def first(self) -> Workstation:
        """The desktop with no variables set, or the start with a command that does nothing; waited for."""
        return self._waited(self._first)

    @cached_property
    def plain(self) -> Workstation | None:
        """The same with neither further group nor volumes; waited for. None where the first is up."""
        if self.first.up:
            return None
        return self._waited(self._start(None if self.desktop else IDLE, plain=True))

    @cached_property
    def configured(self) -> Workstation:
        """The desktop with passwords, KNOBS, the user's script and all that SSH may do; waited for."""
        return self._waited(self._configured)

    @cached_property
    def restricted(self) -> Workstation:
        """The desktop with passwords and without SFTP; waited for."""
        return self._waited(self._restricted)

    @cached_property
    def tries(self) -> Tries:
        """What the passwords that the image may have been made with open, in the first start; begun at once in both."""
        return self._trying[0].result()

    @cached_property
    def given_tries(self) -> Tries:
        """What the password that the configured desktop was given opens there, and the start of that password."""
        return self._trying[1].result()

    @cached_property
    def _trying(self) -> list[Future[Tries]]:
        # PAM lets whoever has a wrong password wait: the containers do so side by side.
        tried = [(self.first, guesses(self._given[1]))]
        if self.desktop and self.configured.up:
            tried.append((self.configured, [self.password, self.password[:8]]))
        pool = ThreadPoolExecutor(len(tried))
        return [pool.submit(try_passwords, one.container, words) for one, words in tried]

    def remove(self) -> None:
        """Remove the containers. Twice is no error."""
        for one in self._all:
            one.remove()
