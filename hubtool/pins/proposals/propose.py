"""Propose a planned move: its branch pushed, its pull request open, what it supersedes closed."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase

from hubtool import console
from hubtool.errors import HubtoolError
from hubtool.forges import BranchMoved, OpenRequest, Proposal
from hubtool.forges.markdown import code, link
from hubtool.pins.proposals.job import Bump, Job
from hubtool.pins.proposals.request import branch_name, is_superseded, is_untouched, mark, trailers

ATTEMPTS = 5


def propose(job: Job, plan: Bump) -> Bump:
    """Push the plan's branch, see that its pull request is there, and close older ones that it makes needless.

    Killed at any point and run again, it goes on. Raises HubtoolError where somebody else pushed on the branch.
    """
    commit, pushed = _push(job, plan)
    proposal = Proposal(plan.branch, job.branch.name, plan.title, plan.body, job.deployment.labels)
    request = job.forge.open_request(proposal)
    if pushed and request.state == "unchanged":
        request = replace(request, state="refreshed")
    _close_superseded(job, plan, f"Superseded by {link(f'#{request.number}', request.url)}.")
    return replace(plan, commit=commit, request=request)


def finish(job: Job, plan: Bump) -> Bump:
    """Propose PLAN; where its hubs are at the tag already, close the request that has become needless."""
    if plan.changes:
        return propose(job, plan)
    if not plan.waiting:
        close_stale(job, plan)
    return plan


def close_stale(job: Job, plan: Bump, verb: str = "bump") -> None:
    """Close the open request of a PLAN that found its hubs at the tag already: there is nothing to merge in it."""
    branch = branch_name(plan.group, plan.new, job.branch.name, job.default_branch, verb)
    for request in job.requests:
        if request.head == branch and _is_ours(job, plan, branch):
            _close(job, request, f"{job.branch.name} is at {code(plan.new.tag)} already.")


def _push(job: Job, plan: Bump) -> tuple[str, bool]:
    """The commit that the plan's branch stands at in the end, and whether it had to be pushed."""
    tree = job.branch.write_tree({change.file: change.after for change in plan.changes})
    for _ in range(ATTEMPTS):
        tip = job.branch.tip(plan.branch)
        if tip is not None and not is_untouched(tip.message, tip.tree, len(tip.parents), mark(plan.group, plan.new)):
            raise HubtoolError(
                f"the branch {plan.branch} holds work of somebody else (commit {tip.sha[:12]})",
                hint="merge or close its pull request and delete the branch; then run the same command again",
            )
        if tip is not None and (tip.tree, tip.parents) == (tree, (job.branch.base,)):
            return tip.sha, False
        commit = job.branch.commit(tree, plan.message + trailers(plan.group, plan.new, tree))
        try:
            job.branch.push(commit, plan.branch, tip)
        except BranchMoved:
            continue
        return commit, True
    raise HubtoolError(f"the branch {plan.branch} keeps moving", hint="run the same command again")


def _close_superseded(job: Job, plan: Bump, comment: str) -> None:
    for request in job.requests:
        if request.head == plan.branch:
            continue
        ours = request.head.startswith("hubtool/bump/") and is_superseded(request.body, plan.group, plan.new)
        if ours or _is_listed(job, plan, request.head):
            _close(job, request, comment)


def _is_listed(job: Job, plan: Bump, head: str) -> bool:
    """Whether hubtool.yaml says that another tool's branch HEAD is a bump of one of the plan's hubs."""
    patterns = [one.replace("{hub}", hub) for one in job.deployment.supersedes for hub in plan.group.hubs]
    return any(fnmatchcase(head, pattern) for pattern in patterns)


def _is_ours(job: Job, plan: Bump, branch: str) -> bool:
    tip = job.branch.tip(branch)
    return tip is not None and is_untouched(tip.message, tip.tree, len(tip.parents), mark(plan.group, plan.new))


def _close(job: Job, request: OpenRequest, comment: str) -> None:
    """Close REQUEST; that it stays open is not worth failing for."""
    try:
        job.forge.close_request(request.number, comment)
    except HubtoolError as error:
        console.warn(f"{request.url} is superseded and still open: {error.message}")
    else:
        console.say(f"closed {request.url}: {request.title}")
