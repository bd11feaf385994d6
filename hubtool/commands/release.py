"""hubtool release: build, test, push and bump, what CI runs on merge."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache as once
from pathlib import Path
from typing import Any

from hubtool import console
from hubtool.commands import bump as bumping
from hubtool.commands.ask import may_push, which
from hubtool.commands.build import Built, build_variant, on_parent, take_built
from hubtool.commands.build_cache import CacheRules
from hubtool.commands.decide import decide
from hubtool.commands.joining import join
from hubtool.commands.one_push import Pushed, PushRules
from hubtool.commands.publish import check_push, push_variant, set_tags
from hubtool.commands.push import as_data, tell_github
from hubtool.commands.test import tell, test_variant
from hubtool.commands.versions import find_taken, refuse
from hubtool.config import FILE_NAME, Config, Deployment, load
from hubtool.contracts.report import as_text
from hubtool.engines import Engine, choose_engine
from hubtool.errors import HubtoolError
from hubtool.forges import open_forge
from hubtool.pins.proposals.bump import bump_hubs
from hubtool.pins.proposals.job import Bump, Held, Rules
from hubtool.pins.proposals.request import Group
from hubtool.plan import Variant, make_plan, names_of, read_graph
from hubtool.plan.graph import Graph
from hubtool.plan.kin import find_kin
from hubtool.plan.records import REGISTRY
from hubtool.plan.run import run_plan
from hubtool.plan.source import read_source
from hubtool.reference import ImageReference


@dataclass(frozen=True)
class _Target:
    """The hubs that a release moves, and where they are deployed from."""

    hubs: Sequence[str]
    deployment: Deployment


def release(
    images: Sequence[str],
    *,
    root: Path,
    engine: str | None = None,
    tag: str | None = None,
    hubs: Sequence[str] = (),
    deployment: str | None = None,
    no_bump: bool = False,
    cache: CacheRules | None = None,
    rebuild: bool = False,
    no_build: bool = False,
    jobs: int = 1,
    scheduler: str | None = None,
    yes: bool = False,
    dry_run: bool = False,
    as_json: bool = False,
) -> None:
    """Build, test and push the variants of IMAGES (all, where empty), then bump HUBS (default: hubtool.yaml's).

    What is done already is not done again. Whether hubtool may push and open pull requests is asked before
    the build; with NO_BUILD there is none, and what the registry lacks fails. Nothing is published before all is built
    and tested; the tags are set at the end, together. A variant that fails takes with it what is built on it, and
    nothing else: the rest is released, no hub moves, and the error is raised then. With DRY_RUN images are built and
    tested, and the push and the bump are only shown. With SCHEDULER its Dask workers build, test and send. A person at
    a terminal who names no images is asked which of a stack's, and once more before the push, unless YES.
    """
    if scheduler and dry_run:
        raise HubtoolError("--dry-run goes not with --scheduler: workers send images to each other by the registry")
    config = load(root)
    source = read_source(root)
    asked = which(config, root, source, answered=bool(images or yes or as_json or dry_run))
    images = asked or images
    variants = make_plan(config, root, source, images, tag=tag, with_parents=True)
    target = None if no_bump else _target(config, root, hubs, deployment)
    chosen = once(lambda: choose_engine(engine))
    _ask(config, variants, target)
    rules = PushRules(config.create_repository, named=tag is not None, dry_run=dry_run)
    again = names_of(config, root, source, images) if rebuild else frozenset()
    if not (no_build or tag):
        _check_versions(read_graph(config, root, source), variants, chosen, again)
    if scheduler and not no_build:
        from hubtool.commands.dask_client import run_on_workers
        from hubtool.commands.dask_parcels import Task

        task = Task(engine, cache or CacheRules(), replace(rules, staged=True), again, test=True)
        run = run_on_workers(scheduler, variants, task, jobs=jobs)
    else:
        run = run_plan(variants, _Maker(chosen, cache, again, no_build).make, jobs=jobs)
    if asked is not None and not may_push(run.ready):
        console.say("nothing was pushed; hubtool release goes on from here")
        run.raise_failures()
        return
    pushed = join(run.ready, _push_all(run.ready, rules, chosen), rules)
    tell_github(pushed)
    if run.failed:
        _print(pushed, [], dry_run, as_json)
        run.raise_failures()
    moves = Rules(tests=bumping.tests_of(config, root), kin=find_kin(config, root / FILE_NAME).same)
    bumps = _bump(pushed, target, moves, dry_run) if target else []
    _print(pushed, bumps, dry_run, as_json)


def _check_versions(
    graph: Graph, variants: Sequence[Variant], start: Callable[[], Engine], again: frozenset[str]
) -> None:
    """Raise HubtoolError for an image that changed, and has the version of its last release still."""
    nodes = [graph.nodes[variant.image] for variant in variants]
    if any(node.versioned for node in nodes):
        refuse(find_taken(nodes, decide(variants, start, again), surely=True))


@dataclass(frozen=True)
class _Maker:
    """Builds and tests on this machine; with ``no_build`` takes what the registry has."""

    start: Callable[[], Engine]
    cache: CacheRules | None
    again: frozenset[str]
    no_build: bool

    def make(self, variant: Variant, built: Mapping[str, Built]) -> Built:
        """Build VARIANT on what was BUILT, and test it, unless that was done before it came to the registry."""
        console.say(f"\n== build {variant.reference}")
        ready = on_parent(variant, built)
        if self.no_build:
            return take_built(ready, self.start)
        found = build_variant(ready, self.start, self.cache, rebuild=variant.image in self.again)
        if found.engine != REGISTRY:
            _test(variant, self.start())
        return found


def _push_all(variants: Sequence[Variant], rules: PushRules, start: Callable[[], Engine]) -> list[Pushed]:
    """Publish VARIANTS: with several, their layers first, and all tags at the end."""
    if len(variants) < 2 or rules.dry_run:
        return [_push(variant, start, rules) for variant in variants]
    staged: list[Pushed] = []
    sent: dict[ImageReference, ImageReference] = {}  # what will be the newest, and is there by its digest alone
    for variant in variants:
        console.say(f"\n== send {variant.reference}")
        near = tuple(sent.get(one, one) for one in variant.packing.siblings)
        laid = replace(variant, packing=replace(variant.packing, siblings=near))
        staged.append(push_variant(laid, start, replace(rules, staged=True)))
        sent[variant.reference.with_tag(variant.newest)] = staged[-1].reference
    console.say("\n== tags")
    pushed = [set_tags(variant, one, rules) for variant, one in zip(variants, staged, strict=True)]
    for one in pushed:
        console.say(f"{one.reference}: {one.state}")
    return pushed


def _target(config: Config, root: Path, hubs: Sequence[str], repository: str | None) -> _Target | None:
    if config.deployment is None and repository is None:
        console.say("no deployment in hubtool.yaml: nothing will be bumped")
        return None
    found = bumping.find_deployment(config, root, repository, None)
    chosen = list(dict.fromkeys(hubs or found.hubs))
    if not chosen:
        console.say("no hubs in hubtool.yaml's deployment: nothing will be bumped")
        return None
    return _Target(chosen, found)


def _ask(config: Config, variants: Sequence[Variant], target: _Target | None) -> None:
    """Whether hubtool may do what the release ends with; raises HubtoolError where not."""
    for variant in variants:
        console.say(f"may push to {variant.reference.name}: {check_push(variant.reference, config.create_repository)}")
    if target:
        forge = open_forge(target.deployment.repository, target.deployment.forge, target.deployment.api)
        console.say(f"may open pull requests at {target.deployment.repository}: {forge.may_open()}")


def _test(variant: Variant, engine: Engine) -> None:
    console.say(f"\n== test {variant.reference}")
    report = test_variant(variant, engine)
    console.say(as_text(report))
    tell([report], None, as_json=False)


def _push(variant: Variant, start: Callable[[], Engine], rules: PushRules) -> Pushed:
    console.say(f"\n== push {variant.reference}")
    pushed = push_variant(variant, start, rules)
    console.say(f"{pushed.reference}: {pushed.state}")
    return pushed


def _bump(pushed: Sequence[Pushed], target: _Target, rules: Rules, dry_run: bool) -> list[Bump]:
    console.say(f"\n== bump {', '.join(target.hubs)}")
    planned = [one.reference for one in pushed if one.state == "planned"]
    if planned:
        console.say("after the push, pull requests would move them to " + ", ".join(one.tag for one in planned))
        return []
    references = [one.reference for one in pushed if one.state != "refreshed"]
    if not references:
        console.say("nothing changed: no hub moves")
        return []
    groups = [Group.of([hub]) for hub in target.hubs]
    try:
        return bump_hubs(groups, references, target.deployment, rules, dry_run=dry_run)
    except Held as held:
        console.warn(f"not bumped: {held.message}")
        return []


def _print(pushed: Sequence[Pushed], bumps: Sequence[Bump], dry_run: bool, as_json: bool) -> None:
    if as_json:
        data: dict[str, Any] = {
            "releases": [as_data(one) for one in pushed],
            "bumps": [one.as_json() for one in bumps],
        }
        console.result_json(data)
        return
    if bumps:
        bumping.report(bumps, dry_run=dry_run)
    for one in pushed:
        console.result(str(one.reference))
