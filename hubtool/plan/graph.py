"""The image graph: every variant that hubtool.yaml declares, parents before children. No file of an image is read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from hubtool.config import Config, Image, place
from hubtool.config.stack import ARCHITECTURES, PLATFORM
from hubtool.errors import HubtoolError, Where
from hubtool.plan.axes import Point, axes_of, points, skipped
from hubtool.plan.patterns import WORDS, fill, words_of
from hubtool.reference import ImageReference, is_tag

OWN_TAGS = ("hubtool-newest", "buildcache", "fingerprint-")  # what hubtool sets beside each image


@dataclass(frozen=True)
class Node:
    """A variant as it is declared.

    ``id`` is IMAGE[VALUE,…], as it is named on the command line, with the values of the axes that its image varies in,
    IMAGE where there is none. ``point`` is its place on the image's axes; ``parent`` the ``id`` of the variant that it
    is built on, None where that is ``base``; ``stage`` is 1 for those without a parent, else one more than the
    parent's; ``skip`` says why it is left out, "" where it is not. Those of its tags are ``moving`` whose pattern has
    none of {date}, {commit} and {version}: they name another image from time to time. Those are ``versioned`` that only
    another version makes others.

    Variants that differ on the axis ``platform`` alone share their tags: each has its own, ending in its platform, and
    ``joined`` has the shared tag of each of these. ``whole`` is the id that they have together, ``id`` where the image
    is made for one platform.
    """

    id: str
    image: str
    point: Point
    repository: ImageReference
    tags: tuple[str, ...]
    moving: frozenset[str]
    versioned: frozenset[str]
    args: Mapping[str, str]
    labels: Mapping[str, str]
    base: str | None
    parent: str | None
    stage: int
    skip: str
    platform: str | None
    whole: str
    joined: Mapping[str, str]

    @property
    def safe_id(self) -> str:
        """The id as a part of a tag or a file's name."""
        return re.sub(r"[^A-Za-z0-9_.-]+", "-", self.id).strip("-")

    @property
    def reference(self) -> ImageReference:
        """What hubs pin: the first of its tags that never moves, else the first."""
        return self.repository.with_tag(next((tag for tag in self.tags if tag not in self.moving), self.tags[0]))

    @property
    def references(self) -> list[ImageReference]:
        """All that it is released as."""
        return [self.repository.with_tag(tag) for tag in self.tags]


def image_of(variant: str) -> str:
    """The image of a variant's id."""
    return variant.partition("[")[0]


