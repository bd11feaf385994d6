"""Which passwords a container takes, tried by its own su, sudo and doas; none is ever an argument of a program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hubtool.contracts.workstation.inside import ask
from hubtool.engines import Container

SECONDS = 60
# All at once, since each wrong one makes PAM wait for seconds.
TRY = r"""
i=0
while [ "$i" -lt "$1" ]; do
    eval "p=\$HUBTOOL_PASSWORD_$i"
    for way in "su $2 -c true" "sudo -k -S -p '' true" "doas -n true"; do
        case "$way" in "$3"*) ( printf '%s\n' "$p" | eval "$way" && echo "$i ${way%% *}" ) 2>/dev/null & esac
    done
    i=$((i+1))
done
wait
"""


def accepted(container: Container, user: str, passwords: Sequence[str]) -> list[str]:
    """Those of PASSWORDS that log USER in."""
    return [passwords[number] for number, _ in _try(container, user, passwords, "su ")]


def becomes_root(container: Container, passwords: Sequence[str]) -> list[str]:
    """The ways in which the container's user becomes root with one of PASSWORDS ("" for none)."""
    shown = {"": "with no password"}
    found = _try(container, "root", passwords, "")
    return [f"{way} {shown.get(passwords[number], 'with the password of the user')}" for number, way in found]


def _try(container: Container, user: str, passwords: Sequence[str], way: str) -> list[tuple[int, str]]:
    told: Mapping[str, str] = {f"HUBTOOL_PASSWORD_{number}": text for number, text in enumerate(passwords)}
    words = ("sh", "-c", TRY, "try", str(len(passwords)), user, way)
    lines = ask(container, *words, environment=told, timeout=SECONDS).stdout.splitlines()
    return sorted((int(number), name) for number, name in (line.split() for line in lines))
