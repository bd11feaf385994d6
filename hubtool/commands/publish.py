"""Publishing one variant: what `hubtool push` and `hubtool release` share.

Blobs go first, then the manifest under its digest, what is attached to it, the tag last: killed at any point, a tag
never names what is not whole, and the next run sends only what is missing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from hubtool.builders import REVISION
from hubtool.commands.earlier import IMAGE_ID, NEWEST, annotation, document_of, read_earlier
from hubtool.commands.promotion import FINGERPRINT, SUMMARY, TESTED, TESTS, fingerprint_tag, hash_of_tests
from hubtool.commands.sending import publish_manifest, send_image
from hubtool.commands.transfer import Moved, megabytes
from hubtool.console import say, step, warn
from hubtool.engines import Engine, EngineImage
from hubtool.errors import HubtoolError
from hubtool.image.archive import Archive
from hubtool.image.pack import MANIFEST_TYPE, digest_of
from hubtool.image.spool import spool_folder
from hubtool.plan import Variant
from hubtool.plan.records import Record, read_record, unfinished, write_record
from hubtool.reference import ImageReference
from hubtool.registries import RegistryError, open_client
from hubtool.registries.client import RegistryClient
from hubtool.registries.model import Manifest
from hubtool.registries.release import config_digest

State = Literal["pushed", "unchanged", "planned", "promoted"]


@dataclass(frozen=True)
class PushRules:
    """What a push may do. ``move_tag``: let an existing tag move to another digest; ``untested``: publish
    what did not pass its contract; ``named``: the tag was given by the user, not made from the commit;
    ``create_repository``: make a missing repository (ECR); ``dry_run``: change nothing; ``staged``: publish by
    fingerprint only, for a later push to promote."""

    create_repository: bool = False
    move_tag: bool = False
    untested: bool = False
    named: bool = False
    dry_run: bool = False
    staged: bool = False


@dataclass(frozen=True)
class Pushed:
    """A variant as the registry has it now: ``reference`` with tag and digest; bytes that travelled and that
    were there already; seconds from beginning to end. State "planned" is a dry run's, "promoted" that of an image that
    was there already."""

    image: str
    reference: ImageReference
    state: State
    uploaded_bytes: int = 0
    reused_bytes: int = 0
    seconds: float = 0.0
    blobs: tuple[Moved, ...] = ()

    @property
    def digest(self) -> str:
        return self.reference.digest or ""


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
        with open_client(variant.reference) as client:
            pushed = _Push(variant, client, rules).promote(record.digest)
        return replace(pushed, seconds=round(time.monotonic() - started, 3))
    engine = start()
    image = find_image(variant, engine, rules)
    with open_client(variant.reference) as client:
        prepare_repository(client, rules)
        push = _Push(_staged(variant, image) if rules.staged else variant, client, rules)
        pushed = push.unchanged(image.id) or push.run(engine, image)
    pushed = replace(pushed, seconds=round(time.monotonic() - started, 3))
    if not (rules.dry_run or rules.staged):
        _record(variant, engine, image, pushed)
    return pushed


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
    if variant.reference.tag.endswith("-dirty") and not rules.named:
        raise HubtoolError(
            f"the tag {variant.reference.tag} says nothing certain about the image: the tree was not committed",
            hint="commit and build again, or give it a name of its own with --tag",
        )
    passed = _passed(variant, image, record)
    if not passed and not rules.untested:
        raise HubtoolError(
            f"{variant.reference} did not pass its contract ({variant.contract})",
            hint=f"hubtool test {variant.image}, or push with --untested",
        )
    if not passed:
        warn(f"{variant.reference} is published though it did not pass its contract ({variant.contract})")
    return image


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
    reference = str(variant.reference)
    if engine.inspect(reference) is None:
        engine.tag(image.id, reference)
    write_record(variant.root, variant.image, replace(before, reference=reference, digest=pushed.digest))


def _notes(variant: Variant, image: EngineImage, record: Record | None) -> dict[str, str]:
    """What the manifest says of the image: what it was made of, and which contract it passed."""
    labels = image.config.get("Labels") or {}
    notes = {FINGERPRINT: str(labels[FINGERPRINT])} if FINGERPRINT in labels else {}
    if _passed(variant, image, record):
        notes |= {TESTED: variant.contract, TESTS: hash_of_tests(variant.root)}
        if record and record.image_id == image.id and record.test_summary:
            notes[SUMMARY] = record.test_summary
    return notes


class _Push:
    """One push: what stands at the tag, and what is to be done about it."""

    def __init__(self, variant: Variant, client: RegistryClient, rules: PushRules) -> None:
        self.variant = variant
        self.reference = variant.reference
        self.client = client
        self.rules = rules
        self.standing = client.get_manifest(self.reference.tag)

    def promote(self, digest: str) -> Pushed:
        """Have the tag name what the registry has under DIGEST."""
        manifest = self.client.get_manifest(digest)
        if manifest is None:
            raise RegistryError(
                f"{self.reference.name} has {digest} no longer", hint=f"hubtool build {self.variant.image}"
            )
        made_of = document_of(manifest.content)
        if self.rules.staged:
            self.reference = self.reference.with_tag(fingerprint_tag(annotation(made_of, FINGERPRINT)))
        if self.rules.staged or (self.standing and self.standing.digest == digest):
            say(f"{self.reference} is in the registry already: nothing to do")
            return self._result("unchanged", digest)
        self._check_tag()
        if self.rules.dry_run:
            say(f"would set the tag {self.reference.tag} of {self.reference.name} to {digest}")
            return self._result("planned", digest)
        self._set_tag(manifest.content, annotation(made_of, IMAGE_ID))
        return self._result("promoted", digest)

    def unchanged(self, config: str) -> Pushed | None:
        """The result where the tag names what was made of an image with this very config already. The config holds
        the hashes of all layers, hence it is the same image, however it was laid out and compressed."""
        if self.standing is None or config not in self._made_of(self.standing):
            return None
        say(f"{self.reference} is in the registry already: nothing to do")
        return self._result("unchanged", self.standing.digest)

    def _made_of(self, manifest: Manifest) -> tuple[str | None, str]:
        """The config digests that MANIFEST stands for: its own, and the built image's."""
        return config_digest(self.client, manifest), annotation(document_of(manifest.content), IMAGE_ID)

    def run(self, engine: Engine, image: EngineImage) -> Pushed:
        """Export, lay out, pack, send, tag."""
        with spool_folder(needed=int(image.size * 1.5)) as folder:
            target = folder / "image.tar"
            with step(f"taking {self.reference} out of {engine.name}"):
                engine.export(image.id, target)
            with Archive(target) as archive:
                target.unlink()  # the open file is enough
                known = self.unchanged(archive.config_digest)
                if known:
                    return known
                self._check_tag()
                return self._send(archive, folder, image)

    def _send(self, archive: Archive, folder: Path, image: EngineImage) -> Pushed:
        dry_run, packing = self.rules.dry_run, self.variant.packing
        before = read_record(self.variant.root, self.variant.image)
        notes = _notes(self.variant, image, before)
        refs = (NEWEST, (before and before.digest) or "", self.reference.tag)
        earlier = read_earlier(self.client, refs, packing.siblings)
        if dry_run:
            sent = send_image(self.client, archive, packing, earlier, folder, notes=notes, dry_run=True)
            self._tell_plan(sent.blobs, sent.digest)
            return self._result("planned", sent.digest, sent.blobs)
        with unfinished(self.variant.root, self.variant.image, f"push to {self.reference.name}") as again:
            sent = send_image(self.client, archive, packing, earlier, folder, notes=notes, again=again)
            publish_manifest(self.client, sent)
        if TESTED in notes and FINGERPRINT in notes:
            self._set_further(sent.manifest, fingerprint_tag(notes[FINGERPRINT]), "the next build is made again")
        self._set_tag(sent.manifest, archive.config_digest)
        return self._result("pushed", sent.digest, sent.blobs)

    def _set_tag(self, manifest: bytes, config: str) -> None:
        """Have the tag, and that of the newest, name MANIFEST, made of the image with CONFIG."""
        digest = digest_of(manifest)
        self._check_nobody_was_faster(config)
        self.client.put_manifest(manifest, MANIFEST_TYPE, self.reference.tag)
        set_to = self.client.head_manifest(self.reference.tag)
        if set_to is None or set_to.digest != digest:
            raise RegistryError(
                f"{self.reference} was pushed as {digest}, but names {set_to.digest if set_to else 'nothing'} now",
                hint="see whether somebody else pushed to that tag, then run the same command again",
            )
        if not self.rules.staged:
            self._set_further(manifest, NEWEST, "the next push may send more")

    def _set_further(self, manifest: bytes, tag: str, otherwise: str) -> None:
        """Have one more tag, which no hub uses, name MANIFEST; without, OTHERWISE."""
        try:
            self.client.put_manifest(manifest, MANIFEST_TYPE, tag)
        except RegistryError as error:  # a repository whose tags never move, say
            say(f"the tag {tag} was not set, so that {otherwise}: {error.message}")

    def _check_tag(self) -> None:
        """Raise where the tag names something else and may not move."""
        if self.standing is None:
            return
        if not (self.rules.move_tag or self.rules.staged):
            raise HubtoolError(
                f"{self.reference} names {self.standing.digest} already, which is another image; "
                "tags that hubs pin must not change",
                hint="commit and build, which makes a new tag; or take another one with --tag; "
                "or let this one move with --move-tag",
            )
        say(f"the tag {self.reference.tag} {self._moves()} from {self.standing.digest}")

    def _moves(self) -> str:
        return "would move" if self.rules.dry_run else "moves"

    def _check_nobody_was_faster(self, config: str) -> None:
        """Sending took a while; raise where the tag was set to another image meanwhile."""
        now = self.client.get_manifest(self.reference.tag)
        if now is None or now.digest == (self.standing and self.standing.digest):
            return
        if config not in self._made_of(now):
            self.standing = now
            self._check_tag()

    def _tell_plan(self, blobs: tuple[Moved, ...], digest: str) -> None:
        travelling = [blob for blob in blobs if blob.travelled]
        size = megabytes(sum(blob.size for blob in travelling))
        say(f"would send {len(travelling)} of {len(blobs)} blobs, {size}")
        say(f"would set the tag {self.reference.tag} of {self.reference.name} to {digest}")

    def _result(self, state: State, digest: str, blobs: tuple[Moved, ...] = ()) -> Pushed:
        return Pushed(
            image=self.variant.image,
            reference=self.reference.with_tag(self.reference.tag, digest),
            state=state,
            uploaded_bytes=sum(blob.size for blob in blobs if blob.travelled),
            reused_bytes=sum(blob.size for blob in blobs if not blob.travelled),
            blobs=blobs,
        )
