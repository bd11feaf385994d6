"""The start of RFB, the protocol of VNC, as RFC 6143 has it: version, security types, password, size of the screen."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

from hubtool.contracts.workstation.relay import Relay, RelayError

BANNER = 12
NONE, PASSWORD = 1, 2


class RefusedError(RelayError):
    """The server takes no viewer, say since it has not yet noticed that the one before has gone."""


@dataclass(frozen=True)
class Greeting:
    """What a VNC server says first, and the security types that it offers."""

    banner: str
    types: tuple[int, ...]


def greet(relay: Relay) -> Greeting:
    """Agree on a version with the server and read the security types. Raises RelayError where it is no VNC server,
    RefusedError where it is one that takes no viewer."""
    first = relay.receive(BANNER)
    banner = first.decode("ascii", "replace").strip()
    if not first.startswith(b"RFB 003."):
        raise RelayError(f"it says {first!r}, and no VNC server's 'RFB 003.'")
    old = first < b"RFB 003.007"
    relay.send(b"RFB 003.003\n" if old else min(first, b"RFB 003.008\n"))
    if old:
        return Greeting(banner, (int.from_bytes(relay.receive(4), "big"),))
    count = relay.receive(1)
    if count in (b"", b"\0"):
        raise RefusedError(f"{banner}: it refuses the connection")
    return Greeting(banner, tuple(relay.receive(count[0])))


def log_in(relay: Relay, greeting: Greeting, password: str) -> bool:
    """Whether the server that gave GREETING lets in who knows PASSWORD (security type 2)."""
    if greeting.banner >= "RFB 003.007":
        relay.send(bytes([PASSWORD]))
    relay.send(respond(password, relay.receive(16)))
    return relay.receive(4) == bytes(4)


def view(relay: Relay) -> bool:
    """Whether the server, once it let us in, shows its screen, as to a viewer that lets others look on too."""
    relay.send(b"\1")
    return len(relay.receive(24)) == 24


def respond(password: str, challenge: bytes) -> bytes:
    """The answer to CHALLENGE: DES by the first eight bytes of PASSWORD, the bits of each in reverse order."""
    key = bytes(int(f"{byte:08b}"[::-1], 2) for byte in password.encode()[:8].ljust(8, b"\0"))
    return Cipher(TripleDES(key * 3), modes.ECB()).encryptor().update(challenge)
