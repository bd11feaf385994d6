"""What a contract is told of an image, as hubtool.yaml says it."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from hubtool.config.kinds import Model

ContractName = Literal["jupyterhub", "onyxia", "coder", "workstation", "none"]

# What a contract holds beyond what all its images need, by the kind of image; the first is the default.
PROFILES: Mapping[str, tuple[str, ...]] = {
    "onyxia": ("code-server", "jupyter", "rstudio"),
    "coder": ("v2", "bare"),
    "workstation": ("batch", "desktop"),
}
# The run user that a platform expects where hubtool.yaml names none.
RUN_USERS: Mapping[str, str] = {"onyxia": "onyxia", "coder": "coder", "workstation": "chaimeleon"}
RUN_USER = "jovyan"


class Parameters(Model):
    """What the platform has that the image runs on. Each contract reads what means something to it."""

    home: str | None = Field(
        None, pattern=r"^/[A-Za-z0-9._/-]+$", description="The run user's home directory; /home/USER where left out."
    )
    programs: tuple[str, ...] = Field(
        (),
        description="Programs that must be in the image: absolute paths, or names on its PATH. Where a workspace's are "
        "left out (coder): bash and git, with the profile bare also ps and free.",
    )
    max_layers: int = Field(
        64, ge=1, le=127, description="Most layers that the image may have: sysbox takes 64, other runtimes 127."
    )
    sudo: bool | None = Field(
        None,
        description="Whether a workspace's user becomes root by sudo, without a password; where left out it must work "
        "if it is in the image.",
    )
    trusted_ca: str | None = Field(
        None,
        pattern=r"-----BEGIN (TRUSTED )?CERTIFICATE-----",
        description="Certificates (PEM text) of the authorities that sign the platform's own addresses; a workspace "
        "must trust them.",
    )


class KnownIssue(Model):
    """A check that the image is known to fail, for a while."""

    check: str = Field(pattern=r"^[A-Z]{1,2}[0-9]+$", description="Id of the check, as `hubtool test --list` shows it.")
    reason: str = Field(min_length=1, description="Why it fails, and what is being done.")
    until: datetime.date = Field(description="Last day, YYYY-MM-DD, on which it may fail.")
