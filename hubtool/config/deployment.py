"""Where images are deployed from, as hubtool.yaml says it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, field_validator

from hubtool.config.kinds import HubName, Model, RingName, check_name
from hubtool.reference import is_tag

ForgeName = Literal["auto", "github", "local"]


class Deployment(Model):
    """The deployment repository whose pins a bump moves."""

    repository: str = Field(description="GitHub owner/name, git URL or local path.", min_length=1)
    branch: str | None = Field(None, description="Branch to open pull requests on; the repository's default.")
    promote: str | None = Field(None, description="Branch that is promoted to.")
    promote_by: Literal["pins", "merge"] = Field(
        "pins",
        description="pins: `hubtool promote` moves the hub's pins on that branch. merge: it proposes to merge the "
        "whole branch, for repositories that take nothing else there.",
    )
    hubs: tuple[HubName, ...] = Field((), description="Hubs whose pins a release moves.")
    forge: ForgeName = Field("auto", description="github, local (a bare repository), or auto.")
    api: str | None = Field(
        None,
        pattern=r"^https?://",
        description="API URL of a GitHub Enterprise server, like https://HOST/api/v3.",
    )
    labels: tuple[str, ...] = Field((), description="Labels to put on the pull request.")
    supersedes: tuple[str, ...] = Field(
        (),
        description="Branches of another bump tool, like update-{hub}-image-tag-*: their open pull requests are closed "
        "with a link when hubtool opens the hub's.",
    )
    rings: Mapping[RingName, tuple[HubName, ...]] = Field(
        default_factory=dict, description="Hubs by ring, for `hubtool bump --ring canary`."
    )
    hold: tuple[str, ...] = Field((), description="Tags that are never proposed: TAG, or IMAGE:TAG for one image.")
    soak: str = Field(
        "0h",
        pattern=r"^[0-9]{1,4}[mhd]$",
        description="How long a tag must have been live before `hubtool promote` proposes it: 30m, 24h, 7d.",
    )
    platform: str | None = Field(
        None,
        pattern=r"^[a-z0-9]+/[a-z0-9]+(/[a-z0-9]+)?$",
        description="Platform that the hubs' nodes have, like linux/arm64; an image without it is refused. "
        "Those that the old image has where left out, else linux/amd64.",
    )
    pin_digest: bool = Field(False, description="Pin tag@digest, so that a tag that moves moves no hub.")
    charts: Mapping[str, str] = Field(
        default_factory=dict,
        description="Helm charts whose quoted appVersion is an image's tag: the chart's folder, and the image.",
    )
    chart_version: Literal["auto", "always", "never"] = Field(
        "auto",
        description="Whether a chart's version is raised where one of its files changes. auto: in a catalogue of "
        "charts (folder charts/, a chart at the root, one with values.schema.json, or whose appVersion moves).",
    )
    paths: Mapping[HubName, tuple[str, ...]] = Field(
        default_factory=dict, description="Folders or files of a hub, where they are not deployments/HUB."
    )

    @field_validator("hold")
    @classmethod
    def _holds_tags(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for entry in value:
            name, _, tag = entry.rpartition(":")
            if not is_tag(tag):
                raise ValueError(f"'{entry}' is neither TAG nor IMAGE:TAG")
            check_name(name or "any")
        return value

    @field_validator("charts")
    @classmethod
    def _name_images(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        for image in value.values():
            check_name(image)
        return value
