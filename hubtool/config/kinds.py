"""What the models of hubtool.yaml share."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from hubtool.errors import HubtoolError
from hubtool.reference import ImageReference

Name = Annotated[str, Field(pattern=r"^[a-z0-9]+(?:[._-][a-z0-9]+)*$", max_length=100)]
HubName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?$", max_length=100)]
RingName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=50)]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


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
