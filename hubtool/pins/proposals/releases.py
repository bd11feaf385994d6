"""What a bump asks of registries: is the tag there, for the platform that the hubs run on?"""

from __future__ import annotations

from collections.abc import Sequence

from hubtool.config import Deployment
from hubtool.errors import HubtoolError
from hubtool.image.changes import compare, pull_of
from hubtool.image.inventory import MAX_SBOM, MEDIA_TYPE, Inventory, read_fullest
from hubtool.pins.proposals.packages import Comparison
from hubtool.reference import ImageReference
from hubtool.registries import Release, find_release, open_client
from hubtool.registries.release import read_attached

# What hubs run on where neither hubtool.yaml nor the image that is live says.
PLATFORM = "linux/amd64"


class Releases:
    """Releases in registries, each asked for once."""

    def __init__(self, deployment: Deployment) -> None:
        self.platform = deployment.platform
        self._known: dict[ImageReference, Release | None] = {}
        self._inventories: dict[ImageReference, Inventory | None] = {}

    def find(self, wanted: ImageReference, old_tags: Sequence[str]) -> tuple[Release, Release | None]:
        """The release of WANTED (with a tag), and that of its one old tag, where the registry still tells.

        Raises HubtoolError where it is not there, or not for the platform that the hubs run on.
        """
        release = self._look_up(wanted)
        if release is None:
            raise HubtoolError(
                f"{wanted} is not in the registry",
                hint="push it first (hubtool push), or name a tag that is there with --tag",
            )
        old = release if list(old_tags) == [wanted.tag] else self._old(wanted, old_tags)
        self._check_platform(wanted, release, old)
        return release, old

    def compare(self, old: Release, new: Release) -> Comparison:
        """What NEW brings beside OLD, as far as what is attached to both tells."""
        pull = pull_of(_travelling(old), _travelling(new)) if old.layers and new.layers else None
        before, after = self._inventory(old), self._inventory(new)
        return Comparison(compare(before, after) if before and after else None, pull)

    def _inventory(self, release: Release) -> Inventory | None:
        if release.reference not in self._inventories:
            self._inventories[release.reference] = _read_inventory(release)
        return self._inventories[release.reference]

    def is_there(self, wanted: ImageReference) -> bool:
        return self._look_up(wanted) is not None

    def _look_up(self, wanted: ImageReference) -> Release | None:
        if wanted not in self._known:
            self._known[wanted] = find_release(wanted)
        return self._known[wanted]

    def _old(self, wanted: ImageReference, old_tags: Sequence[str]) -> Release | None:
        """None where the registry does not hold it any more or won't say."""
        if len(old_tags) != 1 or not old_tags[0]:
            return None
        try:
            return self._look_up(wanted.with_tag(old_tags[0]))
        except HubtoolError:
            return None

    def _check_platform(self, wanted: ImageReference, release: Release, old: Release | None) -> None:
        live = old.platforms if old else (PLATFORM,)
        needed = [self.platform] if self.platform else [PLATFORM] if PLATFORM in live else live
        missing = [one for one in needed if not any(_runs_on(has, one) for has in release.platforms)]
        if missing:
            raise HubtoolError(
                f"{wanted} is made for {', '.join(release.platforms)}; the hubs run on {', '.join(needed)}",
                hint="build it for that platform, or say what the nodes have in hubtool.yaml: "
                "deployment: {platform: linux/arm64}",
            )


def _travelling(release: Release) -> dict[str, int]:
    return {layer.digest: layer.size for layer in release.layers}


def _read_inventory(release: Release) -> Inventory | None:
    """None where nothing readable is attached: a bump is not worth failing for that."""
    try:
        with open_client(release.reference) as client:
            found = read_attached(client, release, MEDIA_TYPE, MAX_SBOM)
        return read_fullest(found, lambda why: None)
    except HubtoolError:
        return None


def _runs_on(has: str, needed: str) -> bool:
    """linux/arm64/v8 runs where linux/arm64 is wanted, and the other way round."""
    return has == needed or has.startswith(needed + "/") or needed.startswith(has + "/")