@dataclass(frozen=True)
class Graph:
    """All variants by id, in an order in which they can be built."""

    nodes: Mapping[str, Node]

    @cached_property
    def _children(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for node in self.nodes.values():
            if node.parent:
                found.setdefault(node.parent, []).append(node.id)
        return found

    def descendants(self, ids: Iterable[str]) -> set[str]:
        """IDS, and all that is built on them."""
        found: set[str] = set()
        left = list(ids)
        while left:
            node = left.pop()
            if node not in found:
                found.add(node)
                left += self._children.get(node, ())
        return found

    def ancestors(self, node: Node) -> Iterator[Node]:
        """What NODE is built on, the nearest first."""
        while node.parent:
            node = self.nodes[node.parent]
            yield node

    def of(self, images: Iterable[str]) -> list[Node]:
        """The variants of IMAGES."""
        wanted = set(images)
        return [node for node in self.nodes.values() if node.image in wanted]

    @property
    def stages(self) -> int:
        return max((node.stage for node in self.nodes.values()), default=0)


def _named(image: str, values: Sequence[str]) -> str:
    return f"{image}[{','.join(values)}]" if values else image


def select(graph: Graph, names: Sequence[str], file: Path) -> list[Node]:
    """The variants that NAMES mean: IMAGE is all of its variants, IMAGE[VALUE,…] those with these values; all where
    there are no names. The skipped are among them only where they are named in full. Raises HubtoolError for a name
    that means none."""
    if not names:
        return [node for node in graph.nodes.values() if not node.skip]
    wanted: set[str] = set()
    for name in names:
        wanted |= {name} if name in graph.nodes else _meant(graph, name, file)
    return [node for node in graph.nodes.values() if node.id in wanted]


def _meant(graph: Graph, name: str, file: Path) -> set[str]:
    image, _, listed = name.partition("[")
    values = [value for value in listed.removesuffix("]").split(",") if value]
    found = [node for node in graph.of([image]) if all(value in node.point.values() for value in values)]
    meant = {node.id for node in found if not node.skip or len(values) > node.id.count(",")}
    if meant:
        return meant
    if found:
        hint = f"to have it all the same, name it in full: {', '.join(node.id for node in found)}"
        raise HubtoolError(f"{name} is left out: {found[0].skip}", where=Where(file, key="images"), hint=hint)
    raise _no_variant(graph, name, image, file)


def _no_variant(graph: Graph, name: str, image: str, file: Path) -> HubtoolError:
    there = [node.id for node in graph.of([image])]
    images = dict.fromkeys(node.image for node in graph.nodes.values())
    hint = f"variants of {image}: {', '.join(there)}" if there else "images here: " + ", ".join(images)
    what = f"no variant '{name}'" if there else f"no image called '{image}'"
    return HubtoolError(what, where=Where(file, key="images"), hint=hint)


def make_graph(config: Config, file: Path, words: Mapping[str, str], tags: Sequence[str] = ()) -> Graph:
    """The graph that CONFIG, read from FILE, declares. WORDS are for patterns: date, commit. TAGS are patterns for
    images that have none.

    Raises HubtoolError, with file and line, for an unknown parent or axis, a cycle, a parent that has no variant for
    a child, a pattern that says nothing, two variants with one reference, and an axis or value that nothing uses.
    """
    _check_axes(config, file)
    maker = _Maker(config, file, words, tags)
    nodes = {node.id: node for name in _in_order(config, file) for node in maker.variants(name)}
    maker.check_all_is_used()
    return Graph(nodes)


def _check_axes(config: Config, file: Path) -> None:
    for axis, values in config.axes.items():
        if axis in WORDS:
            message = f"no axis can be called '{axis}': in patterns {{{axis}}} means something else"
            raise HubtoolError(message, where=place(file, "axes", axis), hint="name it for what varies, as python")
        for number, value in enumerate(values):
            if axis == PLATFORM and value not in ARCHITECTURES:
                hint = f"platforms here: {', '.join(ARCHITECTURES)}"
                raise HubtoolError(f"no platform '{value}'", where=place(file, "axes", axis, number), hint=hint)
            if value in values[:number]:
                raise HubtoolError(f"'{value}' stands here twice", where=place(file, "axes", axis, number))


def _in_order(config: Config, file: Path) -> Iterator[str]:
    """The images' names, each after its parent; else in the file's order."""
    done: set[str] = set()
    for name in config.images:
        line: list[str] = []
        while name not in done:
            if name in line:
                ring = " from ".join([*line[line.index(name) :], name])
                raise HubtoolError(f"built on itself: {ring}", where=place(file, "images", name, "from"))
            line.append(name)
            parent = config.images[name].parent
            if parent is None:
                break
            if parent not in config.images:
                hint = "images here: " + ", ".join(config.images)
                raise HubtoolError(f"no image '{parent}'", where=place(file, "images", name, "from"), hint=hint)
            name = parent
        for ready in reversed(line):
            done.add(ready)
            yield ready


@dataclass
class _Maker:
    """Makes the nodes image by image."""

    config: Config
    file: Path
    words: Mapping[str, str]
    tags: Sequence[str]
    made: dict[str, dict[tuple[str, ...], Node]] = field(default_factory=dict)  # by image, then values
    taken: dict[tuple[str, str], str] = field(default_factory=dict)  # whose a repository's tag is

    @cached_property
    def values(self) -> frozenset[str]:
        return frozenset(value for values in self.config.axes.values() for value in values)

    def variants(self, name: str) -> list[Node]:
        image = self.config.images[name]
        try:
            axes = axes_of(self.config, image)
        except KeyError as unknown:
            raise self._unknown(name, *unknown.args) from None
        self._check_rules(name, image, axes)
        found = [self._node(name, image, point) for point in points(axes)]
        self.made[name] = {tuple(node.point.values()): node for node in found}
        return found

    def _id(self, name: str, point: Point) -> str:
        return _named(name, [point[axis] for axis in self._varied(name)])

    def _whole(self, name: str, point: Point) -> str:
        return _named(name, [point[axis] for axis in self._varied(name) if axis != PLATFORM])

    def _varied(self, name: str) -> list[str]:
        """The axes that the image has several values on."""
        axes = axes_of(self.config, self.config.images[name])
        return [axis for axis, values in axes.items() if len(values) > 1]

    def _node(self, name: str, image: Image, point: Point) -> Node:
        parent = self._parent(name, image, point) if image.parent else None
        if parent and PLATFORM in point and PLATFORM not in parent.point:
            raise HubtoolError(
                f"{name} is made for several platforms, and {parent.id}, which it is built on, is not",
                where=place(self.file, "images", name, "axes"),
                hint=f"give {image.parent} the axis {PLATFORM} too",
            )
        words = {"image": name, **self.words, **({"version": image.version} if image.version else {})}
        shared = self._tags(name, image, point, words)
        platform = point.get(PLATFORM)
        ending = f"-{platform}" if PLATFORM in self._varied(name) else ""
        joined = {} if self._tells_platform(image) else {f"{tag}{ending}": tag for tag in shared if ending}
        tags = {f"{tag}{ending}" if joined else tag: kind for tag, kind in shared.items()}
        node = Node(
            id=self._id(name, point),
            image=name,
            point=point,
            repository=self.config.reference(name),
            tags=tuple(tags),
            moving=frozenset(tag for tag, kind in tags.items() if kind == "moving"),
            versioned=frozenset(tag for tag, kind in tags.items() if kind == "versioned"),
            args={key: self._filled(text, point, words, name, "args", key) for key, text in image.args.items()},
            labels={key: self._filled(text, point, words, name, "labels", key) for key, text in image.labels.items()},
            base=self._base(name, image, point),
            parent=parent.id if parent else None,
            stage=parent.stage + 1 if parent else 1,
            skip=skipped(image.skip, point) or (f"{parent.id} is left out" if parent and parent.skip else ""),
            platform=f"linux/{platform}" if platform else image.platform,
            whole=self._whole(name, point) if joined else self._id(name, point),
            joined=joined,
        )
        self._check_references(node)
        return node

    def _parent(self, name: str, image: Image, point: Point) -> Node:
        """The variant of the parent that has the child's values on the axes that both have."""
        parent = image.parent or ""
        axes = list(axes_of(self.config, self.config.images[parent]))
        missing = [axis for axis in axes if axis not in point]
        if missing:
            some = ", ".join(f"{axis}: [{self.config.axes[axis][0]}]" for axis in missing)
            raise HubtoolError(
                f"{parent} has variants for each {' and '.join(missing)}: which one is {name} built on?",
                where=place(self.file, "images", name, "axes"),
                hint=f"name it, as axes: {{{some}}}",
            )
        found = self.made[parent].get(tuple(point[axis] for axis in axes))
        if found is None:
            there = ", ".join(node.id for node in self.made[parent].values())
            asked = ", ".join(f"{axis} {point[axis]}" for axis in axes)
            raise HubtoolError(
                f"{self._id(name, point)} is built on {parent} with {asked}, which is not made",
                where=place(self.file, "images", name, "from"),
                hint=f"variants of {parent}: {there}",
            )
        return found

    def _base(self, name: str, image: Image, point: Point) -> str | None:
        if image.base is None or isinstance(image.base, str):
            return image.base
        for value in image.base:
            if value not in {value for values in axes_of(self.config, image).values() for value in values}:
                where = place(self.file, "images", name, "base", value)
                raise HubtoolError(f"{name} has no variant with '{value}'", where=where)
        found = [base for value, base in image.base.items() if value in point.values()]
        if len(found) != 1:
            problem = "no base" if not found else "several bases"
            raise HubtoolError(f"{problem} for {self._id(name, point)}", where=place(self.file, "images", name, "base"))
        return found[0]

    def _tags(self, name: str, image: Image, point: Point, words: Mapping[str, str]) -> dict[str, str]:
        """Each tag with its kind: moving, versioned, dated."""
        varied = [f"{{{axis}}}" for axis in self._varied(name) if axis != PLATFORM]
        patterns = image.tags or ["-".join([tag, *varied]) for tag in self.tags]
        tags = {self._filled(text, point, words, name, "tags"): self._kind(text) for text in patterns}
        for tag in tags:
            if not is_tag(tag) or tag.startswith(OWN_TAGS):
                wrong = "hubtool's own" if is_tag(tag) else "not a tag"
                where = place(self.file, "images", name, "tags")
                raise HubtoolError(f"'{tag}', the tag of {self._id(name, point)}, is {wrong}", where=where)
        return tags

    def _tells_platform(self, image: Image) -> bool:
        """Whether its patterns say the platform, so that no two platforms have a tag in common."""
        return any(words_of(text) & {PLATFORM, *ARCHITECTURES} for text in image.tags)

    def _kind(self, pattern: str) -> str:
        said = words_of(pattern)
        if said & {"date", "commit"} or any(tag in pattern for tag in self.tags):
            return "dated"
        return "versioned" if "version" in said else "moving"

    def _filled(self, text: str, point: Point, words: Mapping[str, str], name: str, *key: str) -> str:
        try:
            return fill(text, point, words, self.values)
        except HubtoolError as error:
            raise HubtoolError(error.message, where=place(self.file, "images", name, *key), hint=error.hint) from error

    # ---- what must hold

    def _unknown(self, name: str, axis: str, value: str | None = None) -> HubtoolError:
        where = place(self.file, "images", name, "axes")
        if value is None:
            hint = "axes here: " + (", ".join(self.config.axes) or "none; add axes at the top")
            return HubtoolError(f"no axis '{axis}'", where=where, hint=hint)
        return HubtoolError(
            f"the axis {axis} has no value '{value}'", where=where, hint="it has: " + ", ".join(self.config.axes[axis])
        )

    def _check_rules(self, name: str, image: Image, axes: Mapping[str, tuple[str, ...]]) -> None:
        for number, rule in enumerate(image.skip):
            for axis, value in rule.where.items():
                wanted = (value,) if isinstance(value, str) else value
                wrong = [one for one in wanted if one not in axes.get(axis, ())]
                if wrong:
                    raise HubtoolError(
                        f"{name} has no variant with {axis} {wrong[0]}",
                        where=place(self.file, "images", name, "skip", number, "where", axis),
                    )

    def _check_references(self, node: Node) -> None:
        for tag, owner in [(tag, node.id) for tag in node.tags] + [(tag, node.whole) for tag in node.joined.values()]:
            other = self.taken.setdefault((node.repository.name, tag), owner)
            if other != owner:
                raise HubtoolError(
                    f"{owner} and {other} are both {node.repository.with_tag(tag)}",
                    where=place(self.file, "images", node.image, "tags"),
                    hint="let the pattern hold every axis, as {python}",
                )

    def check_all_is_used(self) -> None:
        """Raise for the first axis or value that no variant has."""
        used = {
            (axis, value)
            for nodes in self.made.values()
            for node in nodes.values()
            for axis, value in node.point.items()
        }
        for axis, values in self.config.axes.items():
            for number, value in enumerate(values):
                if (axis, value) not in used:
                    raise HubtoolError(f"no image uses '{value}'", where=place(self.file, "axes", axis, number))
