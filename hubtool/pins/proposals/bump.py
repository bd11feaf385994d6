"""Bump: move an image's pins in a deployment repository, by pull request."""

from __future__ import annotations

from collections.abc import Sequence

from hubtool.config import Deployment
from hubtool.forges import open_forge
from hubtool.pins.choose import NoPin
from hubtool.pins.proposals.job import Bump, Job, Rules, open_branch
from hubtool.pins.proposals.propose import finish
from hubtool.pins.proposals.request import Group
from hubtool.reference import ImageReference


def bump_hubs(
    groups: Sequence[Group],
    images: Sequence[ImageReference],
    deployment: Deployment,
    rules: Rules | None = None,
    *,
    dry_run: bool = False,
) -> list[Bump]:
    """Open or refresh one pull request for each of GROUPS and IMAGES (references with the tag to move to); several
    variants of one repository have it together, where RULES tell their tags apart.

    With several images, a group has to pin at least one of them. DRY_RUN reads and edits as the real thing does,
    and pushes nothing. Raises HubtoolError for an unknown hub, no pin, a tag that the registry does not hold, an
    edit that can't be proven, a branch that somebody else pushed on, or a forge that refuses.
    """
    forge = open_forge(deployment.repository, deployment.forge, deployment.api)
    branch = deployment.branch or forge.default_branch()
    with open_branch(forge, branch) as opened:
        job = Job(forge, opened, deployment)
        # All is planned before anything is pushed, so that an error in the last hub leaves no half of the work.
        plans = plan_groups(job, groups, images, rules or Rules())
        return plans if dry_run else [finish(job, plan) for plan in plans]


def plan_groups(job: Job, groups: Sequence[Group], images: Sequence[ImageReference], rules: Rules) -> list[Bump]:
    """What each of GROUPS needs for each of IMAGES that it pins; raises as bump_hubs does, and writes nothing."""
    job.deployed.scan([hub for group in groups for hub in group.hubs])  # the files of all of them at once
    return [plan for group in groups for plan in _plan_group(job, _named(job, group), images, rules)]


def _named(job: Job, group: Group) -> Group:
    return group.renamed(job.deployed.names_of(group.hubs))


def _plan_group(job: Job, group: Group, images: Sequence[ImageReference], rules: Rules) -> list[Bump]:
    found = job.deployed.scan(group.hubs)
    plans, missing = [], None
    for variants in _by_repository(images) if rules.kin else [[image] for image in images]:
        try:
            plans.append(job.plan(group, variants, found, rules))
        except NoPin as error:
            unread = "".join(f"\n  not read: {one.file} {one.why}" for one in found.unread(variants[0].repository))
            noun = "hub" if len(group.hubs) == 1 else "hubs"
            names = ", ".join(group.hubs)
            missing = missing or NoPin(f"{noun} {names}: {error.message}{unread}", hint=error.hint)
    if missing is not None and not plans:
        raise missing
    return plans


def _by_repository(images: Sequence[ImageReference]) -> list[list[ImageReference]]:
    found: dict[str, list[ImageReference]] = {}
    for image in images:
        found.setdefault(image.normalized().name, []).append(image)
    return list(found.values())
