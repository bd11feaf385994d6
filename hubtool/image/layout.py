"""Which groups of files go into which layer, so that a release moves few bytes.

Pure and deterministic: equal groups and an equal previous layout give an equal layout, whatever their order.

A fresh layout puts the largest groups alone and the rest into bins. A bin with too much burden (bytes times changes:
each group that changes moves all the bytes) is halved along a path that every group has by itself: what it is of
(dpkg, a conda prefix), its size, then hashes of its family (aws-c-cal: aws) and key. So images that share groups
share layers without knowing of each other, and one group more or less disturbs one bin.

With the previous release's layout every group stays where it is, and new ones go where they add least.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import quote, unquote

MOST_LAYERS = 127  # of all layers of an image; overlayfs mounts no more
ALONE = 0.4  # share of the layers that hold one large group each; see benchmarks/layout.py for these figures
SPARE = 20  # one layer in so many is left by a fresh layout, for large groups to come
OFTEN = 4  # times as often as a package, what is nobody's changes; a distribution's package so many times less
CHANGING = 1 / 40  # of the groups, from one release to the next
RELEASES = 26  # in which a fresh layout must earn what moving to it costs
IMBALANCE = 1.5  # times a fresh layout's bytes a release, from which on one is thought of

VERSION = "1"  # of the annotations
# Below all other folders is what a team's repository and its builder put into an image: it is new with every release.
_DISTRIBUTIONS = re.compile(
    r"dir:(?:(?:bin|boot|dev|etc|lib\w*|media|mnt|proc|run|sbin|sys|tmp|usr(?!/local)|var)(?:/|\Z)|\Z)"
)
LONGEST = 400_000  # characters of all annotations of an image; registries refuse manifests above 1 to 4 MB

SIZE_BITS, FAMILY_BITS, KEY_BITS = 5, 16, 64


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
        """A string a layer, for its descriptor in the manifest; empty ones if they would be too long together."""
        texts = tuple(" ".join([VERSION, *map(_quoted, keys)]) for keys in self.layers)
        return texts if sum(map(len, texts)) <= LONGEST else ("",) * len(texts)

    @classmethod
    def from_annotations(cls, annotations: Iterable[str | None]) -> Layout | None:
        """The layout that as_annotations wrote; None if this is not one."""
        try:
            layers = tuple(tuple(_keys(text or "")) for text in annotations)
        except ValueError:
            return None
        keys = [key for layer in layers for key in layer]
        return cls(layers) if keys and all(keys) and len(set(keys)) == len(keys) else None


def _quoted(key: str) -> str:
    return quote(key, safe="/:+@~,=", errors="surrogatepass")  # names of files may be any bytes


def _keys(annotation: str) -> Iterator[str]:
    version, *keys = annotation.split(" ")
    if version != VERSION:
        raise ValueError
    for key in keys:
        yield unquote(key, errors="surrogatepass")


def lay_out(
    groups: Sequence[Group], previous: Layout | None = None, *, most: int = 64, least: int = 1_000_000
) -> Layout:
    """Put each of GROUPS into one of at most MOST layers, from the stable ones up; on top what is new with every
    release, and the volatile.

    A fresh layout makes at most one layer, beside those two, of fewer bytes than LEAST. With PREVIOUS, a group
    stays in its layer, in its place; a new one changes at most one layer that was there. That holds unless most of
    the bytes are new, or PREVIOUS has more layers than it may, or a fresh layout moves so much less from release to
    release (by IMBALANCE) that it soon earns the bytes that it moves now (in RELEASES).
    """
    levels: tuple[list[Group], ...] = ([], [], [])
    for group in sorted(groups, key=lambda group: group.key):
        levels[2 if group.volatile else _is_new_every_time(group, least)].append(group)
    steady, *above = levels
    top = [tuple(group.key for group in level) for level in above if level]
    count = min(most, MOST_LAYERS) - len(top)
    if count < 1:
        return Layout((tuple(sorted(group.key for group in groups)),) if groups else ())
    bins = _fresh(steady, count, least)
    kept = _kept(steady, previous, count, bins) if previous is not None else None
    if kept is not None and not _pays(bins, kept):
        bins = kept
    layers = [tuple(sorted(group.key for group in each.groups)) for each in bins]
    return Layout((*layers, *top))


def _is_new_every_time(group: Group, least: int) -> bool:
    small = group.key.startswith("dir:") and group.size < least
    return small and not _DISTRIBUTIONS.match(group.key)


class _Bin:
    """A layer in the making."""

    def __init__(self, groups: Iterable[Group], least: int) -> None:
        self.groups: list[Group] = []
        self.least = least
        self.size, self.weight = 0, 0.0
        self.new = False  # holds something that the previous release had not, here
        for group in groups:
            self.add(group)

    def add(self, group: Group) -> None:
        self.groups.append(group)
        self.size += group.size
        self.weight += _changes(group)

    @property
    def single(self) -> bool:
        return len(self.groups) == 1 and self.size >= self.least

    @property
    def keys(self) -> frozenset[str]:
        return frozenset(group.key for group in self.groups)

    def burden(self, more: Group | None = None) -> float:
        """What stands for the bytes that its changes will move; with one group more."""
        if more is None:
            return self.size * self.weight if len(self.groups) > 1 else 0
        return (self.size + more.size) * (self.weight + _changes(more))

    def expected(self) -> float:
        """The bytes that a release moves, on average."""
        return self.size * (1 - math.pow(1 - CHANGING, self.weight))


# ---- a fresh layout


def _fresh(steady: Sequence[Group], count: int, least: int) -> list[_Bin]:
    """STEADY in at most COUNT bins, regardless of any previous release; the stable ones first."""
    wanted = count - count // SPARE
    by_size = sorted(steady, key=lambda group: (-group.size, group.key))
    alone = [group for group in by_size[: int(ALONE * wanted)] if group.size >= least]
    rest = sorted(by_size[len(alone) :], key=lambda group: group.key)
    paths = {group.key: _path(group) for group in rest}
    low, high = 0, 4 * 64  # quarters of powers of two: images that differ little find the same
    while low < high:
        middle = (low + high) // 2
        fits = len(_split_all(rest, paths, 2 ** (middle / 4), least)) <= wanted - len(alone)
        low, high = (low, middle) if fits else (middle + 1, high)
    bins = [_Bin([group], least) for group in alone] + _split_all(rest, paths, 2 ** (low / 4), least)
    return sorted(bins, key=_stability)


def _split_all(groups: Sequence[Group], paths: _Paths, limit: float, least: int) -> list[_Bin]:
    bins, crumbs = _split(_Bin(groups, least), paths, 0, limit)
    return [*bins, crumbs] if crumbs.groups else bins


def _split(whole: _Bin, paths: _Paths, depth: int, limit: float) -> tuple[list[_Bin], _Bin]:
    """WHOLE in bins of a burden up to LIMIT, and the crumbs: what would be a bin of less than the least size."""
    parts: dict[object, _Bin] = {0: whole}
    while len(parts) < 2:
        if whole.burden() <= limit or depth == _DEPTH:
            return _bins_and_crumbs([], whole)
        parts = {}
        for group in whole.groups:
            parts.setdefault(paths[group.key][depth], _Bin((), whole.least)).add(group)
        depth += 1
    split = [_split(part, paths, depth, limit) for part in parts.values()]
    crumbs = _Bin((group for _, rest in split for group in rest.groups), whole.least)
    return _bins_and_crumbs([each for bins, _ in split for each in bins], crumbs)


def _bins_and_crumbs(bins: list[_Bin], crumbs: _Bin) -> tuple[list[_Bin], _Bin]:
    enough = crumbs.groups and crumbs.size >= crumbs.least
    return ([*bins, crumbs], _Bin((), crumbs.least)) if enough else (bins, crumbs)


_Paths = Mapping[str, Sequence[object]]
_DEPTH = 1 + SIZE_BITS + FAMILY_BITS + KEY_BITS


def _path(group: Group) -> tuple[object, ...]:
    """The turns that lead to GROUP; they are its own, whatever else is in the image."""
    home = _home(group)
    family = re.split(r"[-_.]", group.key.rpartition(":")[2])[0]
    octave = min(group.size.bit_length(), 2**SIZE_BITS - 1)
    return (
        home,
        *_bits(octave, SIZE_BITS),
        *_bits(_hash(f"{home}:{family}", FAMILY_BITS), FAMILY_BITS),
        *_bits(_hash(group.key, KEY_BITS), KEY_BITS),
    )


def _home(group: Group) -> str:
    """Ecosystem and place, "conda:srv/conda"; one for all that is nobody's."""
    ecosystem = group.key.partition(":")[0]
    return "" if ecosystem in ("dir", "file") else group.key.rpartition(":")[0]


