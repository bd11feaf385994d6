"""Axes: which variants an image has, and which of its parent's each of them stands on."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from hubtool.config import Config, Image
from hubtool.config.stack import Skip

Point = Mapping[str, str]  # axis: value, in the order of hubtool.yaml's axes


def axes_of(config: Config, image: Image) -> dict[str, tuple[str, ...]]:
    """The axes of IMAGE with the values that it has, in the order of the file. Raises KeyError with the name of an
    axis, or (axis, value), that the file does not have."""
    for axis, chosen in image.axes.items():
        if axis not in config.axes:
            raise KeyError(axis)
        for value in chosen if isinstance(chosen, tuple) else ():
            if value not in config.axes[axis]:
                raise KeyError(axis, value)
    return {axis: _values(values, image.axes[axis]) for axis, values in config.axes.items() if axis in image.axes}


def _values(every: tuple[str, ...], chosen: str | tuple[str, ...]) -> tuple[str, ...]:
    if chosen == "all":
        return every
    return every[:1] if chosen == "first" else tuple(value for value in every if value in chosen)


def points(axes: Mapping[str, tuple[str, ...]]) -> list[Point]:
    """One point for each combination of values; the first axis varies slowest."""
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def skipped(rules: tuple[Skip, ...], point: Point) -> str:
    """Why the variant at POINT is left out, "" where it is not."""
    return next((rule.why for rule in rules if _holds(rule, point)), "")


def _holds(rule: Skip, point: Point) -> bool:
    wanted = {axis: (value,) if isinstance(value, str) else value for axis, value in rule.where.items()}
    return all(point.get(axis) in values for axis, values in wanted.items())
