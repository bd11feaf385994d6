"""Which groups of files go into which layer, so that a new release moves few bytes.

Pure and deterministic: equal groups and an equal previous layout give an equal layout, whatever their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote

MOST_LAYERS = 127  # of all layers of an image; overlayfs mounts no more
VERSION = "1"


@dataclass(frozen=True)
class Group:
    """Files that go together: a package's, those of a folder that are nobody's, or what changes with every build.

    ``depends`` are the keys of the groups that it needs.
    """

    key: str
    size: int
    volatile: bool = False
    depends: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    """Keys of groups, layer by layer, from the bottom up; each key is in one layer."""

    layers: tuple[tuple[str, ...], ...]

    def as_annotations(self) -> tuple[str, ...]:
        """A string a layer, for its descriptor in the manifest."""
        return tuple(" ".join([VERSION, *map(_quoted, keys)]) for keys in self.layers)

    @classmethod
    def from_annotations(cls, annotations: Iterable[str | None]) -> Layout | None:
        """The layout that as_annotations wrote; None if this is not one."""
        layers = []
        for text in annotations:
            version, *keys = (text or "").split(" ")
            if version != VERSION:
                return None
            layers.append(tuple(unquote(key, errors="surrogateescape") for key in keys))
        return cls(tuple(layers))


def _quoted(key: str) -> str:
    return quote(key, safe="/:+@~,=", errors="surrogateescape")


def lay_out(
    groups: Sequence[Group], previous: Layout | None = None, *, most: int = 64, least: int = 1_000_000
) -> Layout:
    """Put each of GROUPS into one of at most MOST layers."""
    volatile = tuple(sorted(group.key for group in groups if group.volatile))
    steady = sorted((group for group in groups if not group.volatile), key=lambda group: (-group.size, group.key))
    count = max(1, min(most, MOST_LAYERS) - 2)
    big, small = steady[:count], tuple(sorted(group.key for group in steady[count:]))
    return Layout((*((group.key,) for group in big), *filter(None, (small, volatile))))
