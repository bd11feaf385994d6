"""What a contract is told of an image, as hubtool.yaml says it."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, ByteSize, Field, WithJsonSchema

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

_SIZE = {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": r"^[0-9.]+ ?[kKMGTP]?i?[bB]?$"}]}
Size = Annotated[ByteSize, Field(gt=0), WithJsonSchema(_SIZE)]

Folder = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$")]
Port = Annotated[int, Field(ge=1, le=65535)]
Url = Annotated[str, Field(pattern=r"^https?://[^\s@]+$")]


def _switched_off(value: object) -> object:
    return None if value is False or value in ("false", "no", "off") else value


OwnTests = Annotated[
    Folder | None,
    BeforeValidator(_switched_off),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"const": False}]}),
]


class Parameters(Model):
    """What the platform has that the image runs on. Each contract reads what means something to it."""

    home: str | None = Field(
        None, pattern=r"^/[A-Za-z0-9._/-]+$", description="The run user's home directory; /home/USER where left out."
    )
    hub_version: str | None = Field(
        None,
        pattern=r"^[0-9][0-9A-Za-z.+-]*$",
        description="Version of the JupyterHub that starts the image, like 5.4.4.",
    )
    max_size: Size = Field(ByteSize(20_000_000_000), description="Most bytes that the image's files may have.")
    max_layer_size: Size = Field(
        ByteSize(10_000_000_000),
        description="Most bytes that a layer may have; registries refuse larger ones than 10 GB.",
    )
    mounts: Mapping[Folder, Literal["ro", "rw"]] = Field(
        {"datasets": "ro", "persistent-home": "rw", "persistent-shared-folder": "rw"},
        description="Folders below the home directory that the platform mounts volumes over, and how; where left out "
        "`datasets: ro`, `persistent-home: rw` and `persistent-shared-folder: rw`.",
    )
    user_hook: Folder | None = Field(
        "persistent-home/init.sh", description="The user's own script, below the home directory, that a start runs."
    )
    ssh_port: Port = Field(2222, description="Port of a desktop's SSH server.")
    vnc_port: Port = Field(5900, description="Port of a desktop's VNC server.")
    jupyter_port: Port = Field(8888, description="Port of the Jupyter server that a desktop may have.")
    services: tuple[str, ...] = Field(
        ("Xvfb", "openbox", "x11vnc", "sshd"), description="Programs that a desktop keeps running."
    )
    pip_mirror: Url | None = Field(None, description="URL of the PyPI mirror that pip shall use in the image.")
    internal_hosts: tuple[str, ...] = Field((), description="Hosts of the platform that init scripts may talk to.")
    default_password: str | None = Field(
        None,
        min_length=1,
        description="Password of the run user that the image is made with; it is no secret, and the start changes it.",
    )
    sudo_commands: tuple[str, ...] = Field(
        (), description="Commands, as in sudoers, that the run user may run by sudo."
    )
    setuid_programs: tuple[str, ...] = Field(
        (), description="Paths of further programs that may have the setuid bit or capabilities."
    )
    needs_authorization: bool = Field(
        False, description="Whether the image must have the label authorization: its code is private or has no licence."
    )
    cuda: bool | None = Field(
        None, description="Whether the image is made for CUDA; where left out, whether its tag says cuda."
    )
    workspace: str | None = Field(
        None,
        pattern=r"^/[A-Za-z0-9._/-]+$",
        description="Folder that the user's volume is mounted on; work in the home directory where left out.",
    )
    init_script: str = Field(
        "/opt/onyxia-init.sh", pattern=r"^/[A-Za-z0-9._/-]+$", description="The script that a chart starts an IDE with."
    )
    ide_command: str | None = Field(
        None,
        min_length=1,
        description="What a chart starts after init_script, as its args have it; the profile's own where left out.",
    )
    ide_port: Port | None = Field(None, description="Port of the IDE; the profile's own where left out.")
    programs: tuple[str, ...] = Field(
        (),
        description="Programs that must be in the image: absolute paths, or names on its PATH. Where a workspace's are "
        "left out (coder): bash and git, with the profile bare also ps and free.",
    )
    arbitrary_uid: bool = Field(
        False, description="Whether the platform runs images as any uid with group 0, as OpenShift does."
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
