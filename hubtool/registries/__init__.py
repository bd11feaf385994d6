"""Registries hold releases: Artifact Registry (gar), ECR (ecr), all others (generic). Each is a module that
satisfies Protocol Registry; one client speaks to all of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hubtool.reference import ImageReference
from hubtool.registries.model import Blob, Credentials, Registry, RegistryError, Release

if TYPE_CHECKING:
    from hubtool.registries.client import RegistryClient

__all__ = [
    "Blob",
    "Credentials",
    "Registry",
    "RegistryError",
    "Release",
    "find_release",
    "may_push",
    "open_client",
    "registry_for",
]

_GAR = re.compile(r"(?:[a-z0-9-]+-docker\.pkg\.dev|(?:[a-z]+\.)?gcr\.io)\Z")
_ECR = re.compile(r"[0-9]{12}\.dkr\.ecr(?:-fips)?\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?\Z|public\.ecr\.aws\Z")


def registry_for(reference: ImageReference) -> Registry:
    """The kind of registry that the reference's host is."""
    host = reference.normalized().registry
    if _GAR.match(host):
        from hubtool.registries.gar import GarRegistry

        return GarRegistry()
    if _ECR.match(host):
        from hubtool.registries.ecr import EcrRegistry

        return EcrRegistry()
    from hubtool.registries.generic import GenericRegistry

    return GenericRegistry()


def open_client(reference: ImageReference) -> RegistryClient:
    """A client for the reference's repository, with the credentials found for its registry; close it
    (``with``) after use. Raises HubtoolError where a source of credentials is broken."""
    from hubtool.registries.client import RegistryClient

    registry = registry_for(reference)
    return RegistryClient(reference, registry, registry.credentials(reference))


def find_release(reference: ImageReference) -> Release | None:
    """What the registry holds at the reference's tag, or digest where it has one; None where there is nothing.

    Raises RegistryError where the registry can't be asked or may not be.
    """
    from hubtool.registries.release import read_release

    with open_client(reference) as client:
        return read_release(client, reference)


def may_push(reference: ImageReference) -> None:
    """Return where hubtool may push to the reference's repository, else raise RegistryError with a hint.

    It begins an upload and takes it back, so that no tag and no blob is left behind. A registry that checks rights only
    when an upload ends (none of the ones named in the documentation does) would say yes too early.
    """
    with open_client(reference) as client:
        client.check_push()
