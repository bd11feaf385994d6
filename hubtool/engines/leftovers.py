"""What an engine started in this run, so that it ends with the run, also after Ctrl-C."""

from __future__ import annotations

import atexit
import contextlib
import os
import uuid

from hubtool.engines import Container

# Every container carries this label with the run's id: what a killed run left behind can be found by it.
# A program that is part of a larger run is given the run's id in this variable.
LABEL = "hubtool.run"
RUN_VARIABLE = "HUBTOOL_RUN"
RUN_ID = os.environ.get(RUN_VARIABLE) or uuid.uuid4().hex[:12]

_started: dict[str, Container] = {}


def keep(container: Container) -> None:
    """Remember a started container; it is removed when the program ends, unless forgotten before."""
    if not _started:
        atexit.register(remove_all)
    _started[container.id] = container


def forget(container: Container) -> None:
    _started.pop(container.id, None)


def remove_all() -> None:
    """Remove every container that this run still has."""
    for container in list(_started.values()):
        with contextlib.suppress(Exception):  # the program is ending: nobody is left to tell
            container.remove()
