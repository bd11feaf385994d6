"""The plan: which variants hubtool.yaml asks for, where their files are, and what they will be called."""

from __future__ import annotations

import datetime
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from hubtool.builders import BASE_DIGEST, BuildJob
from hubtool.config import FILE_NAME, CompressionName, Config, LayerStyle, place
from hubtool.errors import HubtoolError, Where
from hubtool.plan.graph import Graph, Node, make_graph, select
from hubtool.plan.source import Source
from hubtool.reference import ImageReference

CACHE_TAG = "buildcache"
MOST_SIBLINGS = 40
NEWEST = "hubtool-newest"  # the tag of the image that was released last; images are laid out as that one is


@dataclass(frozen=True)
class Packing:
    """How an image travels: in whose layers, at most how many, and in which other images they may be already, the
    nearest first."""

    layers: LayerStyle = "packages"
    compression: CompressionName = "gzip"
    most: int = 64
    siblings: tuple[ImageReference, ...] = ()


@dataclass(frozen=True)
class BuildCache:
    """Where an image's registry build cache is; ``named`` is whether somebody said so."""

    reference: ImageReference
    named: bool = True

    @classmethod
    def at(cls, place: ImageReference, image: str) -> BuildCache:
        """The cache of IMAGE at a PLACE that somebody named, and that has one for each image where it has no tag."""
        return cls(place if place.tag else place.with_tag(f"{CACHE_TAG}-{image}"))


@dataclass(frozen=True)
class Variant:
    """One image to build, test and publish.

    ``image`` is its name, IMAGE[VALUE,…] for one of several variants; ``parent`` the one that it is built on, whose
    ``parent_id`` (the digest of its config, as it was built) is known once that is there.
    ``reference`` has registry, repository and the tag that hubs pin; that tag ``moves`` where it is to name another
    image from time to time. ``further`` tags name the same image, each with whether it moves; ``newest`` is the tag
    that its newest release gets beside. ``freshness`` is the age from which on it is built again.

    ``partners`` are the variants that differ from it in their platform alone, itself among them, if there are any: all
    of them are released together as ``whole``, under the tags ``joined``: (its own, the shared one, whether it moves).
    """

    image: str
    reference: ImageReference
    job: BuildJob
    contract: str
    root: Path
    source: Source
    packing: Packing = Packing()
    cache: BuildCache | None = None
    freshness: datetime.timedelta | None = None
    moves: bool = False
    further: tuple[tuple[str, bool], ...] = ()
    parent: str | None = None
    parent_id: str = ""
    newest: str = NEWEST
    whole: str = ""
    partners: frozenset[str] = frozenset()
    joined: tuple[tuple[str, str, bool], ...] = ()

    def on_image(self, reference: str, parent_id: str) -> Variant:
        """It, to be built on the image REFERENCE of its parent, which was built with PARENT_ID."""
        settings = self.job.settings.model_copy(update={"base": reference})
        labels = {**self.job.labels, BASE_DIGEST: reference.partition("@")[2] or parent_id}
        job = replace(self.job, settings=settings, labels=labels, on_parent=True)
        return replace(self, job=job, parent_id=parent_id)


def read_graph(config: Config, root: Path, source: Source) -> Graph:
    """The graph of all that CONFIG, ROOT's hubtool.yaml, declares, for the state SOURCE of its repository. {date} is
    today's (UTC), or $HUBTOOL_DATE, which the jobs of one run share."""
    today = os.environ.get("HUBTOOL_DATE") or f"{datetime.datetime.now(datetime.UTC):%Y.%m.%d}"
    if not re.fullmatch(r"[0-9]{4}\.[0-9]{2}\.[0-9]{2}", today):
        raise HubtoolError(f"$HUBTOOL_DATE is '{today}', which is no day as 2026.07.06 is")
    words = {"date": today, "commit": source.tag("commit")}
    return make_graph(config, root / FILE_NAME, words, [source.tag(config.tag)])


def make_plan(
    config: Config,
    root: Path,
    source: Source,
    images: Sequence[str] = (),
    *,
    tag: str | None = None,
    labels: Mapping[str, str] | None = None,
    with_parents: bool = False,
) -> list[Variant]:
    """The variants of IMAGES (all, where empty), each after its parent, in the file's order; WITH_PARENTS also those
    that they are built on. An image is named IMAGE for all of its variants, or IMAGE[VALUE,…]; variants that
    hubtool.yaml skips are among them only by the latter.

    TAG replaces the tags that hubtool.yaml asks for. Raises HubtoolError for an unknown image, a context outside
    ROOT, a CA bundle that is not there, and whatever is wrong with the graph.
    """
    graph = read_graph(config, root, source)
    chosen = select(graph, images, root / FILE_NAME)
    if with_parents:
        needed = {node.id for one in chosen for node in (one, *graph.ancestors(one))}
        chosen = [node for node in graph.nodes.values() if node.id in needed]
    if tag:
        chosen = [_tagged(node, tag) for node in chosen]
        _check_one_a_repository(chosen, tag)
    maker = _Maker(config, root, source, labels or {}, graph)
    return [maker.variant(node) for node in chosen]


