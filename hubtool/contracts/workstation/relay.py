"""A connection to a port inside a container that has no network: bytes by way of files, and the image's bash."""

from __future__ import annotations

import time
import uuid
from types import TracebackType

from hubtool.contracts.workstation.inside import ask
from hubtool.engines import Container

PAUSE = 0.1
PATIENCE = 10.0
CONNECT = r"""
mkdir -m 700 "$1" && mkfifo "$1/in" && : > "$1/out" || exit 3
exec 3<>"/dev/tcp/127.0.0.1/$2" || exit 4
exec 4<>"$1/in"
cat <&4 >&3 2>/dev/null & echo $! > "$1/pids"
{ cat <&3 >"$1/out"; : > "$1/end"; } >/dev/null 2>&1 & echo $! >> "$1/pids"
"""
CLOSE = r'kill $(cat "$1/pids") 2>/dev/null; rm -rf "$1"'


class RelayError(Exception):
    """There is no connection, or it does not say what was waited for."""


class Relay:
    """A TCP connection to PORT on CONTAINER's loopback. Raises RelayError where nothing accepts it.

    The image must have bash and cat, and a /tmp that can be written to.
    """

    def __init__(self, container: Container, port: int) -> None:
        self._container = container
        self._folder = f"/tmp/hubtool-{uuid.uuid4().hex[:12]}"
        self._taken = 0
        done = ask(container, "bash", "-c", CONNECT, "relay", self._folder, str(port))
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:]
            raise RelayError(f"no connection to port {port}: {''.join(last) or f'code {done.returncode}'}")

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        ask(self._container, "sh", "-c", CLOSE, "relay", self._folder)

    def send(self, data: bytes) -> None:
        """Send DATA, a few bytes."""
        octal = "".join(f"\\{byte:03o}" for byte in data)
        ask(self._container, "sh", "-c", 'printf "$1" > "$2/in"', "relay", octal, self._folder)

    def receive(self, count: int) -> bytes:
        """The next COUNT bytes; fewer where the connection ends before. Raises RelayError where they do not come."""
        deadline = time.monotonic() + PATIENCE
        while True:
            ended, data = self._look(count)
            if len(data) == count or ended:
                self._taken += len(data)
                return data
            if time.monotonic() >= deadline:
                raise RelayError(f"it says {data!r} and no more for {PATIENCE:.0f} s")
            time.sleep(PAUSE)

    def _look(self, count: int) -> tuple[bool, bytes]:
        script = '[ -e "$1/end" ] && echo end || echo more; tail -c "+$2" "$1/out" | head -c "$3" | od -An -v -tx1'
        words = (script, "relay", self._folder, str(self._taken + 1), str(count))
        told = ask(self._container, "sh", "-c", *words).stdout.split()
        return told[:1] == ["end"], bytes.fromhex("".join(told[1:]))
