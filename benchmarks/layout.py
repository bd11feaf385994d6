"""Layouts beside each other, simulated: `python benchmarks/layout.py [--images N] [--weeks N] [--packages N]`.

Images of 400 packages in sizes like a scientific stack's (log-normal, median 0.35 MB, as Debian's and PyPI's are; the
largest 700 MB), of a distribution, a common core, and applications: a package with those that come only with it. In a
year 1 to 20 packages change each week, the distribution's a quarter as often as others, and an application comes and
a package goes each month. Bytes are those of files, not compressed; what changes with every build is apart, but in
one layer for all.

(a) One package of at least 1 MB changes: what moves. Wanted: at most 1.25 times its size + 1 MB, on average.
(b) A sibling hub with a fifth of the packages others, by applications or any: what of it moves to where the first is.
    Wanted: 30 %. No layout moves less than what is not shared.
(c) A week's changes: what moves to a node that keeps layers by digest (containerd, CRI-O), or by chain (dockerd).

Beside ours: all in one layer; the largest each alone and the rest in one (nixpkgs); the outliers in size alone and
the rest in bins by FNV hash modulo their number (chunkah, with nothing known of stability).
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from hubtool.image.layout import Group, Layout, lay_out

MB = 1_000_000
MEDIAN, SIGMA, LARGEST = 350_000, 2.2, 700 * MB
CONDA, PYPI = "conda:srv/conda", "pypi:srv/conda/lib/python3.12/site-packages"
LOG = Group("volatile", 400_000, volatile=True)

Image = dict[str, Group]
Layouter = Callable[[Sequence[Group], Layout | None], Layout]


# ---- images


def package(random: random.Random, place: str, name: str = "") -> Group:
    size = min(LARGEST, int(random.lognormvariate(math.log(MEDIAN), SIGMA)))
    return Group(f"{place}:{name or 'p'}-{random.getrandbits(40):x}", size)


def application(random: random.Random) -> list[Group]:
    """A package and those that only it needs; two of five have them named alike."""
    place = CONDA if random.random() < 0.8 else PYPI
    name = f"{random.getrandbits(32):x}"
    alike = random.random() < 0.4
    count = 1 + min(12, int(random.expovariate(0.4)))
    return [package(random, place, name if alike else f"{name}{number}x") for number in range(count)]


def by_key(groups: Iterable[Group]) -> Image:
    return {group.key: group for group in groups}


def make_image(random: random.Random, packages: int) -> tuple[Image, list[list[Group]]]:
    """An image, and the applications in it."""
    groups = [package(random, "dpkg:") for _ in range(packages * 3 // 8)]
    groups += [package(random, CONDA) for _ in range(packages // 5)]
    applications = []
    while len(groups) < packages:
        applications.append(application(random))
        groups += applications[-1]
    groups += [Group(f"dir:home/{number}", 100_000) for number in range(8)]
    return by_key([*groups, LOG]), applications


def sibling(random: random.Random, image: Image, applications: Sequence[Sequence[Group]]) -> Image:
    """IMAGE with other applications, until a fifth of its packages is others."""
    gone: list[Group] = []
    for each in random.sample(applications, len(applications)):
        gone += each if len(gone) < len(image) / 5 else []
    come: list[Group] = []
    while len(come) < len(gone):
        come += application(random)
    left = image.keys() - by_key(gone).keys()
    return by_key([*(image[key] for key in sorted(left)), *come])


def stranger(random: random.Random, image: Image) -> Image:
    """IMAGE with any fifth of its packages others."""
    gone = set(random.sample(sorted(image.keys() - {LOG.key}), len(image) // 5))
    return by_key(
        package(random, key.rpartition(":")[0]) if key in gone else group for key, group in sorted(image.items())
    )


# ---- layouts


def one_layer(groups: Sequence[Group], previous: Layout | None) -> Layout:
    return Layout((tuple(group.key for group in groups),))


def largest_alone(groups: Sequence[Group], previous: Layout | None, most: int = 64) -> Layout:
    order = sorted((group for group in groups if not group.volatile), key=lambda group: (-group.size, group.key))
    keys = [group.key for group in order]
    return Layout((*((key,) for key in keys[: most - 2]), tuple(keys[most - 2 :]), (LOG.key,)))


def hashed(groups: Sequence[Group], previous: Layout | None, most: int = 64) -> Layout:
    steady = [group for group in groups if not group.volatile]
    median = statistics.median(group.size for group in steady)
    outlier = median + 1.5 * statistics.median(abs(group.size - median) for group in steady)
    order = sorted(steady, key=lambda group: (-group.size, group.key))
    alone = [(group.key,) for group in order[: int(0.8 * (most - 2))] if group.size >= outlier]
    bins: list[list[str]] = [[] for _ in range(most - 1 - len(alone))]
    for group in order[len(alone) :]:
        bins[fnv(group.key) % len(bins)].append(group.key)
    return Layout((*alone, *map(tuple, filter(None, bins)), (LOG.key,)))


def fnv(text: str) -> int:
    number = 0xCBF29CE484222325
    for byte in text.encode():
        number = (number ^ byte) * 0x100000001B3 % 2**64
    return number


def ours(most: int) -> Layouter:
    return lambda groups, previous: lay_out(groups, previous, most=most)


LAYOUTS: Mapping[str, Layouter] = {
    "one layer": one_layer,
    "largest alone, 64": largest_alone,
    "FNV modulo, 64": hashed,
    "hubtool, 64": ours(64),
    "hubtool, 64, no previous": lambda groups, previous: lay_out(groups),
    "hubtool, 100": ours(100),
    "hubtool, 127": ours(127),
}


# ---- what moves

Layers = list[tuple[frozenset[tuple[Group, int]], int]]  # what decides a layer's bytes, and their number


class Release:
    """An image as it was laid out and published; ``builds`` tell a package's builds apart."""

    def __init__(self, lay: Layouter, image: Image, builds: Mapping[str, int], previous: Release | None = None) -> None:
        self.layout: Layout = lay(list(image.values()), previous.layout if previous else None)
        self.layers: Layers = [
            (frozenset((image[key], builds.get(key, 0)) for key in keys), sum(image[key].size for key in keys))
            for keys in self.layout.layers
        ]
        self.size = sum(size for _, size in self.layers)

    def moved(self, old: Release) -> int:
        """The bytes that one who has OLD fetches."""
        there = {content for content, _ in old.layers}
        return sum(size for content, size in self.layers if content not in there)

    def moved_by_chain(self, old: Release) -> int:
        same = 0
        while same < min(len(self.layers), len(old.layers)) and self.layers[same] == old.layers[same]:
            same += 1
        return sum(size for _, size in self.layers[same:])


