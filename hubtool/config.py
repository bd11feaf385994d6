"""hubtool.yaml as a frozen, typed model: the only place that knows its keys."""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from hubtool.errors import HubtoolError, Where
from hubtool.plain_yaml import Location, dotted, read_yaml
from hubtool.reference import ImageReference, is_tag

FILE_NAME = "hubtool.yaml"
SCHEMA_ID = "https://raw.githubusercontent.com/hubtool/hubtool/main/docs/hubtool.schema.json"

BuilderName = Literal["repo2docker"]
ContractName = Literal["jupyterhub", "none"]
EnvironmentName = Literal["auto", "uv"]
TagStyle = Literal["commit", "date"]
ForgeName = Literal["auto", "github", "local"]
LayerStyle = Literal["packages", "as-built"]
CompressionName = Literal["gzip", "zstd"]

Name = Annotated[str, Field(pattern=r"^[a-z0-9]+(?:[._-][a-z0-9]+)*$", max_length=100)]
HubName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?$", max_length=100)]
RingName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=50)]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Site(Model):
    """Where a site that cannot reach the public package indexes gets its packages from."""

    ca_bundle: str | None = Field(
        None,
        description="PEM file with the certificate authorities that the build shall trust; a relative "
        "path starts at hubtool.yaml's folder, a path with $NAME is taken from the environment.",
    )
    pip_index: str | None = Field(None, description="URL of a PyPI mirror's simple index, for pip and uv.")
    conda_channel: str | None = Field(
        None, description="URL of a conda-forge mirror. Micromamba and every conda package come from it."
    )
    cran: str | None = Field(None, description="URL of a CRAN mirror, for R's install.packages.")
    apt_mirror: str | None = Field(
        None, description="URL of a mirror of the base image's distribution archive (Ubuntu or Debian)."
    )
    run_time: bool = Field(
        False,
        description="Leave these settings in the image, so that they also hold for those who work in it.",
    )

    @field_validator("pip_index", "conda_channel", "cran", "apt_mirror")
    @classmethod
    def _is_plain_url(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[A-Za-z0-9.\[\]:-]+(/[A-Za-z0-9._~/%+-]*)?", value):
            if re.match(r"https?://[^/]*@", value):
                raise ValueError("a URL with a user or password would end up inside the image; leave them out")
            raise ValueError("expected an http:// or https:// URL without spaces, quotes or a query")
        return value.rstrip("/") if value else value


class Image(Model):
    """One image to build."""

    builder: BuilderName = Field("repo2docker", description="What turns the context into an image.")
    environment: EnvironmentName | None = Field(
        None,
        description="'uv' installs requirements.txt with uv; 'auto' (default) lets the files decide: "
        "a uv.lock means uv, everything else is repo2docker's own choice.",
    )
    contract: ContractName = Field("jupyterhub", description="What the image is held against before a push.")
    context: str = Field(".", description="Folder of the image's files, below hubtool.yaml's folder.")
    base: str | None = Field(None, description="Base image; repo2docker's own where left out.")
    platform: Literal["linux/amd64", "linux/arm64"] | None = Field(
        None, description="Platform to build for; the engine's own where left out."
    )
    user: str = Field("jovyan", pattern=r"^[a-z_][a-z0-9_-]{0,31}$", description="Name of the run user.")
    uid: int = Field(1000, ge=1, le=65533, description="Numeric id of the run user.")
    repo_dir: str = Field(
        "/srv/repo",
        pattern=r"^/[A-Za-z0-9._/-]+$",
        description="Where the context is put in the image; not below the home directory, "
        "which hubs mount a volume over.",
    )
    args: Mapping[Variable, str] = Field(default_factory=dict, description="Build arguments; never secrets.")
    labels: Mapping[str, str] = Field(default_factory=dict, description="Labels to add to the image.")
    appendix: str | None = Field(None, description="Dockerfile lines to add at the end (repo2docker's appendix).")
    start_seconds: int = Field(
        120, ge=1, le=3600, description="How long the server may take until it answers, in seconds."
    )


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
            _checked_name(name or "any")
        return value

    @field_validator("charts")
    @classmethod
    def _name_images(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        for image in value.values():
            _checked_name(image)
        return value


def _checked_name(image: str) -> None:
    """Raise ValueError where IMAGE is no image's name without tag."""
    try:
        reference = ImageReference.parse(image)
    except HubtoolError as error:
        raise ValueError(error.message) from error
    if reference.tag or reference.digest:
        raise ValueError(f"'{image}': an image's name, without tag")


class Config(Model):
    """The whole of hubtool.yaml."""

    registry: str = Field(description="Registry host and path that images are released under.", min_length=1)
    repository: str = Field("{image}", description="Pattern of the repository below the registry.")
    tag: TagStyle = Field(
        "commit",
        description="commit: first 12 hexadecimal digits of the commit. date: YYYY.MM.DD-<7 digits>, "
        "which sorts and is never a number.",
    )
    environment: EnvironmentName = Field("auto", description="Default of the images' environment.")
    images: Mapping[Name, Image] = Field(min_length=1, description="The images that this repository makes.")
    site: Site = Field(default_factory=lambda: Site(), description="Mirrors and certificates of this site.")
    create_repository: bool = Field(False, description="Create a missing repository in the registry (ECR).")
    layers: LayerStyle = Field(
        "packages",
        description="packages: images travel in layers by what is installed, so that a release moves what changed. "
        "as-built: in the layers that the build made.",
    )
    compression: CompressionName = Field(
        "gzip", description="How layers travel. gzip: every node reads it; zstd: smaller, for containerd 1.5 and later."
    )
    max_layers: int = Field(64, ge=3, le=127, description="Most layers that an image gets (layers: packages).")
    share_layers_with: tuple[str, ...] = Field(
        (),
        description="Further repositories of the same registry, like quay.io/team/other: layers that their newest "
        "image has are taken from there. Those of the other images here are anyway.",
    )
    deployment: Deployment | None = Field(None, description="Where the images are deployed from.")

    @field_validator("images", mode="before")
    @classmethod
    def _defaults_for_empty(cls, value: Any) -> Any:
        return (
            {name: {} if image is None else image for name, image in value.items()}
            if isinstance(value, dict)
            else value
        )

    @model_validator(mode="after")
    def _references_are_valid(self) -> Config:
        if "{image}" not in self.repository and len(self.images) > 1:
            raise ValueError("repository: with several images the pattern must hold {image}")
        for name in self.images:
            try:
                self.reference(name)
            except HubtoolError as error:
                raise ValueError(error.message) from error
        return self

    @field_validator("share_layers_with")
    @classmethod
    def _name_repositories(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            _checked_name(name)
        return value

    def siblings(self, image: str) -> tuple[ImageReference, ...]:
        """Where images are released to that may have layers in common with IMAGE, at its registry."""
        own = self.reference(image)
        named = [ImageReference.parse(name) for name in self.share_layers_with]
        found = dict.fromkeys([*map(self.reference, self.images), *named])
        return tuple(one for one in found if one != own and one.registry == own.registry)

    def reference(self, image: str) -> ImageReference:
        """Where IMAGE is released to: registry and repository, no tag."""
        path = self.repository.replace("{image}", image)
        return ImageReference.parse(f"{self.registry.rstrip('/')}/{path}")

    def environment_of(self, image: str) -> EnvironmentName:
        """The image's own environment setting, else the file's."""
        return self.images[image].environment or self.environment


def load(root: Path, environ: Mapping[str, str] | None = None) -> Config:
    """Read ROOT/hubtool.yaml, with the overrides that ENVIRON (default: the process's) holds.

    Raises HubtoolError with file, line and key for anything that is wrong with it.
    """
    file = root / FILE_NAME
    try:
        data = file.read_bytes()
    except FileNotFoundError as error:
        raise HubtoolError(
            f"no {FILE_NAME} in {root}",
            hint="run hubtool in an image repository, or make one: hubtool new DIR",
        ) from error
    except OSError as error:
        raise HubtoolError(f"cannot be read: {error.strerror}", where=Where(file)) from error
    return parse(data, file, os.environ if environ is None else environ)


def parse(data: bytes, file: Path, environ: Mapping[str, str] | None = None) -> Config:
    """Read the bytes of a hubtool.yaml; FILE names it in errors."""
    document, lines = read_yaml(data, file)
    if not isinstance(document, dict):
        raise HubtoolError("expected keys and values at the top, like 'registry: …'", where=Where(file, 1))
    _override(document, environ or {})
    try:
        return Config.model_validate_json(json.dumps(document, default=str))
    except ValidationError as error:
        raise _explain(error, file, lines, document) from error
    except RecursionError as error:
        raise HubtoolError("nested too deep", where=Where(file)) from error


def json_schema() -> dict[str, Any]:
    """The JSON Schema of hubtool.yaml (draft 2020-12)."""
    schema = Config.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, **schema}


def _override(document: dict[str, Any], environ: Mapping[str, str]) -> None:
    if environ.get("HUBTOOL_REGISTRY"):
        document["registry"] = environ["HUBTOOL_REGISTRY"]
    if environ.get("HUBTOOL_DEPLOYMENT"):
        deployment = document.get("deployment")
        document["deployment"] = {
            **(deployment if isinstance(deployment, dict) else {}),
            "repository": environ["HUBTOOL_DEPLOYMENT"],
        }
    if environ.get("HUBTOOL_CA_BUNDLE"):
        site = document.get("site")
        document["site"] = {
            **(site if isinstance(site, dict) else {}),
            "ca_bundle": environ["HUBTOOL_CA_BUNDLE"],
        }


def _explain(error: ValidationError, file: Path, lines: dict[Location, int], document: dict[str, Any]) -> HubtoolError:
    """The first thing wrong, in our words; the others by their keys."""
    details = error.errors(include_url=False)
    first = min(details, key=lambda detail: lines.get(tuple(detail["loc"]), 0))
    location: Location = tuple(part for part in first["loc"] if part != "[key]")
    message, hint = str(first["msg"]).removeprefix("Value error, "), None
    if first["type"] == "extra_forbidden":
        known = _known_keys(location[:-1])
        near = difflib.get_close_matches(str(location[-1]), known, 1)
        message = "unknown key" + (f"; did you mean '{near[0]}'?" if near else "")
        hint = "known here: " + ", ".join(known)
    elif first["type"] == "missing":
        message = "missing"
        hint = f"add '{location[-1]}: …'"
    elif first["type"] != "value_error":
        message = f"{message}, got {_shown(first.get('input'))}"
        hint = _at(location)[1]
    others = sorted({dotted(tuple(detail["loc"])) for detail in details} - {dotted(tuple(first["loc"]))})
    if others:
        hint = "\n  ".join(filter(None, [hint, "also wrong: " + ", ".join(others[:8])]))
    line = next((lines[location[:n]] for n in range(len(location), -1, -1) if location[:n] in lines), None)
    return HubtoolError(message, where=Where(file, line, dotted(location) or None), hint=hint)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _at(location: Location) -> tuple[Any, str | None]:
    """The type that stands at LOCATION, and the description of its key."""
    kind: Any = Config
    description = None
    for part in location:
        kind = _bare(kind)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            field = kind.model_fields.get(str(part))
            kind, description = (field.annotation, field.description) if field else (None, None)
        else:
            kind = (get_args(kind) or (None,))[-1 if get_origin(kind) is not tuple else 0]
    return _bare(kind), description


def _bare(kind: Any) -> Any:
    """KIND without ``Annotated`` and ``| None``."""
    while get_origin(kind) in (Annotated, Union, UnionType):
        kind = next(arg for arg in get_args(kind) if arg is not NoneType)
    return kind


def _known_keys(location: Location) -> list[str]:
    """The keys that may stand below LOCATION."""
    kind, _ = _at(location)
    return sorted(kind.model_fields) if isinstance(kind, type) and issubclass(kind, BaseModel) else []
