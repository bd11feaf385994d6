"""ImageReference: how an image is named, as Docker and the OCI distribution specification read it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from hubtool.errors import HubtoolError

# Grammar: github.com/distribution/reference, reference.go
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*\Z")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\Z")
_DIGEST = re.compile(r"[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{32,}\Z")
_DOMAIN_NAME = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_HOST = re.compile(rf"(?:{_DOMAIN_NAME}(?:\.{_DOMAIN_NAME})*|\[[0-9a-fA-F:]+\])(?::[0-9]{{1,5}})?\Z")

DOCKER_HUB = "docker.io"


@dataclass(frozen=True, order=True)
class ImageReference:
    """A parsed image reference.

    ``registry`` is the host with port as written, or "" where none was written (Docker Hub's shorthand);
    ``tag`` is "" and ``digest`` None where absent. Two references compare by what is written; use
    ``same_repository`` to compare with Docker Hub's default filled in.
    """

    registry: str
    repository: str
    tag: str = ""
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> ImageReference:
        """Read ``[HOST[:PORT]/]PATH[:TAG][@DIGEST]``; raises HubtoolError that says which part is wrong."""
        rest, at, digest = text.partition("@")
        if at and not _DIGEST.match(digest):
            raise HubtoolError(f"'{text}' is not an image reference: bad digest '{digest}'")
        head, colon, tag = rest.rpartition(":")
        if colon and "/" not in tag:
            rest = head
            if not _TAG.match(tag):
                raise HubtoolError(
                    f"'{text}' is not an image reference: bad tag '{tag}'",
                    hint="a tag has 1 to 128 letters, digits, '_', '.' or '-', and does not start with '.' or '-'",
                )
        else:
            tag = ""
        registry, repository = split_registry(rest)
        if registry and not _HOST.match(registry):
            raise HubtoolError(f"'{text}' is not an image reference: bad registry host '{registry}'")
        if not _REPOSITORY.match(repository) or len(repository) > 255:
            raise HubtoolError(
                f"'{text}' is not an image reference: bad repository '{repository}'",
                hint="a repository is lower-case words joined by '.', '_', '-' and '/'",
            )
        return cls(registry, repository, tag, digest or None)

    @property
    def name(self) -> str:
        """The reference without tag and digest, as written."""
        return f"{self.registry}/{self.repository}" if self.registry else self.repository

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.name}{tag}{digest}"

    def with_tag(self, tag: str, digest: str | None = None) -> ImageReference:
        """The same repository at another tag; raises HubtoolError where TAG is not one."""
        if not is_tag(tag):
            raise HubtoolError(f"'{tag}' is not a tag")
        return replace(self, tag=tag, digest=digest)

    def normalized(self) -> ImageReference:
        """With Docker Hub's host and ``library/`` written out."""
        if self.registry not in ("", DOCKER_HUB, "index.docker.io"):
            return self
        repository = self.repository if "/" in self.repository else f"library/{self.repository}"
        return replace(self, registry=DOCKER_HUB, repository=repository)

    def same_repository(self, other: ImageReference) -> bool:
        """Whether both name one repository, ``docker.io/`` filled in where it was left out."""
        a, b = self.normalized(), other.normalized()
        return (a.registry, a.repository) == (b.registry, b.repository)


def split_registry(name: str) -> tuple[str, str]:
    """Split ``HOST/PATH`` as Docker does: the first part is a host when it has '.' or ':' or is localhost."""
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first, rest
    return "", name


def is_tag(text: str) -> bool:
    """Whether TEXT may stand as a tag."""
    return bool(_TAG.match(text))
