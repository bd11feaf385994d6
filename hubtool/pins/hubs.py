"""Which files of a deployment repository belong to a hub, in the order in which they are applied.

A hub is a folder of ``deployments/``, an entry of a 2i2c ``cluster.yaml``, a chart of ``charts/``, or what
``deployment.paths`` of hubtool.yaml says; that wins.
"""

from __future__ import annotations

import difflib
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from hubtool.console import printable
from hubtool.errors import HubtoolError, Where
from hubtool.pins.clusters import CLUSTER_FILE, cluster_of, inside, read_cluster
from hubtool.pins.formats.kinds import kind_of

FOLDER = "deployments"
CHARTS = "charts"
CHART_FILE = "Chart.yaml"
MAX_LISTED = 40

_CLUSTERS = re.compile(rf"config/clusters/[^/]+/{CLUSTER_FILE}\Z")
_HUB = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)?\Z")
# hubploy.yaml says how, common.yaml and values.yaml hold the defaults, secrets come last.
_ORDER = {"hubploy": 0, CHART_FILE.removesuffix(".yaml"): 0, "common": 1, "values": 1}
_LAST = 3


@dataclass(frozen=True)
class Hubs:
    """The hubs of a deployment repository: ``by_hub`` holds each one's files, later ones override.

    A hub of a cluster is called CLUSTER/HUB. ``paths`` are those of hubtool.yaml.
    """

    by_hub: Mapping[str, tuple[str, ...]]
    paths: Mapping[str, Sequence[str]]

    def name_of(self, hub: str) -> str:
        """HUB's full name: the cluster may be left out where only one has it.

        Raises HubtoolError for an unknown hub, with those that exist, and where several clusters have it.
        """
        if not _HUB.match(hub):
            raise HubtoolError(f"'{hub}' is not a hub's name", hint="letters, digits, '.', '_' and '-'")
        if hub in self.by_hub:
            return hub
        spellings = sorted(name for name in self.by_hub if name.endswith(f"/{hub}"))
        if len(spellings) > 1:
            raise HubtoolError(f"{len(spellings)} clusters have a hub '{hub}'", hint="name one: " + _listed(spellings))
        if not spellings:
            raise self._unknown(hub)
        return spellings[0]

    def files_of(self, hub: str) -> tuple[str, ...]:
        """The files of HUB that are read for pins, in the order in which they are applied; raises as ``name_of``."""
        name = self.name_of(hub)
        files = self.by_hub[name]
        if not files and name in self.paths:
            raise HubtoolError(
                f"nothing at {', '.join(self.paths[name])} in the deployment repository",
                where=Where("hubtool.yaml", key=f"deployment.paths.{name}"),
            )
        return files

    def touched(self, files: Iterable[str]) -> list[str]:
        """The hubs that use any of FILES."""
        return sorted({hub for file in files for hub in self._users.get(file, ())})

    def shared(self, hub: str) -> dict[str, list[str]]:
        """The files that HUB shares, and who else uses each."""
        name = self.name_of(hub)
        others = {file: sorted(set(self._users[file]) - {name}) for file in self.by_hub[name]}
        return {file: users for file, users in others.items() if users}

    @cached_property
    def _users(self) -> dict[str, list[str]]:
        users: dict[str, list[str]] = {}
        for hub, files in self.by_hub.items():
            for file in files:
                users.setdefault(file, []).append(hub)
        return users

    def _unknown(self, hub: str) -> HubtoolError:
        if not self.by_hub:
            return HubtoolError(
                f"no hub '{hub}': the deployment repository has no folder '{FOLDER}', no {CLUSTER_FILE} and no charts",
                hint=f"name the hub's folders in hubtool.yaml: deployment.paths.{hub}",
            )
        hubs = sorted(self.by_hub)
        near = difflib.get_close_matches(hub, [*hubs, *(name.rpartition("/")[2] for name in hubs)], 1)
        question = f"; did you mean '{near[0]}'?" if near else ""
        return HubtoolError(f"no hub '{hub}'{question}", hint="hubs there: " + _listed(hubs))


