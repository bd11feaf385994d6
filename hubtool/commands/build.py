"""hubtool build: build the images of hubtool.yaml with a container engine."""

from __future__ import annotations

import datetime
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache as once
from functools import cached_property, partial
from pathlib import Path

from hubtool import console
from hubtool.builders import BuildOptions, Ingredients, Prepared, get_builder
from hubtool.commands.ask import which
from hubtool.commands.build_cache import CacheRules, find_cache
from hubtool.commands.build_output import show
from hubtool.commands.earlier import IMAGE_ID, annotation, document_of
from hubtool.commands.one_push import PushRules
from hubtool.commands.promotion import BUILT, FINGERPRINT, SUMMARY, TESTED, Bases, find_built, is_old, look_up
from hubtool.config import load
from hubtool.engines import Engine, EngineImage, choose_engine
from hubtool.errors import HubtoolError
from hubtool.plan import Variant, make_plan, names_of
from hubtool.plan.records import REGISTRY, Record, folder, read_record, write_record
from hubtool.plan.run import run_plan
from hubtool.plan.source import read_source
from hubtool.reference import ImageReference
from hubtool.registries.model import Manifest


@dataclass(frozen=True)
class Built:
    """An image that is there now, in the engine or (``engine`` "registry") in the registry. ``seconds`` is what the
    build took, 0 where it was ``reused``; ``size`` is bytes uncompressed, 0 where the engine has it not; ``log`` is
    None where nothing was built."""

    image: str
    reference: str
    id: str
    engine: str
    seconds: float
    size: int
    reused: bool
    log: str | None


def build(
    images: Sequence[str],
    *,
    root: Path,
    engine: str | None,
    tag: str | None,
    dirty: bool,
    print_dockerfile: bool,
    cache: CacheRules,
    rebuild: bool,
    jobs: int,
    scheduler: str | None = None,
    yes: bool = False,
    as_json: bool,
) -> None:
    """Build IMAGES (where empty, all, or those that a person at a terminal chooses), or print their Dockerfiles. With
    SCHEDULER they are built by its Dask workers, and are in the registry then, by fingerprint and digest."""
    config = load(root)
    source = read_source(root, allow_dirty=dirty or print_dockerfile)
    images = which(config, root, source, answered=bool(images or yes or as_json or print_dockerfile)) or images
    variants = make_plan(config, root, source, images, tag=tag, with_parents=not print_dockerfile)
    if print_dockerfile:
        for variant in variants:
            with get_builder(variant.job.settings.builder).prepare(variant.job) as prepared:
                console.result(prepared.dockerfile())
        return
    again = names_of(config, root, source, images) if rebuild else frozenset()
    if scheduler:
        from hubtool.commands.dask_client import run_on_workers
        from hubtool.commands.dask_parcels import Task

        rules = PushRules(config.create_repository, untested=True, named=tag is not None or dirty, staged=True)
        run = run_on_workers(scheduler, variants, Task(engine, cache, rules, again), jobs=jobs)
    else:
        make = partial(build_variant, start=once(lambda: choose_engine(engine)), cache=cache)
        run = run_plan(variants, lambda one, built: make(on_parent(one, built), rebuild=one.image in again), jobs=jobs)
    _tell([run.made[one.image] for one in run.ready], as_json)
    run.raise_failures()


def on_parent(variant: Variant, built: Mapping[str, Built]) -> Variant:
    """VARIANT to be built on the very image of its parent that this run has BUILT; as it is where it has none."""
    if variant.parent is None:
        return variant
    parent = built[variant.parent]
    return variant.on_image(parent.reference, parent.id)


def build_variant(
    variant: Variant, start: Callable[[], Engine], cache: CacheRules | None = None, *, rebuild: bool = False
) -> Built:
    """Build VARIANT with the engine that START gives, showing the output, and record it; what other verbs call.

    An image that was made from the same files, settings, base image and versions is reused unless REBUILD, or it is
    older than the variant's freshness: one that the registry has and that passed its contract, for which no engine is
    started; one that the engine holds. What is rebuilt has fresh base images and no step from a cache. The whole output
    is kept in ``.hubtool/logs``. Raises HubtoolError with the last lines and the log's path when the build fails.
    """
    with get_builder(variant.job.settings.builder).prepare(variant.job) as prepared:
        work = _Work(variant, start, prepared, Bases.of(variant, start))
        found = None if rebuild else work.find()
        return found or work.build(cache or CacheRules(), again=rebuild)


