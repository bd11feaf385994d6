"""What the models of hubtool.yaml share."""

from __future__ import annotations

import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from hubtool.errors import HubtoolError
from hubtool.reference import ImageReference

Name = Annotated[str, Field(pattern=r"^[a-z0-9]+(?:[._-][a-z0-9]+)*$", max_length=100)]
HubName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?$", max_length=100)]
RingName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=50)]
Age = Annotated[str, Field(pattern=r"^(never|[1-9][0-9]{0,3}[hdw])$")]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]

_HOURS = {"h": 1, "d": 24, "w": 7 * 24}


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def check_name(image: str) -> None:
    """Raise ValueError where IMAGE is no image's name without tag."""
    try:
        reference = ImageReference.parse(image)
    except HubtoolError as error:
        raise ValueError(error.message) from error
    if reference.tag or reference.digest:
        raise ValueError(f"'{image}': an image's name, without tag")


def age_of(text: str | None) -> datetime.timedelta | None:
    """An age as 12h, 7d or 2w; None for "never" and where there is none."""
    if text in (None, "never"):
        return None
    return datetime.timedelta(hours=int(text[:-1]) * _HOURS[text[-1]])


def check_place(image: str) -> None:
    """Raise ValueError where IMAGE is no place in a registry that a build cache may have: host, path, maybe a tag."""
    try:
        reference = ImageReference.parse(image)
    except HubtoolError as error:
        raise ValueError(error.message) from error
    if not reference.registry or reference.digest:
        raise ValueError(f"'{image}': expected true, false, or a reference like quay.io/team/cache, with its host")
