"""Which files of a deployment repository belong to a hub."""

from __future__ import annotations

import difflib
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence

from hubtool.errors import HubtoolError, Where

FOLDER = "deployments"
SUFFIXES = (".yaml", ".yml")

_HUB = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")


def hub_files(files: Iterable[str], hub: str, paths: Mapping[str, Sequence[str]] | None = None) -> list[str]:
    """The YAML files of HUB among FILES (relative, with "/").

    PATHS names folders or files of hubs that are not in deployments/HUB (``deployment.paths`` of hubtool.yaml).
    Raises HubtoolError for an unknown hub, with those that exist, and for a path that leads outside.
    """
    if not _HUB.match(hub):
        raise HubtoolError(f"'{hub}' is not a hub's name", hint="letters, digits, '.', '_' and '-'")
    everything = sorted(files)
    places = [_inside(place, hub) for place in (paths or {}).get(hub, (f"{FOLDER}/{hub}",))]
    found = [file for file in everything if any(_is_below(file, place) for place in places)]
    if not found:
        raise _unknown(everything, hub, paths or {}, places)
    return [file for file in found if file.endswith(SUFFIXES)]


def hubs_of(files: Iterable[str], paths: Mapping[str, Sequence[str]] | None = None) -> list[str]:
    """The hubs there are: folders of deployments/, and those that PATHS names."""
    found = {parts[1] for parts in (file.split("/", 2) for file in files) if parts[0] == FOLDER and len(parts) > 2}
    return sorted(found | set(paths or {}))


def _is_below(file: str, place: str) -> bool:
    return place == "." or file == place or file.startswith(place + "/")


def _inside(place: str, hub: str) -> str:
    clean = posixpath.normpath(place)
    if clean.startswith(("/", "../")) or clean == "..":
        raise HubtoolError(
            f"'{place}' leads outside the deployment repository",
            where=Where("hubtool.yaml", key=f"deployment.paths.{hub}"),
        )
    return clean


def _unknown(files: Sequence[str], hub: str, paths: Mapping[str, Sequence[str]], places: Sequence[str]) -> HubtoolError:
    if hub in paths:
        return HubtoolError(
            f"nothing at {', '.join(places)} in the deployment repository",
            where=Where("hubtool.yaml", key=f"deployment.paths.{hub}"),
        )
    hubs = hubs_of(files)
    if not hubs:
        return HubtoolError(
            f"no hub '{hub}': the deployment repository has no folder '{FOLDER}'",
            hint=f"name the hub's folders in hubtool.yaml: deployment.paths.{hub}",
        )
    near = difflib.get_close_matches(hub, hubs, 1)
    question = f"; did you mean '{near[0]}'?" if near else ""
    return HubtoolError(f"no hub '{hub}'{question}", hint="hubs there: " + ", ".join(hubs))
