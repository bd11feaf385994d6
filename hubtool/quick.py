"""Verbs that start at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.core import TyperCommand, TyperGroup

PLAIN = (str, bool, Path)


class QuickCommand(TyperCommand):
    """A verb whose words, flags and paths typer leaves alone. It would read them with pydantic, and importing that
    takes longer than to read ten thousand files."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        _read_plainly(self.get_params(ctx))
        return super().parse_args(ctx, args)


class QuickGroup(TyperGroup):
    """The same for the options before the verb."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        _read_plainly(self.get_params(ctx))
        return super().parse_args(ctx, args)


def _read_plainly(params: Sequence[Any]) -> None:
    # Where a typer has no such attributes, this is no help to it, and does no harm.
    for param in params:
        kind = getattr(getattr(param, "type_descriptor", None), "annotation", None)
        if kind in PLAIN:
            param._runtime_param = _Plain(kind)


@dataclass(frozen=True)
class _Plain:
    kind: type

    def coerce(self, value: Any, **_: Any) -> Any:
        return None if value is None else self.kind(value)
