"""SSH into a container that has no network, by the image's own client (openssh-server brings it) over loopback."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence

from hubtool.contracts.workstation.inside import ask
from hubtool.engines import Container
from hubtool.process import Completed

SECONDS = 40
# The password goes through the environment of the probe; the client asks this script for it.
SETUP = 'umask 077; printf "#!/bin/sh\\nprintenv HUBTOOL_PASSWORD\\n" > "$1" && chmod 700 "$1"'
OPTIONS = {
    "StrictHostKeyChecking": "no",
    "UserKnownHostsFile": "/dev/null",
    "LogLevel": "ERROR",
    "BatchMode": "no",
    "NumberOfPasswordPrompts": "1",
    "PubkeyAuthentication": "no",
    "PreferredAuthentications": "password",
    "ConnectTimeout": "10",
    "IdentityAgent": "none",
}
TARGET = "hubtool-target"


class SshClient:
    """The SSH client in CONTAINER, for the server on PORT of its loopback, as USER with PASSWORD."""

    def __init__(self, container: Container, port: int, user: str, password: str = "") -> None:
        self._container = container
        self._password = password
        self._ask = f"/tmp/hubtool-ask-{uuid.uuid4().hex[:12]}"
        self._options = {**OPTIONS, "Port": str(port), "User": user, "HostName": "127.0.0.1"}
        ask(container, "sh", "-c", SETUP, "ask", self._ask)

    def run(self, *words: str, options: Sequence[str] = ()) -> Completed:
        """Run a program over SSH."""
        return self._call("ssh", "-T", *self._shown(), *options, TARGET, *words)

    def methods(self) -> set[str]:
        """The ways to log in that the server offers."""
        said = self.run("true", options=("-v", "-oLogLevel=DEBUG", "-oPreferredAuthentications=none")).stderr
        told = re.search(r"Authentications that can continue: (\S+)", said)
        return set(told[1].split(",")) if told else set()

    def put(self, source: str, target: str) -> Completed:
        """Send the file SOURCE of the container as TARGET by SFTP."""
        script = 'printf "put %s %s\\n" "$1" "$2" | { shift 2; exec "$@"; }'
        sftp = ("sftp", "-q", *self._shown(), "-b", "-", TARGET)
        return self._call("sh", "-c", script, "sftp", source, target, *sftp)

    def _shown(self) -> list[str]:
        return [f"-o{key}={value}" for key, value in self._options.items()]

    def _call(self, *words: str) -> Completed:
        environment = {
            "HUBTOOL_PASSWORD": self._password,
            "SSH_ASKPASS": self._ask,
            "SSH_ASKPASS_REQUIRE": "force",
            "DISPLAY": ":99",  # OpenSSH before 8.4 asks by the script only where there is a display
        }
        return ask(self._container, *words, environment=environment, timeout=SECONDS)