def names_of(config: Config, root: Path, source: Source, images: Sequence[str] = ()) -> frozenset[str]:
    """The names of the variants of IMAGES (all, where empty), without those that they are built on."""
    return frozenset(node.id for node in select(read_graph(config, root, source), images, root / FILE_NAME))


def _tagged(node: Node, tag: str) -> Node:
    node.repository.with_tag(tag)  # raises for what is no tag
    own = f"{tag}{node.platform.replace('linux/', '-')}" if node.joined and node.platform else tag
    joined = {own: tag} if node.joined else {}
    return replace(node, tags=(own,), joined=joined, moving=frozenset(), versioned=frozenset())


def _check_one_a_repository(chosen: Sequence[Node], tag: str) -> None:
    by_name: dict[str, dict[str, None]] = {}
    for node in chosen:
        by_name.setdefault(node.repository.name, {})[node.whole] = None
    for name, ids in by_name.items():
        if len(ids) > 1:
            raise HubtoolError(f"{' and '.join(ids)} would all be {name}:{tag}", hint="name one of them")


@dataclass(frozen=True)
class _Maker:
    """Makes variants of nodes of the graph."""

    config: Config
    root: Path
    source: Source
    labels: Mapping[str, str]
    graph: Graph

    @cached_property
    def shared(self) -> Mapping[str, int]:
        """How many have a repository."""
        return Counter(node.repository.name for node in self.graph.nodes.values())

    @cached_property
    def partners(self) -> Mapping[str, frozenset[str]]:
        """Those that have an id together."""
        found: dict[str, set[str]] = {}
        for node in self.graph.nodes.values():
            if node.joined and not node.skip:
                found.setdefault(node.whole, set()).add(node.id)
        return {whole: frozenset(ids) for whole, ids in found.items()}

    def variant(self, node: Node) -> Variant:
        config = self.config
        settings = config.images[node.image].model_copy(
            update={"base": node.base, "args": node.args, "platform": node.platform}
        )
        own = self._own(node)
        job = BuildJob(
            image=node.id,
            context=self._context(settings.context, node.image),
            reference=node.reference,
            settings=settings,
            environment=config.environment_of(node.image),
            site=config.site,
            ca_bundle=_ca_bundle(config, self.root),
            labels={**self.source.labels(), **self.labels, **node.labels},
        )
        return Variant(
            image=node.id,
            reference=node.reference,
            job=job,
            contract=settings.contract,
            root=self.root,
            source=self.source,
            packing=Packing(config.layers, config.compression, config.max_layers, self._siblings(node)),
            cache=self._cache(node, own),
            freshness=config.freshness_of(node.image),
            moves=node.reference.tag in node.moving,
            further=tuple((tag, tag in node.moving) for tag in node.tags if tag != node.reference.tag),
            parent=node.parent,
            newest=NEWEST + own,
            whole=node.whole,
            partners=self.partners.get(node.whole, frozenset()) | ({node.id} if node.joined else frozenset()),
            joined=tuple((tag, whole, tag in node.moving) for tag, whole in node.joined.items()),
        )

    def _own(self, node: Node) -> str:
        """What the tags end in that it has for itself in its repository."""
        return "" if self.shared[node.repository.name] == 1 else f"-{node.safe_id}"

    def _newest(self, node: Node) -> ImageReference:
        return node.repository.with_tag(NEWEST + self._own(node))

    @cached_property
    def firsts(self) -> Sequence[ImageReference]:
        """What hubtool.yaml names, and a variant of each image, of not too many: each is asked for by each push."""
        first: dict[str, Node] = {}
        for node in self.graph.nodes.values():
            if not node.skip:
                first.setdefault(node.image, node)
        named = [ImageReference.parse(name).with_tag(NEWEST) for name in self.config.share_layers_with]
        made = [self._newest(first[image]) for image in self.config.images if image in first]
        return [*named, *made[:MOST_SIBLINGS]]

    def _siblings(self, node: Node) -> tuple[ImageReference, ...]:
        own, parents = self._newest(node), [self._newest(one) for one in self.graph.ancestors(node)]
        return tuple(
            one for one in dict.fromkeys([*parents, *self.firsts]) if one != own and one.registry == own.registry
        )

    def _context(self, written: str, image: str) -> Path:
        context = (self.root / written).resolve()
        wrong = f"no folder '{written}'" if not context.is_dir() else ""
        if not context.is_relative_to(self.root.resolve()):
            wrong = f"'{written}' leads outside the repository"
        if wrong:  # only then is the file read again for its line
            raise HubtoolError(wrong, where=place(self.root / FILE_NAME, "images", image, "context"))
        return context

    def _cache(self, node: Node, own: str) -> BuildCache | None:
        written = self.config.cache
        if written is False:
            return None
        if written is True:
            return BuildCache(node.repository.with_tag(CACHE_TAG + own), named=False)
        return BuildCache.at(ImageReference.parse(written), node.safe_id)


def _ca_bundle(config: Config, root: Path) -> Path | None:
    written = config.site.ca_bundle
    if written is None:
        return None
    path = root / os.path.expandvars(written)
    if not path.is_file():
        raise HubtoolError(f"no file '{path}'", where=Where(root / FILE_NAME, key="site.ca_bundle"))
    return path.resolve()
