"""Bump: move an image's pins in a deployment repository, by pull request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from hubtool.config import Deployment
from hubtool.console import step
from hubtool.errors import HubtoolError
from hubtool.forges import Branch, BranchMoved, Forge, Proposal, PullRequest, open_forge
from hubtool.pins.choose import Choice, NoPin, choose
from hubtool.pins.hubs import hub_files
from hubtool.pins.inherit import inherit
from hubtool.pins.request import Facts, Origin, body, branch_name, commit_message, is_untouched, mark, title, trailers
from hubtool.pins.scan import Change, Scan, move, scan
from hubtool.reference import ImageReference
from hubtool.registries import Release, find_release

ATTEMPTS = 5


@dataclass(frozen=True)
class Bump:
    """What became of one hub's bump to one image's tag. Without changes there was nothing to do; ``request`` is
    None then, and in a dry run."""

    hub: str
    new: ImageReference
    choice: Choice
    changes: tuple[Change, ...] = ()
    branch: str = ""
    title: str = ""
    body: str = ""
    message: str = ""
    commit: str | None = None
    request: PullRequest | None = None

    def as_json(self) -> dict[str, Any]:
        request = self.request
        return {
            "hub": self.hub,
            "image": self.choice.image,
            "old": list(self.choice.old_tags),
            "new": self.new.tag,
            "digest": self.new.digest,
            "files": [change.file for change in self.changes],
            "request": {"number": request.number, "url": request.url, "state": request.state} if request else None,
            "commit": self.commit,
            "branch": self.branch or None,
        }

    def diff(self) -> str:
        return "".join(change.diff() for change in self.changes)


def bump_hubs(
    hubs: Sequence[str],
    images: Sequence[ImageReference],
    deployment: Deployment,
    *,
    from_tag: str | None = None,
    all_tags: bool = False,
    dry_run: bool = False,
) -> list[Bump]:
    """Open or refresh one pull request for each of HUBS and IMAGES (references with the tag to move to).

    With several images, a hub has to pin at least one of them. DRY_RUN reads and edits as the real thing does,
    and pushes nothing. Raises HubtoolError for an unknown hub, no pin, a tag that the registry does not hold, an
    edit that can't be proven, a branch that somebody else pushed on, or a forge that refuses.
    """
    forge = open_forge(deployment.repository, deployment.forge, deployment.api)
    default = forge.default_branch()
    branch = deployment.branch or default
    with open_branch(forge, branch) as checkout:
        job = _Job(forge, checkout, deployment, default, from_tag, all_tags)
        # All is planned before anything is pushed, so that an error in the last hub leaves no half of the work.
        plans = [plan for hub in hubs for plan in job.plan_hub(hub, images)]
        return [plan if dry_run or not plan.changes else job.propose(plan) for plan in plans]


@contextmanager
def open_branch(forge: Forge, branch: str) -> Iterator[Branch]:
    """BRANCH of the deployment repository, told to who waits for it."""
    with ExitStack() as stack:
        with step(f"Reading {forge.repository} at {branch}"):
            opened = stack.enter_context(forge.open_branch(branch))
        yield opened


@dataclass(frozen=True)
class _Job:
    forge: Forge
    checkout: Branch
    deployment: Deployment
    default_branch: str
    from_tag: str | None
    all_tags: bool

    def plan_hub(self, hub: str, images: Sequence[ImageReference]) -> list[Bump]:
        """What each image that HUB pins would need."""
        files = {file.path: file for file in self.checkout.files()}
        names = hub_files(files, hub, self.deployment.paths)
        found = scan(self.checkout.read([files[name] for name in names]))
        found = replace(found, pins=tuple(inherit(found.pins)))
        plans, missing = [], None
        for image in images:
            try:
                plans.append(self._plan(hub, image, found))
            except NoPin as error:
                unread = "".join(f"\n  not read: {one.file} {one.why}" for one in found.unread(image.repository))
                missing = missing or NoPin(f"hub {hub}: {error.message}{unread}", hint=error.hint)
        if missing is not None and not plans:
            raise missing
        return plans

    def propose(self, plan: Bump) -> Bump:
        """Push the plan's branch and see that its pull request is there."""
        commit, pushed = self._push(plan)
        proposal = Proposal(plan.branch, self.checkout.name, plan.title, plan.body, self.deployment.labels)
        request = self.forge.open_request(proposal)
        if pushed and request.state == "unchanged":
            request = replace(request, state="refreshed")
        return replace(plan, commit=commit, request=request)

    def _plan(self, hub: str, image: ImageReference, found: Scan) -> Bump:
        choice = self._choose(found, image)
        wanted = ImageReference.parse(choice.image).with_tag(image.tag)
        if not choice.moving and not any(pin.digest for pin in choice.there):
            return Bump(hub, wanted, choice)
        release = find_release(wanted)
        if release is None:
            raise HubtoolError(
                f"{wanted} is not in the registry",
                hint="push it first (hubtool push), or name a tag that is there with --tag",
            )
        new = wanted.with_tag(image.tag, release.reference.digest)
        choice = self._choose(found, image.with_tag(image.tag, new.digest))
        changes = tuple(move(found.files, choice.moving, new.tag, new.digest))
        if not changes:
            return Bump(hub, new, choice)
        now, was = self._now(release), _was(new, choice)
        unread = tuple(found.unread(new.repository))
        where = self.forge.repository
        facts = Facts(hub, where, new, choice, changes, unread, release.platforms, was, now)
        branch = branch_name(hub, new, self.checkout.name, self.default_branch)
        return Bump(hub, new, choice, changes, branch, title(facts), body(facts), commit_message(facts))

    def _choose(self, found: Scan, image: ImageReference) -> Choice:
        options = {"digest": image.digest, "from_tag": self.from_tag}
        return choose(found.pins, image, image.tag, all_tags=self.all_tags, **options)

    def _now(self, release: Release) -> Origin:
        origin = Origin.of(release.labels)
        if not (origin.source and origin.revision):
            return origin
        return replace(origin, request=self.forge.merged_request(origin.source, origin.revision))

    def _push(self, plan: Bump) -> tuple[str, bool]:
        """The commit that the plan's branch stands at in the end, and whether it had to be pushed."""
        tree = self.checkout.write_tree({change.file: change.after for change in plan.changes})
        expected = mark(plan.hub, plan.new)
        for _ in range(ATTEMPTS):
            tip = self.checkout.tip(plan.branch)
            if tip is not None and not is_untouched(tip.message, tip.tree, len(tip.parents), expected):
                raise HubtoolError(
                    f"the branch {plan.branch} holds work of somebody else (commit {tip.sha[:12]})",
                    hint="merge or close its pull request and delete the branch; then run the same command again",
                )
            if tip is not None and (tip.tree, tip.parents) == (tree, (self.checkout.base,)):
                return tip.sha, False
            commit = self.checkout.commit(tree, plan.message + trailers(plan.hub, plan.new, tree))
            try:
                self.checkout.push(commit, plan.branch, tip)
            except BranchMoved:
                continue
            return commit, True
        raise HubtoolError(f"the branch {plan.branch} keeps moving", hint="run the same command again")


def _was(new: ImageReference, choice: Choice) -> Origin:
    """Where the old image came from; unknown where the registry does not hold it any more or won't say."""
    old = choice.old_tags
    if len(old) != 1 or old[0] in ("", new.tag):
        return Origin()
    try:
        release = find_release(new.with_tag(old[0]))
    except HubtoolError:
        return Origin()
    return Origin.of(release.labels) if release else Origin()
