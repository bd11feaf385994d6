"""A deployment repository in a folder: its hubs and their pins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from hubtool.errors import HubtoolError
from hubtool.pins import Pin, Skipped, Unreadable
from hubtool.pins.charts import Policy, with_versions
from hubtool.pins.finders.app_versions import app_version_pins, chart_images
from hubtool.pins.finders.candidates import Name
from hubtool.pins.folder import list_folder, read_file, scan_folder
from hubtool.pins.formats.kinds import kind_of
from hubtool.pins.hubs import Hubs, cluster_files, find_hubs
from hubtool.pins.inherit import inherit
from hubtool.pins.scan import Change, Scan, merged, move

_InFile = TypeVar("_InFile", Pin, Name)


class Tree:
    """The files below ROOT. PATHS, CHARTS and CHART_VERSION are those of hubtool.yaml's ``deployment``."""

    def __init__(
        self,
        root: Path,
        paths: Mapping[str, Sequence[str]] | None = None,
        charts: Mapping[str, str] | None = None,
        chart_version: Policy = "auto",
    ) -> None:
        self.root = root
        self.paths = paths or {}
        self.files = list_folder(root)
        self.charts = chart_images(charts or {}, self.files)
        self.chart_version = chart_version

    def read(self, file: str) -> bytes:
        """The bytes of one file; raises HubtoolError where it can't be read."""
        try:
            return read_file(self.root, file)
        except Unreadable as reason:
            raise HubtoolError(f"{self.root / file} {reason}") from reason

    def hubs(self, hub: str | None = None) -> Hubs:
        """The hubs below ROOT, those that HUB needs where it is given."""
        clusters = {file: self.read(file) for file in cluster_files(self.files, hub)}
        return find_hubs(self.files, clusters, self.paths)

    def scan(self, hub: str | None = None) -> Scan:
        """The pins of HUB, or of everything; a tag that stands alone has the image that its hub says.

        Raises HubtoolError for an unknown hub, and for a cluster.yaml that HUB needs and that can't be read.
        """
        if hub is not None:
            found = self._scan_files(self.hubs(hub).files_of(hub))
            return replace(found, pins=tuple(inherit(found.pins, found.names)))
        found = self._scan_files([file for file in self.files if kind_of(file)])
        if not any(pin.form == "tag-only" for pin in found.pins):
            return found
        hubs, skipped = self._hubs_around()
        return inherited(hubs, replace(found, skipped=(*found.skipped, *skipped)))

    def move(
        self, found: Scan, pins: Sequence[Pin], tag: str, digest: str | None, *, pin_digest: bool = False
    ) -> list[Change]:
        """The changes that bring PINS of FOUND to TAG, and those to the versions of charts. Nothing is written.

        Raises HubtoolError where one can't be proven.
        """
        changes = move(found.files, pins, tag, digest, pin_digest=pin_digest)
        return with_versions(changes, self.files, self.read, self.chart_version)

    def _scan_files(self, files: Sequence[str]) -> Scan:
        """The pins of FILES, and the tags that charts' appVersions are."""
        found = scan_folder(self.root, files)
        skipped = {one.file for one in found.skipped}
        charts = {file: self.read(file) for file in self.charts if file in files and file not in skipped}
        pins = [pin for file, data in charts.items() for pin in app_version_pins(data, file, self.charts[file])]
        return merged([found, Scan(tuple(pins), (), charts)])

    def _hubs_around(self) -> tuple[Hubs, tuple[Skipped, ...]]:
        """The hubs that the files belong to, also where ROOT is a folder of a repository that has them; and what
        can't be read of them."""
        try:
            hubs = self.hubs()
        except HubtoolError as error:
            where = str(error.where.file) if error.where else str(self.root)
            return find_hubs(self.files, {}, self.paths), (Skipped(where, error.message),)
        prefix = "" if hubs.by_hub else _below_git(self.root)
        if prefix:
            hubs = find_hubs([prefix + file for file in self.files], {}, {})
            by_hub = {hub: tuple(file.removeprefix(prefix) for file in files) for hub, files in hubs.by_hub.items()}
            hubs = replace(hubs, by_hub=by_hub)
        return hubs, ()


def inherited(hubs: Hubs, found: Scan) -> Scan:
    """FOUND in many hubs, where a tag that stands alone has the image that its hub says, where all its hubs agree."""
    alone = {pin.file for pin in found.pins if pin.form == "tag-only"}
    pins, names = _by_file(found.pins), _by_file(found.names)
    answers: dict[Pin, set[Pin]] = {}
    for hub in hubs.touched(alone):
        files = hubs.files_of(hub)
        own = [pin for file in files for pin in pins.get(file, ())]
        filled = inherit(own, [name for file in files for name in names.get(file, ())])
        for before, after in zip(own, filled, strict=True):
            answers.setdefault(before, set()).add(after)
    return replace(found, pins=tuple(_agreed(pin, answers.get(pin, set())) for pin in found.pins))


def _agreed(pin: Pin, answers: set[Pin]) -> Pin:
    return next(iter(answers)) if len(answers) == 1 else pin


def _by_file(things: Iterable[_InFile]) -> dict[str, list[_InFile]]:
    grouped: dict[str, list[_InFile]] = {}
    for thing in things:
        grouped.setdefault(thing.file, []).append(thing)
    return grouped


def _below_git(root: Path) -> str:
    """Where ROOT stands below the work tree that it is in: "deployments/data8/"; "" for its root and outside."""
    here = root.resolve()
    top = next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), here)
    return "" if top == here else here.relative_to(top).as_posix() + "/"
