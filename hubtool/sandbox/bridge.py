"""A network bridge of a daemon's own: two daemons on docker0 would give the same addresses to their containers."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from hubtool import process
from hubtool.errors import HubtoolError
from hubtool.sandbox import packages

SUBNETS = ipaddress.IPv4Network("10.213.0.0/16")


@contextmanager
def own_bridge(name: str) -> Iterator[str]:
    """Make the bridge NAME (at most 15 characters) with a /24 that no route of this machine covers, and remove it
    at the end. One that a killed run left is replaced. Raises HubtoolError where that is not allowed."""
    packages.ensure(["ip"])
    _remove(name)
    try:
        # Without an address of its own it takes that of a port: containers lose it whenever one of them comes or goes.
        _ip("link", "add", "name", name, "address", f"02:{secrets.token_bytes(5).hex(':')}", "type", "bridge")
        _ip("address", "add", f"{next(_free())}/24", "dev", name)
        _ip("link", "set", "dev", name, "up")
    except (process.ProcessError, StopIteration) as error:
        _remove(name)
        raise HubtoolError(f"no network bridge can be made here: {error}", hint="a Docker daemon needs one") from error
    try:
        yield name
    finally:
        _remove(name)


def _ip(*words: str) -> str:
    return process.run(packages.find("ip") or "ip", *words).stdout


def _remove(name: str) -> None:
    with contextlib.suppress(process.ProcessError):
        _ip("link", "delete", "dev", name)


def _free() -> Iterator[ipaddress.IPv4Address]:
    """The first address of every /24 that no route goes to."""
    written = [route["dst"] for route in json.loads(_ip("-json", "-4", "route") or "[]") if route["dst"] != "default"]
    taken = [ipaddress.IPv4Network(target, strict=False) for target in written]
    for subnet in SUBNETS.subnets(new_prefix=24):
        if not any(subnet.overlaps(other) for other in taken):
            yield subnet[1]
