"""Why a build failed, in our words where the engine's output tells."""

from __future__ import annotations

from hubtool.errors import HubtoolError
from hubtool.process import LAST_LINES, ProcessError

NO_SPACE = "no space left on device"


def last_lines(output: str) -> str:
    return "\n".join(output.rstrip().splitlines()[-LAST_LINES:])


def explain(error: ProcessError, *, prune: str, what: str = "the build") -> HubtoolError:
    """ERROR as a HubtoolError that says what to do; PRUNE is the command that frees the engine's disk space."""
    text = last_lines(error.output)
    if NO_SPACE in error.output.lower():
        return HubtoolError(f"{what} ran out of disk space:\n{text}", hint=f"free some: {prune}")
    return HubtoolError(f"{what} failed:\n{text}")
