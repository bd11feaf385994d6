"""The key ``nix`` of an image: which expression makes it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from hubtool.config.kinds import Model

AttributePath = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_'-]*(\.[A-Za-z_][A-Za-z0-9_'-]*)*$")]


class Nix(Model):
    """What yields the image: an attribute of a file, or an output of a flake."""

    file: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9._/-]+$",
        description="File with the expression, below the context. Where neither file nor flake is named: default.nix, "
        "else the output default of flake.nix.",
    )
    attribute: AttributePath | None = Field(
        None, description="The file's attribute that is the image, like image or images.small; else its whole value."
    )
    flake: AttributePath | None = Field(
        None, description="Output packages.SYSTEM.NAME of the context's flake.nix that is the image, by its NAME."
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Nix:
        if self.flake and (self.file or self.attribute):
            raise ValueError("flake goes with neither file nor attribute")
        return self