def _hash(text: str, bits: int) -> int:
    return int.from_bytes(sha256(text.encode(errors="surrogatepass")).digest()[: bits // 8], "big")


def _bits(number: int, count: int) -> Iterator[int]:
    return (number >> place & 1 for place in reversed(range(count)))


def _stability(each: _Bin) -> tuple[float, str]:
    """Sorts stable layers first: dockerd fetches and extracts all above a changed one again.

    The sum of what moves is least if layers are sorted by their bytes over how often they change.
    """
    return -each.size / each.weight, min(each.keys)


def _changes(group: Group) -> float:
    """How often GROUP changes, beside others: a distribution's packages seldom, what is nobody's often."""
    home = _home(group)
    return 1 / OFTEN if home == "dpkg:" else OFTEN if home == "" else 1


# ---- the layout of the previous release


def _kept(steady: Sequence[Group], previous: Layout, count: int, fresh: Sequence[_Bin]) -> list[_Bin] | None:
    """PREVIOUS with the groups of now; None if it does not serve: too many layers, or most bytes are new."""
    left = {group.key: group for group in steady}
    least = fresh[0].least if fresh else 0
    inside = ([left.pop(key) for key in keys if key in left] for keys in previous.layers)
    bins = [_Bin(groups, least) for groups in inside if groups]
    if len(bins) > count or sum(each.size for each in bins) < sum(group.size for group in left.values()):
        return None
    limit = max((each.burden() for each in fresh), default=0)
    for group in sorted(left.values(), key=lambda group: (-group.size, group.key)):
        _place(group, bins, count, limit, least)
    return bins


def _place(group: Group, bins: list[_Bin], count: int, limit: float, least: int) -> None:
    """Add GROUP to the bin where it costs least, or alone on top if it is large and there are layers left."""
    shared = [each for each in bins if not each.single]
    best = min(shared, key=lambda each: _cost(group, each), default=None)
    if best is None or best.burden(group) > limit:
        if len(bins) == count:
            best = min(bins, key=lambda each: _cost(group, each))
        elif best is None or group.size >= least:
            best = _Bin((), least)
            bins.append(best)
    best.add(group)
    best.new = True


def _cost(group: Group, each: _Bin) -> tuple[bool, float, str]:
    """Like to like first; then what GROUP adds to later releases, and to this one."""
    now = 0 if each.new else each.size
    return _home(group) != _home(each.groups[0]), each.burden(group) - each.burden() + now, each.groups[0].key


def _pays(fresh: Sequence[_Bin], kept: Sequence[_Bin]) -> bool:
    """Whether to leave KEPT for FRESH."""
    before, after = (sum(each.expected() for each in bins) for bins in (kept, fresh))
    there = {each.keys for each in kept if not each.new}
    moved, moved_anyhow = (sum(each.size for each in bins if each.keys not in there) for bins in (fresh, kept))
    return before > IMBALANCE * after and (before - after) * RELEASES > moved - moved_anyhow
