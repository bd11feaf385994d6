"""What a bump, a rollback and a promotion have in common: plan the move of one image in some hubs, and propose it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from hubtool import console
from hubtool.config import Deployment
from hubtool.errors import HubtoolError
from hubtool.forges import Branch, Forge, OpenRequest, PullRequest, SourceCommit
from hubtool.pins.choose import Choice, choose
from hubtool.pins.proposals.deployed import Deployed
from hubtool.pins.proposals.packages import NOTHING_KNOWN
from hubtool.pins.proposals.releases import Releases
from hubtool.pins.proposals.request import Facts, Group, Origin, body, branch_name, commit_message, title
from hubtool.pins.scan import Change, Scan
from hubtool.reference import ImageReference
from hubtool.registries import Release


@dataclass(frozen=True)
class Bump:
    """What became of one move of some hubs to one image's tag. Without changes there was nothing to do; ``request``
    is None then, and in a dry run. ``waiting`` says why a promotion is not proposed yet."""

    group: Group
    new: ImageReference
    choice: Choice
    changes: tuple[Change, ...] = ()
    touched: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    branch: str = ""
    title: str = ""
    body: str = ""
    message: str = ""
    commit: str | None = None
    request: PullRequest | None = None
    waiting: str = ""

    def as_json(self) -> dict[str, Any]:
        request = self.request
        return {
            "hub": self.group.name,
            "hubs": list(self.group.hubs),
            "image": self.choice.image,
            "old": list(self.choice.old_tags),
            "new": self.new.tag,
            "digest": self.new.digest,
            "files": [change.file for change in self.changes],
            "touched": list(self.touched),
            "request": {"number": request.number, "url": request.url, "state": request.state} if request else None,
            "commit": self.commit,
            "branch": self.branch or None,
            "waiting": self.waiting or None,
        }

    def diff(self) -> str:
        return "".join(change.diff() for change in self.changes)


@dataclass(frozen=True)
class Rules:
    """How a move chooses its pins and what its request says. ``tests`` are test results by digest."""

    from_tag: str | None = None
    all_tags: bool = False
    pin_digest: bool = False
    verb: str = "bump"
    reason: str = ""
    tests: Mapping[str, str] = field(default_factory=dict)


class Held(HubtoolError):
    """The tag is on hold: hubtool.yaml says that it is never proposed."""


@contextmanager
def open_branch(forge: Forge, branch: str) -> Iterator[Branch]:
    """BRANCH of the deployment repository, told to who waits for it."""
    with ExitStack() as stack:
        with console.step(f"Reading {forge.repository} at {branch}"):
            opened = stack.enter_context(forge.open_branch(branch))
        yield opened


class Job:
    """Moves of pins on one branch of a deployment repository."""

    def __init__(self, forge: Forge, branch: Branch, deployment: Deployment) -> None:
        self.forge = forge
        self.branch = branch
        self.deployment = deployment
        self.deployed = Deployed(branch, deployment)
        self.releases = Releases(deployment)
        self._commits: dict[tuple[Origin, Origin], Sequence[SourceCommit]] = {}
        self._requests: dict[Origin, int | None] = {}

    @cached_property
    def default_branch(self) -> str:
        return self.forge.default_branch()

    @cached_property
    def requests(self) -> Sequence[OpenRequest]:
        """The requests that were open when they were first asked for."""
        return self.forge.requests(self.branch.name)

    def plan(self, group: Group, image: ImageReference, found: Scan, rules: Rules) -> Bump:
        """What brings the pins of IMAGE in FOUND (the scan of GROUP) to IMAGE's tag. Nothing is written.

        Raises HubtoolError for pins that can't be chosen or moved, a tag on hold, and one that the registry does
        not hold for the hubs' platform.
        """
        with_digest = rules.pin_digest or self.deployment.pin_digest
        choice = self._choose(found, image, rules, with_digest)
        wanted = ImageReference.parse(choice.image).with_tag(image.tag)
        if not choice.moving and not with_digest and not any(pin.digest for pin in choice.there):
            return Bump(group, wanted, choice)
        if choice.moving:
            refuse_held(self.deployment.hold, wanted)
        release, old = self.releases.find(wanted, choice.old_tags)
        new = wanted.with_tag(image.tag, release.reference.digest)
        choice = self._choose(found, image.with_tag(image.tag, new.digest), rules, with_digest)
        changes = self.deployed.move(found, choice, new, pin_digest=with_digest)
        if not changes:
            return Bump(group, new, choice)
        return self._tell(group, new, choice, changes, found, release, old, rules)

    def _choose(self, found: Scan, image: ImageReference, rules: Rules, pin_digest: bool) -> Choice:
        return choose(
            found.pins,
            image,
            image.tag,
            digest=image.digest,
            from_tag=rules.from_tag,
            all_tags=rules.all_tags,
            pin_digest=pin_digest,
        )

    def _tell(
        self,
        group: Group,
        new: ImageReference,
        choice: Choice,
        changes: Sequence[Change],
        found: Scan,
        release: Release,
        old: Release | None,
        rules: Rules,
    ) -> Bump:
        unread = tuple(found.unread(new.repository))
        now, was = self._origin(release), Origin.of(old.labels) if old else Origin()
        files = [change.file for change in changes]
        touched = self.deployed.hubs(group.hubs).touched(files)
        onto = "" if self.branch.name == self.default_branch else self.branch.name
        facts = Facts(
            group, self.forge.repository, new, choice, changes, unread, release.platforms, was, now,
            commits=self._between(was, now), touched=touched, base=onto, reason=rules.reason,
            tests=rules.tests.get(new.digest or "", ""),
            comparison=self.releases.compare(old, release) if old else NOTHING_KNOWN,
        )  # fmt: skip
        branch = branch_name(group, new, self.branch.name, self.default_branch, rules.verb)
        return Bump(
            group, new, choice, tuple(changes), tuple(touched),
            tuple(f"{one.file} {one.why}" for one in unread),
            branch, title(facts), body(facts), commit_message(facts),
        )  # fmt: skip

    def _origin(self, release: Release) -> Origin:
        origin = Origin.of(release.labels)
        if not (origin.source and origin.revision):
            return origin
        if origin not in self._requests:
            self._requests[origin] = self.forge.merged_request(origin.source, origin.revision)
        return replace(origin, request=self._requests[origin])

    def _between(self, was: Origin, now: Origin) -> Sequence[SourceCommit]:
        if not (was.revision and now.revision) or was.source != now.source or was.revision == now.revision:
            return ()
        if (was, now) not in self._commits:
            found = self.forge.commits_between(now.source, was.revision, now.revision)
            self._commits[was, now] = found or ()
        return self._commits[was, now]


def refuse_held(hold: Sequence[str], image: ImageReference) -> None:
    """Raise Held where IMAGE's tag is on HOLD, which lists TAG or IMAGE:TAG."""
    if is_held(hold, image):
        raise Held(
            f"{image.tag} of {image.name} is on hold: hubtool.yaml's deployment.hold lists it",
            hint="take it off the list, or move to another tag with --tag",
        )


def is_held(hold: Sequence[str], image: ImageReference) -> bool:
    for entry in hold:
        name, _, tag = entry.rpartition(":")
        if tag == image.tag and (not name or ImageReference.parse(name).same_repository(image)):
            return True
    return False
