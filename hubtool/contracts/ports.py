"""Which TCP ports programs in a container listen on, as Linux tells it in /proc/net/tcp (proc(5))."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence

from hubtool.engines import Container
from hubtool.errors import HubtoolError

TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
LISTENS = "0A"
SECONDS = 20.0


def listening(container: Container) -> Mapping[int, Sequence[str]] | None:
    """The ports that CONTAINER listens on, each with its addresses; None where it can't be told (no ``cat`` inside)."""
    try:
        told = container.exec(["cat", *TABLES], timeout=SECONDS).stdout
        return read_tables(told) if "local_address" in told else None
    except (HubtoolError, ValueError):
        return None


def read_tables(text: str) -> dict[int, list[str]]:
    """The listening ports of TEXT, the content of /proc/net/tcp and tcp6."""
    found: dict[int, list[str]] = {}
    for line in text.splitlines():
        fields = line.split()
        if len(fields) > 3 and fields[3] == LISTENS:
            address, _, port = fields[1].partition(":")
            found.setdefault(int(port, 16), []).append(_address(address))
    return found


def _address(text: str) -> str:
    """An address as people write it. The kernel prints 32-bit words, each in the machine's order (little)."""
    words = [bytes.fromhex(text[start : start + 8])[::-1] for start in range(0, len(text), 8)]
    address = ipaddress.ip_address(b"".join(words))
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def only_loopback(addresses: Sequence[str]) -> bool:
    return all(ipaddress.ip_address(address).is_loopback for address in addresses)
