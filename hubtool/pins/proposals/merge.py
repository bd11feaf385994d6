"""Promotion of a whole branch, for repositories whose prod takes nothing but merges from staging."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from hubtool.config import Deployment
from hubtool.forges import Forge, Proposal, PullRequest, open_forge
from hubtool.forges.markdown import bounded, code, table
from hubtool.pins import Pin
from hubtool.pins.proposals.deployed import Deployed
from hubtool.pins.proposals.job import open_branch
from hubtool.pins.proposals.promote import live_since, still_waits, target_of
from hubtool.pins.proposals.request import MAX_ROWS


@dataclass(frozen=True)
class Moved:
    """A pin that the merge would move; ``old`` is "" where it is new."""

    hub: str
    pin: Pin
    old: str


@dataclass(frozen=True)
class Merge:
    """What became of a promotion of branch ``head`` to ``base``. ``moved`` are the pins of all hubs that a merge would
    move; ``waiting`` says why it is not proposed yet."""

    head: str
    base: str
    moved: tuple[Moved, ...]
    title: str
    body: str
    request: PullRequest | None = None
    waiting: str = ""

    def as_json(self) -> dict[str, Any]:
        request = self.request
        return {
            "head": self.head,
            "base": self.base,
            "pins": [{"hub": one.hub, "old": one.old, **one.pin.as_json()} for one in self.moved],
            "request": {"number": request.number, "url": request.url, "state": request.state} if request else None,
            "waiting": self.waiting or None,
        }

    def __str__(self) -> str:
        if self.waiting:
            return f"{self.title}: not yet, {self.waiting}"
        if not self.moved:
            return f"nothing to do, no pin differs between {self.head} and {self.base}"
        lines = [f"  {one.hub}: {one.pin} (was {one.old or 'not there'})" for one in self.moved]
        where = f"{self.request.state} {self.request.url}" if self.request else "would open"
        return f"{self.title}: {where}\n" + "\n".join(lines)


def promote_branch(
    hubs: Sequence[str], deployment: Deployment, *, now: float | None = None, dry_run: bool = False
) -> Merge:
    """Open or refresh the pull request that merges ``deployment.branch`` into ``deployment.promote``.

    Of HUBS, the tags must have been live for ``deployment.soak``; the request lists the pins of every hub that a
    merge moves. With no pin to move, nothing is done.
    """
    forge = open_forge(deployment.repository, deployment.forge, deployment.api)
    head = deployment.branch or forge.default_branch()
    base = target_of(deployment, head)
    with ExitStack() as stack:
        source = Deployed(stack.enter_context(open_branch(forge, head)), deployment)
        target = Deployed(stack.enter_context(open_branch(forge, base)), deployment)
        wanted = source.names_of(hubs)
        moved = _moved(source, target, wanted)
        clock = time.time() if now is None else now
        waiting = [
            why
            for one in moved
            if one.hub in wanted
            and (why := still_waits(source.branch, one.pin, live_since(source.branch, one.pin), deployment.soak, clock))
        ]
    merge = Merge(head, base, tuple(moved), f"Promote {head} to {base}", _body(head, base, moved))
    if waiting:
        return replace(merge, waiting=waiting[0])
    return merge if dry_run or not moved else _open(forge, merge, deployment)


def _open(forge: Forge, merge: Merge, deployment: Deployment) -> Merge:
    proposal = Proposal(merge.head, merge.base, merge.title, merge.body, deployment.labels)
    return replace(merge, request=forge.open_request(proposal))


def _moved(source: Deployed, target: Deployed, hubs: Sequence[str]) -> list[Moved]:
    """The pins of every hub that stand otherwise in TARGET; those of HUBS first."""
    here, there = source.every_hub(), target.every_hub()
    found = []
    for hub in [*hubs, *(hub for hub in here if hub not in hubs)]:
        before = {(pin.file, pin.path, pin.image): pin.tag for pin in there.get(hub, ())}
        for pin in here.get(hub, ()):
            old = before.get((pin.file, pin.path, pin.image))
            if pin.tag and pin.tag != old:
                found.append(Moved(hub, pin, old or ""))
    return found


def _body(head: str, base: str, moved: Sequence[Moved]) -> str:
    hubs = ", ".join(code(hub) for hub in dict.fromkeys(one.hub for one in moved))
    rows = [
        (code(one.hub), code(one.pin.image), code(f"{one.pin.file}:{one.pin.line}"), code(one.old), code(one.pin.tag))
        for one in moved
    ]
    return bounded(
        f"Merges {code(head)} into {code(base)}. With it these hubs' pins move: {hubs}. Everything else on "
        f"{code(head)} comes along: look at the commits.\n\n"
        + table(("hub", "image", "file", "old", "new"), rows, MAX_ROWS)
        + "\n"
    )
