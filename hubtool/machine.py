"""What this machine is called: Python and Linux say x86_64 and aarch64, images say amd64 and arm64."""

from __future__ import annotations

import platform

_ARCHITECTURES = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64"}


def architecture_of(machine: str = "") -> str:
    """The architecture, as image configurations have it, of a MACHINE that Python calls so; of this one by default.

    Names: Go's GOARCH, which the OCI image specification (config.md, `architecture`) asks for.
    """
    machine = machine or platform.machine()
    return _ARCHITECTURES.get(machine, machine)