def take_built(variant: Variant, start: Callable[[], Engine]) -> Built:
    """What the registry has of VARIANT, whose tests it passed, recorded; START gives an engine for the bases that no
    registry has. Raises HubtoolError where it has none: nothing is built."""
    with get_builder(variant.job.settings.builder).prepare(variant.job) as prepared:
        there = find_built(variant, prepared.ingredients().fingerprint(Bases.of(variant, start).digest))
    if there is None:
        raise HubtoolError(
            f"{variant.reference.name} has no image of this commit that passed its tests",
            hint=f"hubtool build {variant.image}; hubtool test {variant.image}; hubtool push {variant.image} --staged",
        )
    return _found(variant, there)


@dataclass
class _Work:
    """One variant on its way; ``old`` is whether there is an image of it that is too old."""

    variant: Variant
    start: Callable[[], Engine]
    prepared: Prepared
    bases: Bases
    old: bool = False

    def __post_init__(self) -> None:
        self.ingredients: Ingredients = self.prepared.ingredients()
        self.fingerprint = self.ingredients.fingerprint(self.bases.digest)

    def find(self) -> Built | None:
        """What need not be built: a rebuild of this commit that was not pushed yet, what the registry has, what the
        engine has."""
        waiting = self._held() if self._waits() else None
        there = None if waiting else find_built(self.variant, self.fingerprint)
        if there and not self._is_old(annotation(document_of(there.content), BUILT)):
            console.say(f"{self.variant.reference.name} has this image, tested: nothing to build")
            return _found(self.variant, there)
        held = waiting or self._held()
        record = read_record(self.variant.root, self.variant.image)
        if held is None or self._is_old(record.built if record and record.image_id == held.id else None):
            return None
        console.say(f"{self.variant.reference} is built already: nothing to do")
        return _built(self.variant, self.start(), held)

    def _waits(self) -> bool:
        record = read_record(self.variant.root, self.variant.image)
        return bool(record and record.rebuilt and not record.digest and record.commit == self.variant.source.commit)

    def _is_old(self, built: str | None) -> bool:
        self.old = is_old(built, self.variant.freshness)
        return self.old

    def _held(self) -> EngineImage | None:
        return _held(self.variant, self.start(), self.on_engine)

    @cached_property
    def on_engine(self) -> str:
        """The fingerprint of what the engine would build, on the bases that it has."""
        return _checked(self.ingredients, self.fingerprint, self.bases, self.start())

    def build(self, rules: CacheRules, *, again: bool) -> Built:
        """Build it; AGAIN, or where it is too old, anew from the bottom."""
        if self.old:
            console.say(f"the image of {self.variant.image} is older than its freshness: building it again")
        engine = self.start()
        options = self._options(rules, engine, anew=again or self.old)
        rebuilt = options.anew or look_up(self.variant.reference) is not None
        reference, log = str(self.variant.reference), _log_of(self.variant)
        console.say(f"building {reference} with {engine.name} {console.LOG_DOTS}")
        started = time.monotonic()
        _run(self.variant, self.prepared, engine, options, log)
        seconds = time.monotonic() - started
        found = engine.inspect(reference)
        if found is None:
            raise HubtoolError(f"{engine.name} built {reference}, but does not have it", hint=f"the whole log: {log}")
        console.say(f"built {reference} in {seconds:.1f} s")
        return _built(self.variant, engine, found, round(seconds, 1), log, rebuilt=rebuilt)

    def _options(self, rules: CacheRules, engine: Engine, *, anew: bool) -> BuildOptions:
        unknown = [base for base in self.ingredients.bases if anew and not self.bases.released(base)]
        if unknown:
            console.say(f"no registry tells of {', '.join(unknown)}: building on what {engine.name} has")
        pull = anew and not unknown
        fingerprint = self.ingredients.fingerprint(self.bases.released) if pull else self.on_engine
        cache = find_cache(self.variant, engine, rules)
        return BuildOptions({FINGERPRINT: fingerprint}, cache, self.variant.packing.compression, anew, pull)


def _log_of(variant: Variant) -> Path:
    return folder(variant.root) / "logs" / f"{variant.image}-{variant.reference.tag}.log"


def _run(variant: Variant, prepared: Prepared, engine: Engine, options: BuildOptions, log: Path) -> None:
    """Run the build into the log, which every error names."""
    try:
        log.parent.mkdir(exist_ok=True)
        with show(variant.image, log) as output:
            for line in prepared.build(engine, options):
                output.line(line)
    except HubtoolError as error:
        hint = "\n  ".join(filter(None, [error.hint, _needs(variant, error), f"the whole log: {log}"]))
        raise HubtoolError(error.message, where=error.where, hint=hint) from error
    except OSError as error:
        raise HubtoolError(f"the build stopped: {error.strerror}: {error.filename or log}") from error


