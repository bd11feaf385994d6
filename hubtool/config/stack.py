"""What makes an image a stack's: its axes, its parent among the other images, its tags."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from hubtool.config.kinds import Model

AXIS = re.compile(r"[a-z][a-z0-9_]*")
VALUE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,59}")

AxisName = Annotated[str, Field(pattern=f"^{AXIS.pattern}$", max_length=40)]
AxisValue = Annotated[str, Field(pattern=f"^{VALUE.pattern}$")]
Some = Literal["all", "first"] | tuple[AxisValue, ...]


PLATFORM = "platform"  # the axis whose values are platforms
ARCHITECTURES = ("amd64", "arm64")


class Skip(Model):
    """Variants that are not built unless they are named. ``where`` has values of axes; all of them must hold."""

    where: Mapping[AxisName, AxisValue | tuple[AxisValue, ...]] = Field(
        min_length=1, description="Axis: value, or several; a variant that has them all is left out."
    )
    why: str = Field(min_length=1, description="The reason, which the plan shows.")


def chosen_axes(value: Any) -> Any:
    """The two ways to write an image's axes as one: names alone mean all of their values."""
    if not isinstance(value, list):
        return value
    names = [name for name in value if isinstance(name, str)]
    if len(names) < len(value) or len(set(names)) < len(names):
        raise ValueError("expected names of axes, each once, like [python, device]")
    return dict.fromkeys(names, "all")
