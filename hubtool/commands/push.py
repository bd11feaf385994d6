"""`hubtool push`: publish images that passed their tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from hubtool import config as configuration
from hubtool.commands.joining import join
from hubtool.commands.one_push import Pushed, PushRules
from hubtool.commands.publish import check_push, push_variant
from hubtool.console import bytes_text, github_output, github_summary, result, result_json, say, table
from hubtool.engines import choose_engine
from hubtool.errors import HubtoolError
from hubtool.plan import Variant, make_plan
from hubtool.plan.source import read_source


def push(
    images: Sequence[str],
    *,
    root: Path,
    engine: str | None,
    tag: str | None,
    dirty: bool,
    move_tag: bool,
    untested: bool,
    staged: bool,
    check: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Publish the variants of IMAGES (all, where empty); prints ``repository:tag@digest`` of each.

    With CHECK only says who may push where: no image, engine or commit is needed. Raises HubtoolError at the
    first image that can't be published; what was published before stays.
    """
    config = configuration.load(root)
    source = read_source(root, allow_dirty=dirty or check)
    variants = make_plan(config, root, source, images, tag=tag)
    if check:
        _check(variants, config.create_repository, as_json)
        return
    rules = PushRules(config.create_repository, move_tag, untested, tag is not None, dry_run, staged)
    chosen = cache(lambda: choose_engine(engine))
    done: list[Pushed] = []
    try:
        for variant in variants:
            done.append(push_variant(variant, chosen, rules))
        done = done if staged else _with_joined(variants, done, rules)
    finally:
        if not dry_run:
            tell_github(done)
    _print(done, as_json)


def _with_joined(variants: Sequence[Variant], done: Sequence[Pushed], rules: PushRules) -> list[Pushed]:
    """DONE, with those that are one image for several platforms as one, where all of these are there."""
    joined = join(variants, done, rules)
    names = {one.image for one in joined}
    pairs = zip(variants, done, strict=True)
    return [*joined, *(one for variant, one in pairs if not names & {variant.whole, one.image})]


def _print(done: Sequence[Pushed], as_json: bool) -> None:
    for pushed in done:
        if pushed.state == "pushed":
            sent, there = bytes_text(pushed.uploaded_bytes), bytes_text(pushed.reused_bytes)
            say(f"{pushed.image}: sent {sent}, {there} were there, {pushed.seconds:.1f} s")
    if as_json:
        result_json([as_data(pushed) for pushed in done])
        return
    for pushed in done:
        result(str(pushed.reference))


def as_data(pushed: Pushed) -> dict[str, Any]:
    """The JSON of one published variant."""
    data: dict[str, Any] = {
        "image": pushed.image,
        "reference": str(pushed.reference),
        "digest": pushed.digest,
        "uploaded_bytes": pushed.uploaded_bytes,
        "reused_bytes": pushed.reused_bytes,
        "seconds": pushed.seconds,
        "state": pushed.state,
    }
    if pushed.state == "planned":
        data["blobs"] = [asdict(blob) for blob in pushed.blobs]
    return data


def tell_github(done: Sequence[Pushed]) -> None:
    """Step outputs (one line an image) and a step summary."""
    if not done:
        return
    github_output(
        {
            "reference": "\n".join(str(pushed.reference) for pushed in done),
            "digest": "\n".join(pushed.digest for pushed in done),
            "tag": "\n".join(pushed.reference.tag for pushed in done),
        }
    )
    rows = [
        f"| `{p.reference}` | {p.state} | {bytes_text(p.uploaded_bytes)} | {bytes_text(p.reused_bytes)} |" for p in done
    ]
    github_summary("\n".join(["| image | state | sent | there |", "|---|---|---|---|", *rows]))


def _check(variants: Sequence[Variant], create_repository: bool, as_json: bool) -> None:
    told: list[dict[str, Any]] = []
    first: HubtoolError | None = None
    for variant in variants:
        try:
            who, error = check_push(variant.reference, create_repository), None
        except HubtoolError as problem:
            who, error = None, str(problem)
            first = first or problem
        told.append({"image": variant.image, "repository": variant.reference.name, "as": who, "error": error})
    if as_json:
        result_json([{**entry, "may_push": entry["error"] is None} for entry in told])
    else:
        rows = [(entry["image"], entry["repository"], entry["as"] or "may not push") for entry in told]
        result(table(rows, ("image", "repository", "may push as")))
    if first is not None:
        raise first
