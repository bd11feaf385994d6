"""The key ``debian`` of an image: which Debian or Ubuntu packages it is made of, and what is put beside them."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, field_validator

from hubtool.config.kinds import Model, Variable

SNAPSHOT_FORMAT = "%Y%m%dT%H%M%SZ"
PackageName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9+.-]*(:[a-z0-9-]+)?([=/][A-Za-z0-9.+~:-]+)?$")]
Word = Annotated[str, Field(pattern=r"^[a-z][a-z0-9.-]*$")]
PathBelow = Annotated[str, Field(pattern=r"^[A-Za-z0-9._][A-Za-z0-9._/-]*$")]


class RunConfig(Model):
    """How containers of the image start."""

    user: str | None = Field(
        None,
        pattern=r"^[a-z0-9_][a-z0-9_-]*(:[a-z0-9_][a-z0-9_-]*)?$",
        description="UID or USER, and :GROUP; else root.",
    )
    workdir: str | None = Field(None, pattern=r"^/", description="Working directory.")
    entrypoint: tuple[str, ...] = Field((), description="Program and arguments that every container starts with.")
    command: tuple[str, ...] = Field(("/bin/bash",), description="What it starts where nobody says otherwise.")
    environment: Mapping[Variable, str] = Field(default_factory=dict, description="Environment variables.")
    ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] = Field((), description="TCP ports that it listens on.")


class Debian(Model):
    """What the image is made of."""

    distribution: Literal["debian", "ubuntu"] = Field("debian", description="Whose suites and archives.")
    suite: Word = Field("stable", description="The release: bookworm, sid, noble.")
    variant: Literal["essential", "apt", "required", "minbase", "buildd", "important", "standard"] = Field(
        "minbase", description="mmdebstrap's variant: the packages there are without naming them."
    )
    packages: tuple[PackageName, ...] = Field(
        (), description="Packages to install with what they depend on; NAME=VERSION and NAME/SUITE are apt's."
    )
    components: tuple[Word, ...] = Field(("main",), min_length=1, description="Parts of the archive.")
    updates: bool = Field(True, description="Also SUITE-updates and SUITE-security; sid and experimental have none.")
    snapshot: str | None = Field(
        None,
        description="The archive as it was then, as 20260701T000000Z: the same packages, and the same image, for ever.",
    )
    mirror: str | None = Field(
        None,
        pattern=r"^https?://[A-Za-z0-9.\[\]:-]+(/[A-Za-z0-9._~/%+-]*)?$",
        description="The archive, where it is not the distribution's; security updates of Debian are in "
        "MIRROR-security, snapshots in MIRROR/SNAPSHOT.",
    )
    keyring: PathBelow | None = Field(
        None, description="File below the context with the keys that sign the archive, where they are a site's own."
    )
    files: PathBelow | None = Field(
        None, description="Folder below the context that is copied over the root; all of it is root's, 644 or 755."
    )
    run: PathBelow | None = Field(
        None,
        description="Script below the context that is run inside, as root, once packages and files are there; args are "
        "environment variables to it.",
    )
    config: RunConfig = Field(default_factory=lambda: RunConfig(), description="How containers start.")

    @field_validator("snapshot")
    @classmethod
    def _is_a_time(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                datetime.datetime.strptime(value, SNAPSHOT_FORMAT)
            except ValueError as error:
                raise ValueError(f"'{value}': expected a time like 20260701T000000Z") from error
        return value
