"""What a bump, a rollback and a promotion have in common: plan the move of one image in some hubs, and propose it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

from hubtool import console
from hubtool.config import Deployment
from hubtool.errors import HubtoolError
from hubtool.forges import Branch, Forge, OpenRequest, PullRequest, SourceCommit
from hubtool.pins.choose import Choice, Kin, NoPin, choose, together
from hubtool.pins.edit import Move
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
    is None then, and in a dry run. ``waiting`` says why a promotion is not proposed yet. ``further`` are those that
    pins of other variants move to."""

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
    further: tuple[ImageReference, ...] = ()

    def as_json(self) -> dict[str, Any]:
        request = self.request
        return {
            "hub": self.group.name,
            "hubs": list(self.group.hubs),
            "image": self.choice.image,
            "old": list(self.choice.old_tags),
            "new": self.new.tag,
            "further": [one.tag for one in self.further],
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
    """How a move chooses its pins and what its request says. ``tests`` are test results by digest. ``kin`` tells
    whether a tag is of the same variant as an image's, for repositories of several."""

    from_tag: str | None = None
    all_tags: bool = False
    pin_digest: bool = False
    verb: str = "bump"
    reason: str = ""
    tests: Mapping[str, str] = field(default_factory=dict)
    kin: Kin | None = None


@dataclass(frozen=True)
class _Target:
    """Where the chosen pins go; without a release there is nothing to move."""

    new: ImageReference
    choice: Choice
    release: Release | None = None
    old: Release | None = None


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

    def plan(self, group: Group, images: Sequence[ImageReference], found: Scan, rules: Rules) -> Bump:
        """What brings the pins in FOUND (the scan of GROUP) to the tag of IMAGES, variants of one repository: each pin
        to that of its own variant. Nothing is written.

        Raises HubtoolError for pins that can't be chosen or moved, a tag on hold, and one that the registry does
        not hold for the hubs' platform.
        """
        targets, missing = [], None
        for image in images:
            try:
                targets.append(self._target(image, found, rules))
            except NoPin as error:
                missing = missing or error
        if missing is not None and not targets:
            raise missing
        choice = together([one.choice for one in targets])
        moving = [one for one in targets if one.release is not None]
        moves = [Move(one.choice.moving, one.new.tag, one.new.digest) for one in moving]
        changes = self.deployed.move(found, moves, pin_digest=self._with_digest(rules)) if moves else []
        if not changes:
            return Bump(group, (moving or targets)[0].new, choice)
        return self._tell(group, [one for one in moving if one.choice.moving], choice, changes, found, rules)

    def _target(self, image: ImageReference, found: Scan, rules: Rules) -> _Target:
        choice = self._choose(found, image, rules)
        wanted = ImageReference.parse(choice.image).with_tag(image.tag)
        if not choice.moving and not self._with_digest(rules) and not any(pin.digest for pin in choice.there):
            return _Target(wanted, choice)
        if choice.moving:
            refuse_held(self.deployment.hold, wanted)
        release, old = self.releases.find(wanted, choice.old_tags)
        new = wanted.with_tag(image.tag, release.reference.digest)
        return _Target(new, self._choose(found, image.with_tag(image.tag, new.digest), rules), release, old)

    def _with_digest(self, rules: Rules) -> bool:
        return rules.pin_digest or self.deployment.pin_digest

    def _choose(self, found: Scan, image: ImageReference, rules: Rules) -> Choice:
        return choose(
            found.pins,
            image,
            image.tag,
            digest=image.digest,
            from_tag=rules.from_tag,
            all_tags=rules.all_tags,
            pin_digest=self._with_digest(rules),
            kin=partial(rules.kin, image) if rules.kin else None,
        )

    def _tell(
        self,
        group: Group,
        targets: Sequence[_Target],
        choice: Choice,
        changes: Sequence[Change],
        found: Scan,
        rules: Rules,
    ) -> Bump:
        """The plan, with the texts of its request; what they tell of releases is that of the first of TARGETS."""
        new, release, old = targets[0].new, targets[0].release, targets[0].old
        assert release is not None
        further = {tag: one.new for one in targets[1:] for tag in one.choice.old_tags}
        unread = tuple(found.unread(new.repository))
        now, was = self._origin(release), Origin.of(old.labels) if old else Origin()
        files = [change.file for change in changes]
        touched = self.deployed.hubs(group.hubs).touched(files)
        onto = "" if self.branch.name == self.default_branch else self.branch.name
        facts = Facts(
            group, self.forge.repository, new, choice, changes, unread, release.platforms, was, now,
            commits=self._between(was, now), touched=touched, base=onto, reason=rules.reason,
            tests=rules.tests.get(new.digest or "", ""),
            comparison=self.releases.compare(old, release) if old else NOTHING_KNOWN, further=further,
        )  # fmt: skip
        branch = branch_name(group, new, self.branch.name, self.default_branch, rules.verb)
        return Bump(
            group, new, choice, tuple(changes), tuple(touched),
            tuple(f"{one.file} {one.why}" for one in unread),
            branch, title(facts), body(facts), commit_message(facts), further=tuple(dict.fromkeys(further.values())),
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
