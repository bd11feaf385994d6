"""Where credentials come from, in this order:

1. $HUBTOOL_REGISTRY_USERNAME and $HUBTOOL_REGISTRY_PASSWORD, then $DOCKER_USERNAME and $DOCKER_PASSWORD (as
   users of repo2docker-action have them); both of a pair must be set. Where $HUBTOOL_REGISTRY, respectively
   $DOCKER_REGISTRY, is set, its pair is for that registry's host only.
2. Docker's configuration, then podman's auth.json (see hubtool.registries.dockerconfig).
3. The cloud's own, for its registries (hubtool.registries.gar, hubtool.registries.ecr).
"""

from __future__ import annotations

import os

from hubtool.reference import ImageReference
from hubtool.registries import dockerconfig
from hubtool.registries.model import Credentials

_PAIRS = (
    ("HUBTOOL_REGISTRY_USERNAME", "HUBTOOL_REGISTRY_PASSWORD", "HUBTOOL_REGISTRY"),
    ("DOCKER_USERNAME", "DOCKER_PASSWORD", "DOCKER_REGISTRY"),
)


def find(reference: ImageReference) -> Credentials | None:
    """The credentials of steps 1 and 2 for the reference's registry; None where there are none."""
    return from_environment(reference) or dockerconfig.find(reference)


def from_environment(reference: ImageReference) -> Credentials | None:
    for user, password, registry in _PAIRS:
        found = os.environ.get(user), os.environ.get(password)
        if found[0] and found[1] and _meant_for(reference, os.environ.get(registry, "")):
            return Credentials(found[0], found[1], source=f"${user} and ${password}")
    return None


def _meant_for(reference: ImageReference, registry: str) -> bool:
    host = registry.removeprefix("https://").partition("/")[0]
    if not host:
        return True
    return dockerconfig.hub_name(host) == dockerconfig.hub_name(reference.normalized().registry)


def half_set() -> str:
    """A sentence about a pair of variables of which only one is set; "" where there is none."""
    for pair in _PAIRS:
        names = pair[:2]
        missing = [name for name in names if not os.environ.get(name)]
        if len(missing) == 1:
            other = names[1 - names.index(missing[0])]
            return f"; ${other} is set but ${missing[0]} is not"
    return ""
