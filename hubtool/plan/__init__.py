"""The plan: which variants hubtool.yaml asks for, where their files are, and what they will be called."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hubtool.builders import BuildJob
from hubtool.config import FILE_NAME, CompressionName, Config, LayerStyle
from hubtool.errors import HubtoolError, Where
from hubtool.plan.source import Source
from hubtool.reference import ImageReference

CACHE_TAG = "buildcache"


@dataclass(frozen=True)
class Packing:
    """How an image travels: in whose layers, at most how many, and where else they may be already."""

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
    """One image to build, test and publish. ``reference`` has registry, repository and tag; ``freshness`` is the age
    from which on it is built again."""

    image: str
    reference: ImageReference
    job: BuildJob
    contract: str
    root: Path
    source: Source
    packing: Packing = Packing()
    cache: BuildCache | None = None
    freshness: datetime.timedelta | None = None


def make_plan(
    config: Config,
    root: Path,
    source: Source,
    images: Sequence[str] = (),
    *,
    tag: str | None = None,
    labels: Mapping[str, str] | None = None,
) -> list[Variant]:
    """The variants of IMAGES (all, where empty), in the file's order.

    TAG replaces the tag that hubtool.yaml's ``tag`` asks for. Raises HubtoolError for an unknown image, a
    context outside ROOT, or a CA bundle that is not there.
    """
    for image in images:
        if image not in config.images:
            raise HubtoolError(
                f"no image called '{image}'",
                where=Where(root / FILE_NAME, key="images"),
                hint="images here: " + ", ".join(config.images),
            )
    chosen = [name for name in config.images if not images or name in images]
    return [_variant(config, root, source, name, tag, labels or {}) for name in chosen]


def _variant(
    config: Config, root: Path, source: Source, name: str, tag: str | None, labels: Mapping[str, str]
) -> Variant:
    settings = config.images[name]
    reference = config.reference(name).with_tag(tag or source.tag(config.tag))
    context = (root / settings.context).resolve()
    key = f"images.{name}.context"
    if not context.is_relative_to(root.resolve()):
        raise HubtoolError(f"'{settings.context}' leads outside the repository", where=Where(root / FILE_NAME, key=key))
    if not context.is_dir():
        raise HubtoolError(f"no folder '{settings.context}'", where=Where(root / FILE_NAME, key=key))
    job = BuildJob(
        image=name,
        context=context,
        reference=reference,
        settings=settings,
        environment=config.environment_of(name),
        site=config.site,
        ca_bundle=_ca_bundle(config, root),
        labels={**source.labels(), **labels, **settings.labels},
    )
    packing = Packing(config.layers, config.compression, config.max_layers, config.siblings(name))
    cache, freshness = _cache(config, name), config.freshness_of(name)
    return Variant(name, reference, job, settings.contract, root, source, packing, cache, freshness)


def _cache(config: Config, name: str) -> BuildCache | None:
    if config.cache is False:
        return None
    if config.cache is True:
        return BuildCache(config.reference(name).with_tag(CACHE_TAG), named=False)
    return BuildCache.at(ImageReference.parse(config.cache), name)


def _ca_bundle(config: Config, root: Path) -> Path | None:
    import os

    written = config.site.ca_bundle
    if written is None:
        return None
    path = root / os.path.expandvars(written)
    if not path.is_file():
        raise HubtoolError(f"no file '{path}'", where=Where(root / FILE_NAME, key="site.ca_bundle"))
    return path.resolve()
