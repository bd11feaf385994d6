"""hubtool.yaml as a frozen, typed model."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from hubtool.config.contract import PROFILES, RUN_USER, RUN_USERS, ContractName, KnownIssue, OwnTests, Parameters
from hubtool.config.debian import Debian
from hubtool.config.deployment import Deployment
from hubtool.config.kinds import Age, Model, Name, Variable, age_of, check_name, check_place
from hubtool.config.nix import Nix
from hubtool.config.stack import ARCHITECTURES, PLATFORM, AxisName, AxisValue, Skip, Some, chosen_axes
from hubtool.errors import HubtoolError
from hubtool.reference import ImageReference

BuilderName = Literal["repo2docker", "dockerfile", "nix", "debian"]
EnvironmentName = Literal["auto", "uv"]
TagStyle = Literal["commit", "date"]
LayerStyle = Literal["packages", "as-built"]
PlatformName = Literal["linux/amd64", "linux/arm64"]
SecretName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
CompressionName = Literal["gzip", "zstd"]
UNHEEDED = ("base", "parent", "target", "secrets", "appendix")  # by builders that have no Dockerfile
SWITCH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


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
    profile: str | None = Field(
        None,
        description="Which kind of image of the contract: code-server, jupyter or rstudio (onyxia); v2 or bare "
        "(coder); batch or desktop (workstation). The first of each where left out.",
    )
    parameters: Parameters = Field(
        default_factory=lambda: Parameters(), description="What the contract is told of the platform."
    )
    known_issues: tuple[KnownIssue, ...] = Field(
        (), description="Checks that the image may fail, each with a reason and a last day; then they count again."
    )
    tests: OwnTests = Field(
        "tests",
        description="Folder of the repository's own checks: its files test_*.py are run by pytest on this machine, "
        "with the contract's fixtures `container`, `host` and `image`. false: there are none.",
    )
    context: str = Field(".", description="Folder of the image's files, below hubtool.yaml's folder.")
    dockerfile: str = Field(
        "Dockerfile", pattern=r"^[A-Za-z0-9._/-]+$", description="The Dockerfile, below the context (dockerfile)."
    )
    target: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="Stage to build; else the last (dockerfile).",
    )
    secrets: Mapping[SecretName, Variable] = Field(
        default_factory=dict,
        description="Secrets that a RUN --mount=type=secret,id=NAME may read while building, each with the environment "
        "variable that holds it. They are in no layer, and decide no fingerprint.",
    )
    nix: Nix = Field(default_factory=lambda: Nix(), description="The expression that yields the image (nix).")
    debian: Debian = Field(default_factory=lambda: Debian(), description="The packages that make the image (debian).")
    base: str | Mapping[AxisValue, str] | None = Field(
        None, description="Base image, or one for each value of an axis; repo2docker's own where left out."
    )
    parent: Name | None = Field(
        None, alias="from", description="An image of this file to build on, at this very run's digest of it."
    )
    base_arg: Variable = Field(
        "BASE_IMAGE", description="Build argument that brings base or parent to the Dockerfile's FROM."
    )
    axes: Mapping[AxisName, Some] = Field(
        default_factory=dict,
        description="Axes that the image has variants on: [python, device], or {python: all, device: [cpu], r: first} "
        "for some of their values.",
    )
    skip: tuple[Skip, ...] = Field((), description="Variants that are not built unless they are named.")
    version: str | None = Field(
        None, pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,60}$", description="The {version} of tags, args and labels."
    )
    tags: tuple[str, ...] = Field(
        (),
        description="Patterns of the tags: {AXIS} is the variant's value; {-VALUE} stands where it has that value, as "
        "py{python}{-gpu}; {version}, {date} (YYYY.MM.DD), {commit} (12 digits), {image}. The first is the one that "
        "hubs pin. Where left out: what the key tag says, and the values of its axes.",
    )
    registry: str | None = Field(None, min_length=1, description="Registry of this image, where it is another.")
    repository: str | None = Field(None, min_length=1, description="Pattern of its repository, where it is another.")
    platform: PlatformName | None = Field(None, description="Platform to build for; the engine's own where left out.")
    user: str = Field(
        RUN_USER,
        pattern=r"^[a-z_][a-z0-9_-]{0,31}$",
        description="Name of the run user; where left out "
        + ", ".join(f"{user} ({contract})" for contract, user in RUN_USERS.items())
        + f", else {RUN_USER}.",
    )
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
    freshness: Age | None = Field(None, description="The file's freshness, for this image; or never.")

    @field_validator("axes", mode="before")
    @classmethod
    def _both_ways(cls, value: Any) -> Any:
        return chosen_axes(value)

    @model_validator(mode="before")
    @classmethod
    def _platforms_user(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("contract") in RUN_USERS:
            return {"user": RUN_USERS[value["contract"]], **value}
        return value

    @model_validator(mode="after")
    def _builder_heeds_it(self) -> Image:
        for key in UNHEEDED:
            if self.builder in ("nix", "debian") and getattr(self, key):
                written = Image.model_fields[key].alias or key
                raise ValueError(f"{written}: the builder {self.builder} does not heed it; leave it out")
        return self

    @model_validator(mode="after")
    def _stands_on_one(self) -> Image:
        if self.base and self.parent:
            raise ValueError("base and from: an image stands on one of them")
        if self.base_arg in self.args and (self.base or self.parent):
            raise ValueError(f"args.{self.base_arg}: 'base' or 'from' says it; leave one of them out")
        return self

    @model_validator(mode="after")
    def _profile_is_the_contracts(self) -> Image:
        if self.profile is not None and self.profile not in PROFILES.get(self.contract, ()):
            known = ", ".join(PROFILES.get(self.contract, ())) or "none"
            raise ValueError(f"profile: the contract {self.contract} has no '{self.profile}'; its profiles: {known}")
        return self


def _over(shared: Mapping[str, Any], image: Mapping[str, Any]) -> dict[str, Any]:
    """SHARED with the keys of IMAGE before them; its own ``from`` goes before a shared ``base``, and the reverse."""
    other = {"from": "base", "base": "from"}
    return {key: value for key, value in shared.items() if key not in [other.get(own) for own in image]} | dict(image)


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
    axes: Mapping[AxisName, Annotated[tuple[AxisValue, ...], Field(min_length=1)]] = Field(
        default_factory=dict, description="What images vary in: axes with their values, as python: [3.13.13, 3.12.13]."
    )
    defaults: Image | None = Field(None, description="Keys for all images; an image's own go before them.")
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
    cache: bool | str = Field(
        True,
        description="The registry build cache: true for the tag buildcache beside each image, a reference for another "
        "place, false for none.",
    )
    freshness: Age | None = Field(
        None,
        description="Build an image again, with fresh base images and packages, once the one in the registry was built "
        "longer ago: 12h, 7d, 2w. Left out, age is no reason.",
    )
    deployment: Deployment | None = Field(None, description="Where the images are deployed from.")

    @model_validator(mode="before")
    @classmethod
    def _with_defaults(cls, value: Any) -> Any:
        images = value.get("images") if isinstance(value, dict) else None
        if not isinstance(images, dict):
            return value
        defaults = value.get("defaults")
        shared = defaults if isinstance(defaults, dict) else {}
        whole = {name: _over(shared, image) if isinstance(image, dict) else image for name, image in images.items()}
        return {**value, "images": {name: shared if image is None else image for name, image in whole.items()}}

    @model_validator(mode="after")
    def _references_are_valid(self) -> Config:
        shared = [image for image in self.images.values() if image.repository is None]
        if "{image}" not in self.repository and len(shared) > 1:
            raise ValueError("repository: with several images the pattern must hold {image}")
        for name in self.images:
            try:
                self.reference(name)
            except HubtoolError as error:
                raise ValueError(error.message) from error
        return self

    @field_validator("axes", mode="before")
    @classmethod
    def _platforms_are_short(cls, value: Any) -> Any:
        platforms = value.get(PLATFORM) if isinstance(value, dict) else None
        if isinstance(platforms, list) and any(str(one).startswith("linux/") for one in platforms):
            raise ValueError(f"{PLATFORM}: its values are {' and '.join(ARCHITECTURES)}, without linux/")
        return value

    @field_validator("share_layers_with")
    @classmethod
    def _name_repositories(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            check_name(name)
        return value

    @field_validator("cache", mode="before")
    @classmethod
    def _is_a_cache(cls, value: Any) -> Any:
        text = value if isinstance(value, str) else repr(value)
        if text.lower() in SWITCH:
            return SWITCH[text.lower()]
        check_place(text)
        return text

    def reference(self, image: str) -> ImageReference:
        """Where IMAGE is released to: registry and repository, no tag."""
        own = self.images[image]
        path = (own.repository or self.repository).replace("{image}", image)
        return ImageReference.parse(f"{(own.registry or self.registry).rstrip('/')}/{path}")

    def environment_of(self, image: str) -> EnvironmentName:
        """The image's own environment setting, else the file's."""
        return self.images[image].environment or self.environment

    def freshness_of(self, image: str) -> datetime.timedelta | None:
        """The age from which on IMAGE is built again: its own, else the file's; None for never."""
        return age_of(self.images[image].freshness or self.freshness)
