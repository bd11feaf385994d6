"""Rollback: back to the tag that was live before, by pull request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hubtool import console
from hubtool.config import Deployment
from hubtool.errors import HubtoolError
from hubtool.forges import open_forge
from hubtool.forges.markdown import code
from hubtool.pins import Pin
from hubtool.pins.choose import Kin, by_variant, of_image
from hubtool.pins.proposals.history import live_tags
from hubtool.pins.proposals.job import Bump, Job, Rules, is_held, open_branch
from hubtool.pins.proposals.propose import propose
from hubtool.pins.proposals.request import Group
from hubtool.pins.scan import Scan
from hubtool.reference import ImageReference

VERB = "rollback"


def roll_back(
    hubs: Sequence[str],
    image: ImageReference | None,
    deployment: Deployment,
    *,
    from_tag: str | None = None,
    kin: Kin | None = None,
    dry_run: bool = False,
) -> list[Bump]:
    """Open or refresh a pull request for each of HUBS that brings IMAGE back to the tag that was live before.

    IMAGE (without tag) may be left out where the hub pins one image. FROM_TAG: the pins at that tag. KIN: where the
    pins are of several variants, those that the last change moved go back, each to its own variant's tag. A tag that
    was itself left by a rollback, is on hold, or is gone from its registry is passed over. Raises HubtoolError where
    no tag is left, and for all that a bump raises for.
    """
    forge = open_forge(deployment.repository, deployment.forge, deployment.api)
    branch = deployment.branch or forge.default_branch()
    with open_branch(forge, branch) as opened:
        job = Job(forge, opened, deployment)
        plans = [_plan(job, hub, image, Rules(from_tag, verb=VERB, kin=kin)) for hub in hubs]
        return plans if dry_run else [propose(job, plan) if plan.changes else plan for plan in plans]


def _plan(job: Job, hub: str, image: ImageReference | None, rules: Rules) -> Bump:
    found = job.deployed.scan([hub])
    wanted = image or only_image(found, hub)
    pins = [pin for pin in of_image(found.pins, wanted) if pin.editable and pin.tag]
    pins = [pin for pin in pins if rules.from_tag in (None, pin.tag)]
    live = by_variant(pins, wanted, rules.kin)
    if not live:
        raise _unclear(hub, wanted, sorted({pin.tag for pin in pins}), rules.from_tag)
    kin = rules.kin if len(live) > 1 else None
    back = {pin.tag: _before(job, pin, kin) for pin in _moved_last(job, live)}
    reason = "Rollback: " + " ".join(
        f"{code(now)} is live on {code(job.branch.name)}, {code(tag)} was before it." for now, tag in back.items()
    )
    rules = replace(rules, from_tag=next(iter(back)) if len(live) == 1 else rules.from_tag, reason=reason)
    images = [wanted.with_tag(tag) for tag in back.values()]
    return job.plan(Group.of(job.deployed.names_of([hub])), images, found, rules)


def _moved_last(job: Job, pins: Sequence[Pin]) -> Sequence[Pin]:
    """Those of PINS whose tags came with the newest of the changes that brought them."""
    if len(pins) == 1:
        return pins
    came = [next(iter(live_tags(job.branch, pin))) for pin in pins]
    last = max(came, key=lambda live: live.since)
    return [pin for pin, live in zip(pins, came, strict=True) if live.revision == last.revision]


def only_image(found: Scan, hub: str) -> ImageReference:
    """The one image that the pins of HUB name; HubtoolError where they name several or none."""
    names = sorted({pin.image for pin in found.pins if pin.editable and pin.tag})
    if len(names) == 1:
        return ImageReference.parse(names[0])
    if not names:
        raise HubtoolError(f"hub {hub} pins no image that hubtool can move")
    listed = "\n".join(f"  {name}" for name in names[:20])
    raise HubtoolError(f"hub {hub} pins {len(names)} images:\n{listed}", hint="say which with --image")


def _before(job: Job, pin: Pin, kin: Kin | None) -> str:
    """The last tag that was live before the pin's, is of the same variant, is wanted, and is there."""
    image, passed = ImageReference.parse(pin.image), []
    for tag in previous_tags([live.tag for live in live_tags(job.branch, pin)]):
        if kin is not None and not kin(image.with_tag(pin.tag), tag):
            passed.append(f"{tag} is of another variant")
        elif is_held(job.deployment.hold, image.with_tag(tag)):
            passed.append(f"{tag} is on hold")
        elif not job.releases.is_there(image.with_tag(tag)):
            passed.append(f"{tag} is not in the registry any more")
        else:
            for line in passed:
                console.warn(f"passed over: {line}")
            return tag
    raise HubtoolError(
        f"no earlier tag of {image.name} to go back to in the history of {pin.file}"
        + "".join(f"\n  {line}" for line in passed),
        hint="name one yourself: hubtool bump --tag TAG",
    )


def previous_tags(runs: Sequence[str | None]) -> list[str]:
    """The tags to go back to, the best first. RUNS are the tags that were live, newest first, the present one first.

    Where the present tag was live before (Z, A, B, A), what came between (B) was left for a reason.
    """
    earliest = max((at for at, tag in enumerate(runs) if runs and tag == runs[0]), default=-1)
    return [tag for tag in dict.fromkeys(runs[earliest + 1 :]) if tag is not None]


def _unclear(hub: str, image: ImageReference, tags: Sequence[str], from_tag: str | None) -> HubtoolError:
    if not tags:
        at = f" at '{from_tag}'" if from_tag else ""
        return HubtoolError(f"hub {hub}: no pin of {image.name}{at} that hubtool can move")
    return HubtoolError(
        f"hub {hub}: pins of {image.name} stand at {len(tags)} tags: {', '.join(tags)}",
        hint="roll back those at one tag with --from TAG",
    )
