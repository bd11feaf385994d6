"""The plain data that the registries' modules pass around."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Literal, Protocol

from hubtool.errors import HubtoolError
from hubtool.reference import ImageReference

Problem = Literal["login", "push", "missing"]

_SHA256 = re.compile(r"sha256:[0-9a-f]{64}\Z")


class RegistryError(HubtoolError):
    """A registry refused, could not be reached or said something that can't be true.

    ``status`` is the HTTP status where there was one.
    """

    def __init__(self, message: str, *, status: int | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


@dataclass(frozen=True)
class Credentials:
    """Who hubtool is at a registry. ``source`` says where they came from, for messages.

    ``identity_token`` is what `docker login` leaves at registries that trade it for access tokens.
    """

    username: str
    password: str = field(default="", repr=False)
    identity_token: str | None = field(default=None, repr=False)
    source: str = ""

    def basic(self) -> str:
        """The value of an Authorization header for HTTP Basic."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()

    def secrets(self) -> tuple[str, ...]:
        """Everything that no message may hold."""
        found = (self.password, self.identity_token or "", self.basic().removeprefix("Basic "))
        return tuple(secret for secret in found if len(secret) > 3)


@dataclass(frozen=True)
class Descriptor:
    """What a registry holds under a digest. ``size`` is in bytes."""

    digest: str
    media_type: str
    size: int
    artifact_type: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Manifest:
    """A manifest as received, its digest checked against its bytes."""

    digest: str
    media_type: str
    content: bytes


@dataclass(frozen=True)
class Blob:
    """Bytes to publish: ``open`` gives a new seekable reader of ``size`` bytes that hash to ``digest``."""

    digest: str
    size: int
    open: Callable[[], BinaryIO]


@dataclass(frozen=True)
class Uploaded:
    """What an upload of yet unknown bytes came to; ``travelled`` is whether the registry lacked them."""

    digest: str
    size: int
    travelled: bool


class Writer(Protocol):
    """Where bytes go: a file, an upload."""

    def write(self, data: bytes, /) -> object: ...


@dataclass(frozen=True)
class Release:
    """What a registry holds at a tag: ``reference`` has tag and digest, ``platforms`` are like linux/amd64,
    ``labels`` are the image's (of the first platform), ``size`` its compressed layers in bytes. ``layers`` are they,
    from the bottom up, ``image`` the digest of that platform's manifest, ``user`` whom it runs as."""

    reference: ImageReference
    platforms: tuple[str, ...]
    labels: Mapping[str, str]
    size: int
    layers: tuple[Descriptor, ...] = ()
    image: str = ""
    user: str = ""


class Registry(Protocol):
    """One kind of registry: how hubtool logs in there and what a person has to do where it may not."""

    name: str

    def credentials(self, reference: ImageReference) -> Credentials | None:
        """Credentials for the reference's registry, None where there are none; raises HubtoolError for
        a source that is there but broken."""
        ...

    def ensure_repository(self, reference: ImageReference, create: bool) -> None:
        """See that the repository exists where the registry does not make it by itself; with CREATE make it.
        Raises HubtoolError with a hint where it is missing and may not be made."""
        ...

    def hint(self, problem: Problem, reference: ImageReference) -> str:
        """What a person has to do about PROBLEM."""
        ...


def is_digest(text: object) -> bool:
    """Whether TEXT is a digest of the one kind that every registry has: sha256."""
    return isinstance(text, str) and bool(_SHA256.match(text))
