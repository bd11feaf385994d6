"""One push: what stands at the tag that an image shall have, and what is to be done about it.

Blobs go first, then the manifest under its digest, what is attached to it, the tag last: killed at any point, a tag
never names what is not whole, and the next run sends only what is missing.
"""

from __future__ import annotations

import datetime
import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from hubtool.commands.earlier import IMAGE_ID, annotation, base_of, document_of, read_earlier
from hubtool.commands.promotion import BUILT, FINGERPRINT, TESTED, fingerprint_tag
from hubtool.commands.sameness import content_of, read_content
from hubtool.commands.sending import Sent, publish_manifest, send_image
from hubtool.commands.transfer import Moved
from hubtool.console import bytes_text, say, step
from hubtool.engines import Engine, EngineImage
from hubtool.errors import HubtoolError
from hubtool.image.archive import Archive
from hubtool.image.pack import MANIFEST_TYPE, digest_of
from hubtool.image.spool import spool_folder
from hubtool.plan import Variant
from hubtool.plan.records import read_record, unfinished
from hubtool.reference import ImageReference
from hubtool.registries import RegistryError
from hubtool.registries.client import RegistryClient
from hubtool.registries.model import Manifest
from hubtool.registries.release import config_digest

State = Literal["pushed", "unchanged", "planned", "promoted", "refreshed"]


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
    was there already, "refreshed" that of a release that was built again and holds the same."""

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


def rebuild_tag(tag: str, day: str, number: int = 1) -> str:
    """The tag of the NUMBERth rebuild of TAG on a DAY (YYYYMMDD)."""
    return f"{tag}-{day}" + (f"-{number}" if number > 1 else "")


def newest_rebuild(tag: str, tags: Iterable[str]) -> str:
    """The last of TAGS that is TAG or a rebuild of it."""
    rebuild = re.compile(re.escape(tag) + r"-([0-9]{8})(?:-([0-9]{1,9}))?")
    found = [(match[1], int(match[2] or 1), match[0]) for match in map(rebuild.fullmatch, tags) if match]
    return max(found)[2] if found else tag


def _day(built: str) -> str:
    """The day, YYYYMMDD, of a time as manifests have it; "" where that is none."""
    try:
        return f"{datetime.datetime.fromisoformat(built):%Y%m%d}"
    except ValueError:
        return ""


class Push:
    """One push: what stands at the tag, and what is to be done about it."""

    def __init__(
        self, variant: Variant, client: RegistryClient, rules: PushRules, notes: Mapping[str, str] = {}
    ) -> None:
        self.variant = variant
        self.reference = variant.reference
        self.client = client
        self.rules = rules
        self.notes = notes
        self.standing = client.get_manifest(self.reference.tag)
        self.record = read_record(variant.root, variant.image)

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
            return self._nothing_to_do(digest)
        self._follow_rebuilds()
        if self.standing and read_content(self.client, self.standing) == read_content(self.client, manifest):
            return self._nothing_to_do(self.standing.digest)
        self._check_tag(_day(annotation(made_of, BUILT)))
        if self.rules.dry_run:
            say(f"would set the tag {self.reference.tag} of {self.reference.name} to {digest}")
            return self._result("planned", digest)
        self._set_tag(manifest.content, annotation(made_of, IMAGE_ID))
        return self._result("promoted", digest)

    def _nothing_to_do(self, digest: str) -> Pushed:
        say(f"{self.reference} is in the registry already: nothing to do")
        return self._result("unchanged", digest)

    def unchanged(self, config: str) -> Pushed | None:
        """The result where the tag names what was made of an image with this very config already. The config holds
        the hashes of all layers, hence it is the same image, however it was laid out and compressed."""
        if self.standing is None or config not in self._made_of(self.standing):
            return None
        return self._nothing_to_do(self.standing.digest)

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
                self._follow_rebuilds()
                if not self._may_be_the_same():
                    self._check_tag()
                return self._send(archive, folder)

    def _send(self, archive: Archive, folder: Path) -> Pushed:
        refs = (self.variant.newest, (self.record and self.record.digest) or "", self.reference.tag)
        near = (*base_of(archive.config, self.reference), *self.variant.packing.siblings)
        earlier = read_earlier(self.client, refs, near)
        send = partial(send_image, self.client, archive, self.variant.packing, earlier, folder, notes=self.notes)
        if self.rules.dry_run:
            return self._place(send(dry_run=True), archive.config_digest)
        with unfinished(self.variant.root, self.variant.image, f"push to {self.reference.name}") as again:
            sent = send(again=again)
            publish_manifest(self.client, sent)
        if TESTED in self.notes and FINGERPRINT in self.notes:
            tag = fingerprint_tag(self.notes[FINGERPRINT])
            self._set_further(sent.manifest, tag, "the next build is made again")
        return self._place(sent, archive.config_digest)

    def _place(self, sent: Sent, built_as: str) -> Pushed:
        """Have the tag name what was SENT, unless what stands there holds the same."""
        if self.standing and not self.rules.staged:
            content = content_of(sent.manifest, sent.config)
            if content and content == read_content(self.client, self.standing):
                say(f"nothing changed: {self.reference} holds the same")
                return self._result("refreshed" if self._rebuilt() else "unchanged", self.standing.digest, sent.blobs)
        self._check_tag(self._rebuilt())
        if self.rules.dry_run:
            self._tell_plan(sent.blobs, sent.digest)
            return self._result("planned", sent.digest, sent.blobs)
        self._set_tag(sent.manifest, built_as)
        return self._result("pushed", sent.digest, sent.blobs)

    def _rebuilt(self) -> str:
        """The day of this build, YYYYMMDD, where it is one of what was released already; else ""."""
        return (self.record and self.record.rebuilt) or ""

    def _may_be_the_same(self) -> bool:
        """Whether what stands at the tag may hold the same, or the image may have a tag of its own."""
        made_of = annotation(document_of(self.standing.content), FINGERPRINT) if self.standing else ""
        return bool(self._rebuilt()) or (made_of != "" and made_of == self.notes.get(FINGERPRINT))

    def _follow_rebuilds(self) -> None:
        """Have the newest rebuild of what stands at the tag stand for it: a release of the same commit."""
        if self.standing is None or self.rules.named or self.rules.staged:
            return
        try:
            newest = newest_rebuild(self.variant.reference.tag, self.client.list_tags())
        except RegistryError:  # it lists nothing to us; at worst there is one rebuild more
            return
        manifest = self.client.get_manifest(newest)
        if manifest:
            self.reference, self.standing = self.reference.with_tag(newest), manifest

    def _set_tag(self, manifest: bytes, config: str) -> None:
        """Have the tag, and that of the newest, name MANIFEST, made of the image with CONFIG."""
        digest = digest_of(manifest)
        self._check_nobody_was_faster(config)
        self._set_others(manifest)
        self.client.put_manifest(manifest, MANIFEST_TYPE, self.reference.tag)
        set_to = self.client.head_manifest(self.reference.tag)
        if set_to is None or set_to.digest != digest:
            raise RegistryError(
                f"{self.reference} was pushed as {digest}, but names {set_to.digest if set_to else 'nothing'} now",
                hint="see whether somebody else pushed to that tag, then run the same command again",
            )
        if not self.rules.staged:
            self._set_further(manifest, self.variant.newest, "the next push may send more")

    def _set_others(self, manifest: bytes) -> None:
        """Have the further tags name MANIFEST too, before the one that says that all is done."""
        for tag, moves in self.variant.further if not (self.rules.staged or self.rules.named) else ():
            standing = None if moves else self.client.head_manifest(tag)
            if standing is None:
                self.client.put_manifest(manifest, MANIFEST_TYPE, tag)
            elif standing.digest != digest_of(manifest):  # a rebuild's: its first build has that tag
                say(f"the tag {tag} stays with {standing.digest}")

    def _set_further(self, manifest: bytes, tag: str, otherwise: str) -> None:
        """Have one more tag, which no hub uses, name MANIFEST; without, OTHERWISE."""
        try:
            self.client.put_manifest(manifest, MANIFEST_TYPE, tag)
        except RegistryError as error:  # a repository whose tags never move, say
            say(f"the tag {tag} was not set, so that {otherwise}: {error.message}")

    def _check_tag(self, day: str = "") -> None:
        """Raise where the tag names something else and may not move; a rebuild of that DAY gets one of its own."""
        if self.standing is None:
            self._check_others()
            return
        may_move = self.rules.move_tag or self.rules.staged or self.variant.moves
        if day and not (may_move or self.rules.named):
            self.reference, self.standing = self._free_tag(day), None
            return
        if not may_move:
            raise HubtoolError(
                f"{self.reference} names {self.standing.digest} already, which is another image; "
                "tags that hubs pin must not change",
                hint="commit and build, which makes a new tag; or take another one with --tag; "
                "or let this one move with --move-tag",
            )
        say(f"the tag {self.reference.tag} {self._moves()} from {self.standing.digest}")

    def _check_others(self) -> None:
        """Raise where a further tag that never moves is taken, though the one that hubs pin is free."""
        for tag, moves in self.variant.further if not (self.rules.staged or self.rules.named) else ():
            standing = None if moves or self.rules.move_tag else self.client.head_manifest(tag)
            if standing:
                raise HubtoolError(
                    f"{self.reference.with_tag(tag)} names {standing.digest} already, which is another image",
                    hint=f"raise 'version' of {self.variant.image} in hubtool.yaml, and of all that is built on it",
                )

    def _free_tag(self, day: str) -> ImageReference:
        """The first of TAG-DAY, TAG-DAY-2 … that names nothing."""
        names = (rebuild_tag(self.variant.reference.tag, day, number) for number in itertools.count(1))
        return self.variant.reference.with_tag(next(name for name in names if self.client.head_manifest(name) is None))

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
        size = bytes_text(sum(blob.size for blob in travelling))
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