def cluster_files(files: Iterable[str], hub: str | None = None) -> list[str]:
    """The files that say which hubs a cluster has: find_hubs wants their bytes.

    Those that HUB needs, where it is given: its cluster's for CLUSTER/HUB, none for a folder of its own.
    """
    everything = list(files)
    found = sorted(file for file in everything if cluster_of(file))
    # The layout of 2i2c, where it is there; in others, cluster.yaml may be the name of something else.
    found = [file for file in found if _CLUSTERS.match(file)] or found
    if hub is None or not found:
        return found
    if "/" in hub:
        return [file for file in found if cluster_of(file) == hub.partition("/")[0]]
    own = f"{FOLDER}/{hub}/"
    return [] if any(file.startswith(own) for file in everything) else found


def find_hubs(
    files: Iterable[str], clusters: Mapping[str, bytes], paths: Mapping[str, Sequence[str]] | None = None
) -> Hubs:
    """The hubs of a repository with FILES (relative, with "/").

    CLUSTERS holds the bytes of cluster_files; PATHS the folders or files of hubs that stand elsewhere. Raises
    HubtoolError for a cluster.yaml that can't be read, and for a path that leads outside.
    """
    everything = sorted(files)
    known = [file for file in everything if kind_of(file) is not None]
    by_hub = _charts(known) | _clusters(clusters, set(known)) | _folders(everything)
    by_hub |= {hub: _at_places(known, hub, places) for hub, places in (paths or {}).items()}
    return Hubs(by_hub, dict(paths or {}))


def _folders(files: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Hubs by folder of deployments/, with and without files that are read."""
    found: dict[str, list[str]] = {}
    for file in files:
        parts = file.split("/", 2)
        if parts[0] == FOLDER and len(parts) > 2:
            found.setdefault(parts[1], []).extend([file] if kind_of(file) else [])
    return {hub: _in_order(own) for hub, own in found.items()}


def _charts(files: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Onyxia's catalogues: a chart is a hub. What stands in its own ``charts`` are copies of others."""
    found: dict[str, list[str]] = {}
    for file in files:
        parts = file.split("/", 2)
        if parts[0] == CHARTS and len(parts) > 2 and not parts[2].startswith(f"{CHARTS}/"):
            found.setdefault(parts[1], []).append(file)
    return {name: _in_order(own) for name, own in found.items() if f"{CHARTS}/{name}/{CHART_FILE}" in own}


def _clusters(clusters: Mapping[str, bytes], known: set[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for file, data in clusters.items():
        for hub, own in read_cluster(data, file, strict=bool(_CLUSTERS.match(file))).items():
            name = f"{cluster_of(file)}/{hub}"
            if name in found:
                raise HubtoolError(f"the hub '{name}' is in another {CLUSTER_FILE} too", where=Where(file))
            found[name] = tuple(file for file in dict.fromkeys(own) if file in known)
    return found


def _at_places(files: Sequence[str], hub: str, places: Sequence[str]) -> tuple[str, ...]:
    where = Where("hubtool.yaml", key=f"deployment.paths.{hub}")
    found: dict[str, None] = {}
    for place in places:
        clean = inside(".", place, where)
        found |= dict.fromkeys(_in_order([file for file in files if _is_below(file, clean)]))
    return tuple(found)


def _in_order(files: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(files, key=lambda file: (_rank(file), file)))


def _rank(file: str) -> int:
    folder, _, name = file.rpartition("/")
    return _LAST if posixpath.basename(folder) == "secrets" else _ORDER.get(name.partition(".")[0], _LAST - 1)


def _is_below(file: str, place: str) -> bool:
    return place == "." or file == place or file.startswith(place + "/")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return ", ".join(map(printable, names[:MAX_LISTED])) + more