Figures = dict[str, list[float]]


def one_package(lay: Layouter, image: Image, first: Release, figures: Figures) -> None:
    for key, group in image.items():
        if group.size >= MB and not group.volatile:
            changed = {**image, key: replace(group, size=group.size + 1)}
            figures["one"].append(Release(lay, changed, {key: 1, LOG.key: 1}, first).moved(first))
            figures["one, wanted"].append(1.25 * group.size + MB)


def some(random: random.Random, image: Image, count: int) -> list[str]:
    keys = sorted(image.keys() - {LOG.key})
    chances = [1 if key.startswith("dpkg:") else 4 for key in keys]
    return sorted(set(random.choices(keys, chances, k=count)))


def weeks(random: random.Random, lay: Layouter, image: Image, first: Release, count: int, figures: Figures) -> None:
    builds: dict[str, int] = {}
    last = first
    for week in range(1, count + 1):
        changed = [*some(random, image, random.randint(1, 20)), LOG.key]
        image = {**image, **{key: replace(image[key], size=int(image[key].size * 1.002)) for key in changed}}
        if week % 4 == 0:
            gone = random.choice(sorted(image.keys() - {LOG.key, *changed}))
            come = by_key(application(random))
            image = {**{key: group for key, group in image.items() if key != gone}, **come}
            changed += come
        builds |= dict.fromkeys(changed, week)
        release = Release(lay, image, builds, last)
        figures["week"].append(release.moved(last))
        figures["week by chain"].append(release.moved_by_chain(last))
        figures["week, least"].append(sum(image[key].size for key in changed))
        last = release


def measure(lay: Layouter, images: int, packages: int, count: int) -> Figures:
    columns = ("size", "layers", "one", "one, wanted", "sibling", "sibling, least", "any", "any, least")
    figures: Figures = {name: [] for name in (*columns, "week", "week, least", "week by chain")}
    for seed in range(images):
        seeded = random.Random(seed)
        image, applications = make_image(seeded, packages)
        first = Release(lay, image, {})
        figures["size"].append(first.size)
        figures["layers"].append(len(first.layers))
        one_package(lay, image, first, figures)
        for name, other in (("sibling", sibling(seeded, image, applications)), ("any", stranger(seeded, image))):
            release = Release(lay, other, {LOG.key: 1})
            unshared = sum(group.size for key, group in other.items() if key not in image)
            figures[name].append(release.moved(first) / release.size)
            figures[f"{name}, least"].append(unshared / release.size)
        weeks(seeded, lay, image, first, count, figures)
    return figures


# ---- the table


def row(figures: Figures) -> list[str]:
    mean = {name: statistics.mean(values) for name, values in figures.items() if values}
    of_image = [f"{100 * mean[name]:.0f} %" for name in ("sibling", "any")]
    moved = [f"{mean[name] / MB:.1f}" for name in ("week", "week by chain")]
    return [f"{mean['layers']:.0f}", f"{mean['one'] / MB:.1f}", *of_image, *moved]


def least(figures: Figures) -> list[str]:
    mean = {name: statistics.mean(values) for name, values in figures.items() if values}
    of_image = [f"{100 * mean[name]:.0f} %" for name in ("sibling, least", "any, least")]
    return ["", f"{mean['one, wanted'] / MB:.1f}", *of_image, *[f"{mean['week, least'] / MB:.1f}"] * 2]


def main() -> None:
    parser = argparse.ArgumentParser(description="Layouts beside each other, simulated")
    parser.add_argument("--images", type=int, default=6)
    parser.add_argument("--weeks", type=int, default=52)
    parser.add_argument("--packages", type=int, default=400)
    options = parser.parse_args()
    head = ["", "layers", "one package, MB", "sibling", "any fifth", "week, MB", "week by chain, MB"]
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for name, lay in LAYOUTS.items():
        figures = measure(lay, options.images, options.packages, options.weeks)
        print(f"| {name} | " + " | ".join(row(figures)) + " |", flush=True)
    print("| wanted; least possible | " + " | ".join(least(figures)) + " |")
    print(f"\nImages of {statistics.mean(figures['size']) / MB:.0f} MB on average.")


if __name__ == "__main__":
    main()
