"""hubtool release: build, test, push and bump, what CI runs on merge."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache as once
from pathlib import Path
from typing import Any

from hubtool import console
from hubtool.commands import bump as bumping
from hubtool.commands.build import build_variant
from hubtool.commands.build_cache import CacheRules
from hubtool.commands.one_push import Pushed, PushRules
from hubtool.commands.publish import check_push, push_variant
from hubtool.commands.push import as_data, tell_github
from hubtool.commands.test import tell, test_variant
from hubtool.config import Config, Deployment, load
from hubtool.contracts.report import as_text
from hubtool.engines import Engine, choose_engine
from hubtool.forges import open_forge
from hubtool.pins.proposals.bump import bump_hubs
from hubtool.pins.proposals.job import Bump, Held, Rules
from hubtool.pins.proposals.request import Group
from hubtool.plan import Variant, make_plan
from hubtool.plan.records import REGISTRY
from hubtool.plan.source import read_source


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
    dry_run: bool = False,
    as_json: bool = False,
) -> None:
    """Build, test and push the variants of IMAGES (all, where empty), then bump HUBS (default: hubtool.yaml's).

    What is done already is not done again. Whether hubtool may push and open pull requests is asked before
    the build. An image that fails its contract stops the release before anything is published. With DRY_RUN
    images are built and tested, and the push and the bump are only shown.
    """
    config = load(root)
    source = read_source(root)
    variants = make_plan(config, root, source, images, tag=tag)
    target = None if no_bump else _target(config, root, hubs, deployment)
    chosen = once(lambda: choose_engine(engine))
    _ask(config, variants, target)
    pushed = []
    for variant in variants:
        console.say(f"\n== build {variant.reference}")
        built = build_variant(variant, chosen, cache, rebuild=rebuild)
        if built.engine != REGISTRY:  # where it was tested
            _test(variant, chosen())
        pushed.append(_push(config, variant, chosen, tag, dry_run))
    tell_github(pushed)
    bumps = _bump(pushed, target, bumping.tests_of(config, root), dry_run) if target else []
    _print(pushed, bumps, dry_run, as_json)


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


def _push(config: Config, variant: Variant, engine: Callable[[], Engine], tag: str | None, dry_run: bool) -> Pushed:
    console.say(f"\n== push {variant.reference}")
    rules = PushRules(config.create_repository, named=tag is not None, dry_run=dry_run)
    pushed = push_variant(variant, engine, rules)
    console.say(f"{pushed.reference}: {pushed.state}")
    return pushed


def _bump(pushed: Sequence[Pushed], target: _Target, tests: Mapping[str, str], dry_run: bool) -> list[Bump]:
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
        return bump_hubs(groups, references, target.deployment, Rules(tests=tests), dry_run=dry_run)
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
