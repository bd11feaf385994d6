"""A deployment repository in a folder: its hubs and their pins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hubtool.errors import HubtoolError
from hubtool.pins import Pin, Skipped, Unreadable
from hubtool.pins.folder import list_folder, read_file, scan_folder
from hubtool.pins.hubs import Hubs, cluster_files, find_hubs
from hubtool.pins.inherit import inherit
from hubtool.pins.kinds import kind_of
from hubtool.pins.scan import Scan


class Tree:
    """The files below ROOT; PATHS are ``deployment.paths`` of hubtool.yaml."""

    def __init__(self, root: Path, paths: Mapping[str, Sequence[str]] | None = None) -> None:
        self.root = root
        self.paths = paths or {}
        self.files = list_folder(root)

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
            found = scan_folder(self.root, self.hubs(hub).files_of(hub))
            return replace(found, pins=tuple(inherit(found.pins)))
        found = scan_folder(self.root, [file for file in self.files if kind_of(file)])
        if not any(pin.form == "tag-only" for pin in found.pins):
            return found
        hubs, skipped = self._hubs_around()
        return replace(found, pins=inherited(hubs, found.pins), skipped=(*found.skipped, *skipped))

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


def inherited(hubs: Hubs, pins: Sequence[Pin]) -> tuple[Pin, ...]:
    """PINS of many hubs, where a tag that stands alone has the image that its hub says, where all its hubs agree."""
    by_file: dict[str, list[Pin]] = {}
    for pin in pins:
        by_file.setdefault(pin.file, []).append(pin)
    answers: dict[Pin, set[Pin]] = {}
    for hub in hubs.touched(pin.file for pin in pins if pin.form == "tag-only"):
        own = [pin for file in hubs.files_of(hub) for pin in by_file.get(file, ())]
        for before, after in zip(own, inherit(own), strict=True):
            answers.setdefault(before, set()).add(after)
    return tuple(next(iter(answers[pin])) if len(answers.get(pin, ())) == 1 else pin for pin in pins)


def _below_git(root: Path) -> str:
    """Where ROOT stands below the work tree that it is in: "deployments/data8/"; "" for its root and outside."""
    here = root.resolve()
    top = next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), here)
    return "" if top == here else here.relative_to(top).as_posix() + "/"
