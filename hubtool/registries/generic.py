"""Any registry that needs no more than a login: Harbor, GHCR, Quay, Docker Hub, GitLab, a plain one."""

from __future__ import annotations

from hubtool.reference import ImageReference
from hubtool.registries import credentials as sources
from hubtool.registries.model import Credentials, Problem

LOGIN = "docker login {host}, or set HUBTOOL_REGISTRY_USERNAME and HUBTOOL_REGISTRY_PASSWORD"


class GenericRegistry:
    name = "generic"

    def credentials(self, reference: ImageReference) -> Credentials | None:
        return sources.find(reference)

    def ensure_repository(self, reference: ImageReference, create: bool) -> None:
        """Nothing to do: these registries make a repository on the first push, or want it made by hand."""

    def hint(self, problem: Problem, reference: ImageReference) -> str:
        if problem == "login":
            return LOGIN.format(host=reference.registry) + sources.half_set()
        if problem == "push":
            return f"ask an owner of {reference.name} for the right to push there ({_role(reference.registry)})"
        return f"see that '{reference.name}' is spelled right and that its project or organisation exists"


def _role(host: str) -> str:
    """The right's name, in the words of the host's own settings."""
    known = {
        "docker.io": "a token with Read & Write, or an organisation's Editor",
        "ghcr.io": "a token with write:packages; in Actions 'permissions: packages: write'",
        "quay.io": "a robot account with Write",
    }
    return known.get(host, "Harbor: Developer or Maintainer of the project; GitLab: Developer")
