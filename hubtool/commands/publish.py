"""Publishing one variant: what `hubtool push` and `hubtool release` share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from hubtool.builders import REVISION
from hubtool.commands.one_push import Push, Pushed, PushRules
from hubtool.commands.promotion import BUILT, FINGERPRINT, SUMMARY, TESTED, TESTS, fingerprint_tag, hash_of_tests
from hubtool.console import say, warn
from hubtool.engines import Engine, EngineImage
from hubtool.errors import HubtoolError
from hubtool.plan import Variant
from hubtool.plan.records import Record, read_record, write_record
from hubtool.reference import ImageReference
from hubtool.registries import RegistryError, open_client
from hubtool.registries.client import RegistryClient


def push_variant(variant: Variant, start: Callable[[], Engine], rules: PushRules | None = None) -> Pushed:
    """Publish the image of VARIANT that the engine holds, which START gives; records its digest
    (hubtool.plan.records). One that `build` found in the registry is promoted: its tag is set, no engine started.

    The image must have passed its contract, the tag must be free or name this very image already. Raises
    HubtoolError, with a hint, where it may not be published or the registry refuses.
    """
    rules = rules or PushRules()
    started = time.monotonic()
    record = read_record(variant.root, variant.image)
    if record and record.in_registry and record.commit == variant.source.commit and record.digest:
        _check_may_publish(variant, bool(record.tested) or variant.contract == "none", rules)
        with open_client(variant.reference) as client:
            pushed = Push(variant, client, rules).promote(record.digest)
        return replace(pushed, seconds=round(time.monotonic() - started, 3))
    engine = start()
    image = find_image(variant, engine, rules)
    with open_client(variant.reference) as client:
        prepare_repository(client, rules)
        notes = _notes(variant, image, record)
        push = Push(_staged(variant, image) if rules.staged else variant, client, rules, notes)
        pushed = push.unchanged(image.id) or push.run(engine, image)
    pushed = replace(pushed, seconds=round(time.monotonic() - started, 3))
    if not (rules.dry_run or rules.staged):
        _record(variant, engine, image, pushed)
    return pushed


def set_tags(variant: Variant, staged: Pushed, rules: PushRules) -> Pushed:
    """Have the tags of VARIANT name what was STAGED; the bytes that travelled are told with it. Raises as push_variant
    does."""
    with open_client(variant.reference) as client:
        pushed = Push(variant, client, rules).promote(staged.digest)
    record = read_record(variant.root, variant.image)
    if record:
        reference = str(replace(pushed.reference, digest=None))
        write_record(variant.root, variant.image, replace(record, reference=reference, digest=pushed.digest))
    state = "pushed" if staged.state == "pushed" and pushed.state == "promoted" else pushed.state
    return replace(
        pushed,
        state=state,
        uploaded_bytes=staged.uploaded_bytes,
        reused_bytes=staged.reused_bytes,
        blobs=staged.blobs,
        seconds=round(staged.seconds + pushed.seconds, 3),
    )


def _staged(variant: Variant, image: EngineImage) -> Variant:
    """VARIANT, to be published under its fingerprint's tag."""
    fingerprint = (image.config.get("Labels") or {}).get(FINGERPRINT)
    if not fingerprint:
        raise HubtoolError(f"{variant.reference} has no fingerprint", hint=f"hubtool build {variant.image}")
    return replace(variant, reference=variant.reference.with_tag(fingerprint_tag(fingerprint)))


def check_push(reference: ImageReference, create_repository: bool) -> str:
    """Who hubtool is at the reference's registry, where that one may push; raises HubtoolError where not.
    Nothing is left behind there, and nothing made."""
    with open_client(reference) as client:
        prepare_repository(client, PushRules(create_repository=create_repository, dry_run=True))
        known = client.session.credentials
    if known is None:
        return "anybody"
    name = known.username or "the owner of an identity token"
    return f"{name} (credentials from {known.source})"


def prepare_repository(client: RegistryClient, rules: PushRules) -> None:
    """See that the repository is there, or may be made, and takes pushes from us."""
    session = client.session
    try:
        session.registry.ensure_repository(session.reference, rules.create_repository and not rules.dry_run)
    except RegistryError as error:
        if not (error.status == 404 and rules.create_repository and rules.dry_run):
            raise
        say(f"would create the repository {session.reference.name}")
        return
    client.check_push()


def find_image(variant: Variant, engine: Engine, rules: PushRules) -> EngineImage:
    """The image of VARIANT in ENGINE; raises HubtoolError where there is none, or it may not be published."""
    record = read_record(variant.root, variant.image)
    image = engine.inspect(str(variant.reference)) or _under_another_tag(variant, engine, record, rules)
    if image is None:
        raise HubtoolError(
            f"{engine.name} has no image {variant.reference}", hint=f"build it first: hubtool build {variant.image}"
        )
    _check_may_publish(variant, _passed(variant, image, record), rules)
    return image


def _check_may_publish(variant: Variant, passed: bool, rules: PushRules) -> None:
    if variant.reference.tag.endswith("-dirty") and not rules.named:
        raise HubtoolError(
            f"the tag {variant.reference.tag} says nothing certain about the image: the tree was not committed",
            hint="commit and build again, or give it a name of its own with --tag",
        )
    if not passed and not rules.untested:
        raise HubtoolError(
            f"{variant.reference} did not pass its contract ({variant.contract})",
            hint=f"hubtool test {variant.image}, or push with --untested",
        )
    if not passed:
        warn(f"{variant.reference} is published though it did not pass its contract ({variant.contract})")


def _under_another_tag(variant: Variant, engine: Engine, record: Record | None, rules: PushRules) -> EngineImage | None:
    """The last build, if it is of this commit: --tag then only gives it another name."""
    if record is None or not rules.named:
        return None
    image = engine.inspect(record.image_id)
    labels = (image.config.get("Labels") if image else None) or {}
    revision = variant.source.labels()[REVISION]
    return image if revision in (labels.get(REVISION), record.commit) else None


def _passed(variant: Variant, image: EngineImage, record: Record | None) -> bool:
    if variant.contract == "none":
        return True
    return record is not None and record.image_id == image.id and bool(record.tested)


def _record(variant: Variant, engine: Engine, image: EngineImage, pushed: Pushed) -> None:
    before = read_record(variant.root, variant.image)
    if before is None or before.image_id != image.id:
        before = Record(reference="", image_id=image.id, engine=engine.name)
    reference = str(replace(pushed.reference, digest=None))
    if engine.inspect(reference) is None:
        engine.tag(image.id, reference)
    write_record(variant.root, variant.image, replace(before, reference=reference, digest=pushed.digest))


def _notes(variant: Variant, image: EngineImage, record: Record | None) -> dict[str, str]:
    """What the manifest says of the image: what it was made of, and which contract it passed."""
    labels = image.config.get("Labels") or {}
    notes = {FINGERPRINT: str(labels[FINGERPRINT])} if FINGERPRINT in labels else {}
    if _passed(variant, image, record):
        notes |= {TESTED: variant.contract, TESTS: hash_of_tests(variant)}
    if record and record.image_id == image.id:
        notes |= {SUMMARY: record.test_summary} if record.test_summary and TESTED in notes else {}
        notes |= {BUILT: record.built} if record.built else {}
    return notes
