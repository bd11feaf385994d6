"""The registry build cache of an image: whether a build reads and writes it is asked before, so that a cache that does
not answer costs a build seconds, and one that refuses costs it nothing."""

from __future__ import annotations

from dataclasses import dataclass

from hubtool.builders import Cache
from hubtool.commands.promotion import ask_for, short_client
from hubtool.console import say
from hubtool.engines import Engine
from hubtool.errors import HubtoolError
from hubtool.plan import BuildCache, Variant
from hubtool.reference import ImageReference


@dataclass(frozen=True)
class CacheRules:
    """What was asked for: another ``place`` than hubtool.yaml's; to ``write`` it; none at all (``off``)."""

    place: str | None = None
    write: bool = False
    off: bool = False

    def __post_init__(self) -> None:
        if self.off and (self.place or self.write):
            raise HubtoolError("--no-cache goes with neither --cache nor --cache-write")
        if self.place:
            ImageReference.parse(self.place)


def find_cache(variant: Variant, engine: Engine, rules: CacheRules) -> Cache:
    """The build cache of VARIANT for ENGINE, as far as it is there and we may.

    Where nobody named a place, an engine whose cache would grow with every build has none.
    """
    cache = _chosen(variant, rules)
    if cache is None or not (cache.named or engine.bounded_cache):
        return Cache()
    reference = cache.reference
    try:
        there = ask_for(reference) is not None or not engine.bounded_cache
    except HubtoolError as error:
        say(f"building without the build cache {reference}: {error.message}")
        return Cache()
    return Cache(str(reference), read=there, write=rules.write and _may_write(reference))


def _chosen(variant: Variant, rules: CacheRules) -> BuildCache | None:
    if rules.off:
        return None
    return BuildCache.at(ImageReference.parse(rules.place), variant.image) if rules.place else variant.cache


def _may_write(reference: ImageReference) -> bool:
    try:
        with short_client(reference) as client:
            client.check_push()
    except HubtoolError as error:
        say(f"the build cache {reference} is not written: {error.message}")
        return False
    return True