def _needs(variant: Variant, error: HubtoolError) -> str:
    """What a build lacks here: a login of the engine itself, or the programs of another platform."""
    said = f"{error.message}{error.hint}"
    base = re.search(r"metadata for ([^/\s]+)/", said)
    if base and "unauthorized" in said.lower():
        return f"the engine itself fetches what this is built on, and is not logged in: docker login {base[1]}"
    platform = variant.job.settings.platform
    if not platform or "exec format error" not in said:
        return ""
    emulator = f"docker run --privileged --rm tonistiigi/binfmt --install {platform.partition('/')[2]}"
    return f"this machine does not run what is made for {platform}: build it on one that does, or {emulator}"


def _checked(ingredients: Ingredients, fingerprint: str, bases: Bases, engine: Engine) -> str:
    """FINGERPRINT, or where ENGINE holds an older image under a base's name, on which it would build, one of that."""
    older = {}
    for base in ingredients.bases:
        held = engine.inspect(base)
        known = {digest.partition("@")[2] for digest in held.digests} if held else set()
        if held and known:
            older[base] = known | {held.id}
    stale = {base: min(known) for base, known in older.items() if bases.digest(base) not in known}
    for base in stale:
        console.warn(f"{engine.name} holds another {base} than its registry, and builds on that")
    return ingredients.fingerprint(lambda base: stale.get(base) or bases.digest(base)) if stale else fingerprint


def _held(variant: Variant, engine: Engine, fingerprint: str) -> EngineImage | None:
    """The image of FINGERPRINT in ENGINE, named as VARIANT: the one of that name, or the last that was built."""
    reference = str(variant.reference)
    found = engine.inspect(reference)
    if found is not None and _fingerprint(found) == fingerprint:
        return found
    record = read_record(variant.root, variant.image)
    last = engine.inspect(record.image_id) if record and record.engine == engine.name else None
    if last is None or _fingerprint(last) != fingerprint:
        return None
    engine.tag(last.id, reference)
    return last


def _fingerprint(image: EngineImage) -> str:
    return str((image.config.get("Labels") or {}).get(FINGERPRINT, ""))


def _built(
    variant: Variant,
    engine: Engine,
    image: EngineImage,
    seconds: float = 0,
    log: Path | None = None,
    *,
    rebuilt: bool = False,
) -> Built:
    """Record what is there now. A record of this very image stays, with what it says of tests and pushes."""
    reference = str(variant.reference)
    before = read_record(variant.root, variant.image)
    if before is None or (before.image_id, before.engine) != (image.id, engine.name):
        before = Record(reference, image.id, engine.name)
    if log:
        now = datetime.datetime.now(datetime.UTC)
        before = replace(before, built=now.isoformat(timespec="seconds"), rebuilt=f"{now:%Y%m%d}" if rebuilt else None)
    digest = before.digest if before.reference == reference else None
    record = replace(before, reference=reference, digest=digest, commit=variant.source.commit)
    write_record(variant.root, variant.image, record)
    shown = str(log) if log else None
    return Built(variant.image, reference, image.id, engine.name, seconds, image.size, log is None, shown)


def _found(variant: Variant, manifest: Manifest) -> Built:
    """Record what the registry has."""
    reference, document = str(variant.reference), document_of(manifest.content)
    record = Record(
        reference,
        annotation(document, IMAGE_ID),
        REGISTRY,
        tested=annotation(document, TESTED) or None,
        test_summary=annotation(document, SUMMARY) or None,
        digest=manifest.digest,
        commit=variant.source.commit,
        built=annotation(document, BUILT) or None,
    )
    write_record(variant.root, variant.image, record)
    there = str(variant.reference.with_tag(variant.reference.tag, manifest.digest))  # its tag is not set yet
    return Built(variant.image, there, record.image_id, REGISTRY, 0, 0, reused=True, log=None)


def _tell(built: Sequence[Built], as_json: bool) -> None:
    if as_json:
        console.result_json([asdict(one) for one in built])
    else:
        for one in built:
            console.result(one.reference)
    references = [ImageReference.parse(one.reference) for one in built]
    console.github_output(
        {
            "image": "\n".join(reference.name for reference in references),
            "tag": "\n".join(dict.fromkeys(reference.tag for reference in references)),
            "reference": "\n".join(one.reference for one in built),
        }
    )
    rows = [f"| `{one.reference}` | {console.bytes_text(one.size)} | {_took(one)} |" for one in built]
    console.github_summary("\n".join(["### Built", "", "| image | size | time |", "|---|---|---|", *rows]))


def _took(one: Built) -> str:
    return "reused" if one.reused else f"{one.seconds:.0f} s"
