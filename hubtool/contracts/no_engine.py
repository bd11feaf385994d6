"""An image that is a file is only read: there is an engine to ask, which can start nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from hubtool.contracts import NO_ENGINE
from hubtool.engines import Engine
from hubtool.errors import HubtoolError

REASON = "an image that is a file is only read; load it into an engine and test it by its tag"


class _NoEngine:
    name = NO_ENGINE

    def can_run(self) -> str | None:
        return REASON

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def refuse(*_: object, **__: object) -> Any:
            raise HubtoolError(REASON)

        return refuse


def no_engine() -> Engine:
    """An engine that says why it can't do what it is asked for."""
    return cast(Engine, _NoEngine())
