"""hubtool build: build the images of hubtool.yaml with a container engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache as once
from pathlib import Path

from hubtool import console
from hubtool.builders import BuildJob, Ingredients, get_builder
from hubtool.commands.build_output import show
from hubtool.commands.earlier import IMAGE_ID, annotation, document_of
from hubtool.commands.promotion import FINGERPRINT, SUMMARY, TESTED, base_digest, find_built
from hubtool.config import load
from hubtool.engines import Engine, EngineImage, choose_engine
from hubtool.errors import HubtoolError
from hubtool.plan import Variant, make_plan
from hubtool.plan.records import REGISTRY, Record, folder, read_record, write_record
from hubtool.plan.source import read_source
from hubtool.reference import ImageReference
from hubtool.registries.model import Manifest

CACHE_TAG = "buildcache"


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
    cache: str | None,
    cache_write: bool,
    rebuild: bool,
    as_json: bool,
) -> None:
    """Build IMAGES (all, where empty), or print their Dockerfiles."""
    config = load(root)
    variants = make_plan(config, root, read_source(root, allow_dirty=dirty or print_dockerfile), images, tag=tag)
    if print_dockerfile:
        for variant in variants:
            console.result(get_builder(variant.job.settings.builder).dockerfile(variant.job))
        return
    chosen = once(lambda: choose_engine(engine))
    built = [build_variant(one, chosen, cache=cache, cache_write=cache_write, rebuild=rebuild) for one in variants]
    _tell(built, as_json)


def build_variant(
    variant: Variant,
    start: Callable[[], Engine],
    *,
    cache: str | None = None,
    cache_write: bool = False,
    rebuild: bool = False,
) -> Built:
    """Build VARIANT with the engine that START gives, showing the output, and record it; what other verbs call.

    An image that was made from the same files, settings, base image and versions is reused unless REBUILD: one that
    the registry has and that passed its contract, for which no engine is started; one that the engine holds. CACHE
    is the reference of a registry build cache; without a tag each image has its own there, buildcache-IMAGE. The
    whole output is kept in ``.hubtool/logs``. Raises HubtoolError with the last lines and the log's
    path when the build fails.
    """
    job = _with_cache(variant.job, cache, cache_write)
    reference = str(variant.reference)
    ingredients = get_builder(job.settings.builder).ingredients(job)
    fingerprint = ingredients.fingerprint(base_digest(start))
    there = None if rebuild else find_built(variant, fingerprint)
    if there:
        console.say(f"{variant.reference.name} has this image, tested: nothing to build")
        return _found(variant, there)
    engine = start()
    fingerprint = _checked(ingredients, fingerprint, engine)
    found = None if rebuild else _held(variant, engine, fingerprint)
    if found is not None:
        console.say(f"{reference} is built already: nothing to do")
        return _built(variant, engine, found, 0, None)
    job = replace(job, labels={**job.labels, FINGERPRINT: fingerprint})
    log = folder(variant.root) / "logs" / f"{variant.image}-{variant.reference.tag}.log"
    console.say(f"building {reference} with {engine.name} {console.LOG_DOTS}")
    started = time.monotonic()
    _run(job, engine, log)
    seconds = time.monotonic() - started
    found = engine.inspect(reference)
    if found is None:
        raise HubtoolError(f"{engine.name} built {reference}, but does not have it", hint=f"the whole log: {log}")
    console.say(f"built {reference} in {seconds:.1f} s")
    return _built(variant, engine, found, seconds, log)


def _with_cache(job: BuildJob, cache: str | None, write: bool) -> BuildJob:
    if cache is None:
        if write:
            raise HubtoolError("there is no build cache to write", hint="name it: --cache REFERENCE")
        return job
    reference = ImageReference.parse(cache)
    own = reference if reference.tag else reference.with_tag(f"{CACHE_TAG}-{job.image}")
    return replace(job, cache=str(own), cache_write=write)


def _run(job: BuildJob, engine: Engine, log: Path) -> None:
    """Run the build into the log, which every error names."""
    try:
        log.parent.mkdir(exist_ok=True)
        with show(job.image, log) as output:
            for line in get_builder(job.settings.builder).build(job, engine):
                output.line(line)
    except HubtoolError as error:
        hint = "\n  ".join(filter(None, [error.hint, f"the whole log: {log}"]))
        raise HubtoolError(error.message, where=error.where, hint=hint) from error
    except OSError as error:
        raise HubtoolError(f"the build stopped: {error.strerror}: {error.filename or log}") from error


def _checked(ingredients: Ingredients, fingerprint: str, engine: Engine) -> str:
    """FINGERPRINT, or where ENGINE holds an older image under a base's name, on which it would build, one of that."""
    older = {}
    for base in ingredients.bases:
        held = engine.inspect(base)
        known = {digest.partition("@")[2] for digest in held.digests} if held else set()
        if held and known:
            older[base] = known | {held.id}
    digest_of = base_digest(lambda: engine)
    stale = {base: min(known) for base, known in older.items() if digest_of(base) not in known}
    for base in stale:
        console.warn(f"{engine.name} holds another {base} than its registry, and builds on that")
    return ingredients.fingerprint(lambda base: stale.get(base) or digest_of(base)) if stale else fingerprint


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


def _built(variant: Variant, engine: Engine, image: EngineImage, seconds: float, log: Path | None) -> Built:
    """Record what is there now. A record of this very image stays, with what it says of tests and pushes."""
    reference = str(variant.reference)
    before = read_record(variant.root, variant.image)
    if before is None or (before.image_id, before.engine) != (image.id, engine.name):
        before = Record(reference, image.id, engine.name)
    digest = before.digest if before.reference == reference else None
    record = replace(before, reference=reference, digest=digest, commit=variant.source.commit)
    write_record(variant.root, variant.image, record)
    shown = str(log) if log else None
    return Built(variant.image, reference, image.id, engine.name, round(seconds, 1), image.size, log is None, shown)


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
    rows = [f"| `{one.reference}` | {_megabytes(one.size)} | {_took(one)} |" for one in built]
    console.github_summary("\n".join(["### Built", "", "| image | size | time |", "|---|---|---|", *rows]))


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"


def _took(one: Built) -> str:
    return "reused" if one.reused else f"{one.seconds:.0f} s"
