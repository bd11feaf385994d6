"""Which passwords a container takes, tried by its own su, sudo and doas; none is ever an argument of a program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hubtool.contracts.workstation.inside import ask
from hubtool.engines import Container

SECONDS = 60
# All at once, since each wrong one makes PAM wait for seconds.
TRY = r"""
try() { name="$1" number="$2"; shift 2; ( printf '%s\n' "$p" | "$@" && echo "$number $name" ) 2>/dev/null & }
i=0 me="$(id -un)"
while [ "$i" -lt "$1" ]; do
    eval "p=\$HUBTOOL_PASSWORD_$i"
    try login "$i" su "$me" -c true
    try su "$i" su root -c true
    try sudo "$i" sudo -k -S -p '' true
    try doas "$i" doas -n true
    i=$((i+1))
done
wait
"""


@dataclass(frozen=True)
class Tries:
    """The passwords that log the container's user in, and the ways that make that user root."""

    logins: frozenset[str]
    root: Sequence[str]


def try_passwords(container: Container, passwords: Sequence[str]) -> Tries:
    """Try each of PASSWORDS as the container's user, and none at all."""
    words = ["", *passwords]
    environment = {f"HUBTOOL_PASSWORD_{number}": text for number, text in enumerate(words)}
    done = ask(container, "sh", "-c", TRY, "try", str(len(words)), environment=environment, timeout=SECONDS)
    told = [(words[int(number)], way) for number, way in map(str.split, done.stdout.splitlines())]
    root = sorted({f"{way} {'with' if word else 'without'} a password" for word, way in told if way != "login"})
    return Tries(frozenset(word for word, way in told if way == "login" and word), root)
