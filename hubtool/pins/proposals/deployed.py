"""A branch of the deployment repository by its hubs: their files and pins, read no more than is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from hubtool.config import Deployment
from hubtool.forges import Branch
from hubtool.pins import Pin
from hubtool.pins.charts import with_versions
from hubtool.pins.edit import Move
from hubtool.pins.finders.app_versions import app_version_pins, chart_images
from hubtool.pins.hubs import Hubs, cluster_files, find_hubs
from hubtool.pins.scan import Change, Scan, merged, moved, scan
from hubtool.pins.tree import inherited


class Deployed:
    """BRANCH as DEPLOYMENT (hubtool.yaml's) describes it."""

    def __init__(self, branch: Branch, deployment: Deployment) -> None:
        self.branch = branch
        self.deployment = deployment
        self.files = {file.path: file for file in branch.files()}
        self._charts = chart_images(deployment.charts, self.files)
        self._bytes: dict[str, bytes] = {}
        self._hubs: dict[frozenset[str], Hubs] = {}
        self._scans: dict[str, Scan] = {}

    def hubs(self, wanted: Sequence[str] | None = None) -> Hubs:
        """The hubs as far as WANTED need, all where None; raises HubtoolError for a cluster.yaml that can't be read."""
        names = [None] if wanted is None else wanted
        clusters = frozenset(file for hub in names for file in cluster_files(self.files, hub))
        if clusters not in self._hubs:
            self._hubs[clusters] = find_hubs(self.files, self.read(sorted(clusters)), self.deployment.paths)
        return self._hubs[clusters]

    def names_of(self, hubs: Sequence[str]) -> list[str]:
        """The full names of HUBS (CLUSTER/HUB for a cluster's); raises HubtoolError for an unknown one."""
        model = self.hubs(hubs)
        return [model.name_of(hub) for hub in hubs]

    def read(self, names: Iterable[str]) -> dict[str, bytes]:
        """The bytes of files of the branch; what was read once is not fetched again."""
        wanted = list(dict.fromkeys(names))
        missing = [self.files[name] for name in wanted if name not in self._bytes]
        self._bytes.update(self.branch.read(missing) if missing else ())
        return {name: self._bytes[name] for name in wanted}

    def scan(self, hubs: Sequence[str]) -> Scan:
        """The pins of HUBS, each file once; a tag that stands alone has the image that its hub says.

        Raises HubtoolError for an unknown hub.
        """
        model = self.hubs(hubs)
        own = Hubs({hub: model.files_of(hub) for hub in hubs}, {})
        names = sorted({name for files in own.by_hub.values() for name in files})
        self.read(names)
        return inherited(own, merged([self._scan_file(name) for name in names]))

    def every_hub(self) -> dict[str, tuple[Pin, ...]]:
        """The pins of all hubs there are."""
        names = list(self.hubs().by_hub)
        self.scan(names)
        return {name: self.scan([name]).pins for name in names}

    def move(self, found: Scan, moves: Sequence[Move], *, pin_digest: bool = False) -> list[Change]:
        """The changes that MOVES make to pins of FOUND, and to the versions of charts."""
        changes = moved(found.files, moves, pin_digest=pin_digest)
        return with_versions(changes, self.files, lambda name: self.read([name])[name], self.deployment.chart_version)

    def _scan_file(self, name: str) -> Scan:
        if name not in self._scans:
            data = self._bytes[name]
            found = scan([(name, data)])
            if name in self._charts and not found.skipped:
                pins = (*found.pins, *app_version_pins(data, name, self._charts[name]))
                found = replace(found, pins=pins, files={name: data})
            self._scans[name] = found
        return self._scans[name]
