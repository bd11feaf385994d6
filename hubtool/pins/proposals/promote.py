"""Promote: what is live on one branch (staging) to another (prod), by pull request, once it was live long enough."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from hubtool.config import Deployment
from hubtool.errors import HubtoolError
from hubtool.forges import Branch, open_forge
from hubtool.forges.markdown import code
from hubtool.pins import Pin
from hubtool.pins.choose import MAX_LISTED, Choice, Kin, by_variant, of_image
from hubtool.pins.proposals.history import live_tags
from hubtool.pins.proposals.job import Bump, Held, Job, Rules, open_branch
from hubtool.pins.proposals.propose import finish
from hubtool.pins.proposals.request import Group
from hubtool.reference import ImageReference

UNITS = {"m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Source:
    """Where tags are promoted from: the same hubs on another branch, or the hub ``hub`` in their stead."""

    job: Job
    hub: str | None


def promote_hubs(
    hubs: Sequence[str],
    image: ImageReference | None,
    deployment: Deployment,
    *,
    from_hub: str | None = None,
    from_tag: str | None = None,
    kin: Kin | None = None,
    now: float | None = None,
    dry_run: bool = False,
) -> list[Bump]:
    """Open or refresh the pull requests that bring HUBS, on the branch ``deployment.promote``, to the tags that they
    have on ``deployment.branch``; with FROM_HUB, on that branch itself, to the tags of that hub.

    IMAGE (without tag): that image alone. FROM_TAG: only pins that stand at it. KIN: pins of an image's variants move
    each to the tag of its own variant, in one request. A tag that has been live for less than ``deployment.soak`` is
    not proposed yet: ``waiting`` says so. Raises HubtoolError where the pins to promote from stand at several tags of
    one variant, and for all that a bump raises for.
    """
    forge = open_forge(deployment.repository, deployment.forge, deployment.api)
    start = deployment.branch or forge.default_branch()
    end = start if from_hub else target_of(deployment, start)
    clock = time.time() if now is None else now
    with ExitStack() as stack:
        source = Source(Job(forge, stack.enter_context(open_branch(forge, start)), deployment), from_hub)
        target = source.job
        if end != start:
            target = Job(forge, stack.enter_context(open_branch(forge, end)), deployment)
        plans = [
            plan for hub in hubs for plan in _plan_hub(source, target, hub, image, Rules(from_tag, kin=kin), clock)
        ]
        return plans if dry_run else [finish(target, plan) for plan in plans]


def target_of(deployment: Deployment, start: str) -> str:
    """The branch to promote to from START; HubtoolError where hubtool.yaml names none."""
    if not deployment.promote or deployment.promote == start:
        raise HubtoolError(
            "no branch to promote to",
            hint="name it in hubtool.yaml (deployment: {branch: staging, promote: prod}), or promote from one hub to "
            "another with --from-hub HUB",
        )
    return deployment.promote


def _plan_hub(
    source: Source, target: Job, hub: str, image: ImageReference | None, rules: Rules, clock: float
) -> list[Bump]:
    origin, group = source.hub or hub, Group.of(target.deployed.names_of([hub]))
    there = [pin for pin in source.job.deployed.scan([origin]).pins if pin.editable and pin.tag]
    found = target.deployed.scan([hub])
    here = [pin for pin in found.pins if pin.editable and pin.tag]
    images = [image] if image else [ImageReference.parse(name) for name in sorted({pin.image for pin in here})]
    plans = []
    for one in images:
        pins = of_image(there, one)
        if not pins or not of_image(here, one):
            if image:
                places = f"{origin} on {source.job.branch.name} and in {hub} on {target.branch.name}"
                raise HubtoolError(f"{one.name} is not pinned both in {places}")
            continue
        live = _live(pins, origin, one, rules)
        since = {pin: live_since(source.job.branch, pin) for pin in live}
        reasoned = replace(rules, reason=_reason(source, max(since.values())))
        try:
            plan = target.plan(group, [one.with_tag(pin.tag) for pin in live], found, reasoned)
        except Held as held:
            plan = Bump(group, one.with_tag(live[0].tag), Choice(one.name, (), (), ()), waiting=held.message)
        moving = [pin for pin in live if plan.changes and pin.tag in {new.tag for new in (plan.new, *plan.further)}]
        waits = (still_waits(source.job.branch, pin, since[pin], target.deployment.soak, clock) for pin in moving)
        waiting = next(filter(None, waits), "")
        plans.append(replace(plan, changes=(), waiting=waiting) if waiting else plan)
    return plans


def _live(pins: Sequence[Pin], hub: str, image: ImageReference, rules: Rules) -> list[Pin]:
    """A pin for each tag to promote: one, or one for each variant; with a tag that alone moves, for its variant."""
    live = by_variant(pins, image, rules.kin) or []
    if len(live) > 1 and rules.from_tag is not None and rules.kin is not None:
        live = [pin for pin in live if rules.kin(image.with_tag(pin.tag), rules.from_tag)]
    if not live:
        listed = "\n".join(f"  {pin.file}:{pin.line}: {pin.path}: {pin.tag}" for pin in pins[:MAX_LISTED])
        tags = {pin.tag for pin in pins}
        raise HubtoolError(
            f"{image.name} stands at {len(tags)} tags in hub {hub}, so which to promote is not clear:\n{listed}",
            hint="bump the tag that you want: hubtool bump --tag TAG --branch BRANCH",
        )
    return live


def _reason(source: Source, since: int) -> str:
    return (
        f"Promotes what is live on {code(source.job.branch.name)}"
        + (f" in hub {code(source.hub)}" if source.hub else "")
        + f" since {datetime.fromtimestamp(since, UTC):%Y-%m-%d %H:%M} UTC."
    )


def live_since(branch: Branch, pin: Pin) -> int:
    """When the tag of PIN came to BRANCH, in seconds since 1970."""
    live = next(iter(live_tags(branch, pin)), None)
    return live.since if live else 0


def still_waits(branch: Branch, pin: Pin, since: int, soak: str, clock: float) -> str:
    """Why the tag of PIN, live SINCE then, can't be promoted yet at CLOCK (seconds since 1970); "" where it can."""
    left = since + int(soak[:-1]) * UNITS[soak[-1]] - clock
    if left <= 0:
        return ""
    hours = f"{left / 3600:.1f} h" if left >= 3600 else f"{left / 60:.0f} min"
    return f"{pin.tag} of {pin.image} has to be live on {branch.name} for {soak}: {hours} to go"
