"""Which tags of a repository are one variant's, whenever it was released: those that differ in day, commit and version
alone."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from hubtool.config import Config
from hubtool.plan.graph import make_graph
from hubtool.reference import ImageReference

# What stands in a pattern's places, and what it looks like in a tag.
_PLACES = {
    "0DAY0": r"[0-9]{4}\.[0-9]{2}\.[0-9]{2}",
    "0COMMIT0": r"[0-9a-f]{12}",
    "0SHORT0": r"[0-9a-f]{7}",
    "0VERSION0": r"[A-Za-z0-9_][A-Za-z0-9._-]*",
}
_AGAIN = r"(?:-dirty)?(?:-[0-9]{8}(?:-[0-9]+)?)?"  # what else hubtool itself puts behind a tag
_DEFAULT = {"commit": "0COMMIT0", "date": "0DAY0-0SHORT0"}


_Tag = tuple[re.Pattern[str], int, str]


@dataclass(frozen=True)
class Kin:
    """``tags`` has for each repository of several variants what their tags look like, with how many letters of it are
    always the same, and whose they are; variants that differ in their platform alone are one here."""

    tags: dict[ImageReference, list[_Tag]]

    def same(self, image: ImageReference, tag: str) -> bool:
        """Whether TAG is of the same variant as IMAGE's tag. All are in a repository that is one variant's."""
        here = next((tags for other, tags in self.tags.items() if other.same_repository(image)), [])
        mine = _whose(here, image.tag or "")
        return not here or (mine is not None and mine == _whose(here, tag))


def _whose(tags: list[_Tag], tag: str) -> str | None:
    """The variant that TAG is of: where it looks like several's, that which says most of it."""
    found = [(letters, variant) for pattern, letters, variant in tags if pattern.fullmatch(tag)]
    return max(found)[1] if found else None


def find_kin(config: Config, file: Path) -> Kin:
    """The tags of all that CONFIG, read from FILE, declares."""
    version = {"version": "0VERSION0"}
    images = {name: one.model_copy(update=version if one.version else {}) for name, one in config.images.items()}
    words = {"date": "0DAY0", "commit": "0COMMIT0"}
    graph = make_graph(config.model_copy(update={"images": images}), file, words, [_DEFAULT[config.tag]])
    tags: dict[ImageReference, list[_Tag]] = defaultdict(list)
    for node in graph.nodes.values():
        tags[node.repository] += [(*_pattern(node.joined.get(tag, tag)), node.whole) for tag in node.tags]
    several = {one for one in tags if len({variant for _, _, variant in tags[one]}) > 1}
    return Kin({repository: tags[repository] for repository in several})


def _pattern(tag: str) -> tuple[re.Pattern[str], int]:
    parts = re.split(f"({'|'.join(_PLACES)})", tag)
    return re.compile("".join(_PLACES.get(part, re.escape(part)) for part in parts) + _AGAIN), sum(
        len(part) for part in parts if part not in _PLACES
    )
