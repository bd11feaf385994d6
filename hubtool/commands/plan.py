"""hubtool plan: what would be built, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache as once
from pathlib import Path
from typing import Any

from hubtool import console
from hubtool.commands.decide import Decision, decide
from hubtool.commands.versions import find_taken, raise_versions, refuse, tell
from hubtool.config import FILE_NAME, Config, load
from hubtool.engines import choose_engine
from hubtool.errors import HubtoolError, Where
from hubtool.files import write_whole
from hubtool.plan import make_plan, names_of, read_graph
from hubtool.plan.bake import bake_file
from hubtool.plan.graph import Graph, Node, select
from hubtool.plan.picture import boxes, mermaid, svg
from hubtool.plan.readme import section, with_section
from hubtool.plan.source import read_source

RUNNERS = {"linux/arm64": "ubuntu-24.04-arm"}  # GitHub's own, by platform
MOST_LEGS = 256  # of a matrix (docs.github.com: usage limits of GitHub Actions)


def plan(
    images: Sequence[str],
    *,
    root: Path,
    engine: str | None,
    dirty: bool,
    offline: bool,
    rebuild: bool,
    raised: bool,
    as_json: bool,
    github_matrix: bool,
    bake: bool,
    picture: Path | None,
    readme: Path | None,
    as_mermaid: bool,
) -> None:
    """Say what would be done with the variants of IMAGES (all, where empty) and those that they are built on.

    OFFLINE reads no image's files and asks no registry: all that is not skipped would be built. REBUILD is that of the
    build: those of IMAGES would be, unchanged or not. RAISED raises the versions that have to be, in hubtool.yaml, and
    plans then. With BAKE,
    GITHUB_MATRIX, AS_MERMAID or AS_JSON that is printed instead of the table; PICTURE is an SVG file to write too.
    README is a file whose section of images is written, and nothing else done.
    """
    config = load(root)
    source = read_source(root, allow_dirty=dirty or offline or raised or readme is not None)
    graph = read_graph(config, root, source)
    if readme:
        _write_readme(readme, section(config, graph))
        return
    chosen = select(graph, images, root / FILE_NAME)
    needed = {node.id for one in chosen for node in (one, *graph.ancestors(one))}
    nodes = [node for node in graph.nodes.values() if node.id in needed or (node.skip and not images)]
    if offline:
        decisions = {name: Decision("build", "declared") for name in needed}
    else:
        variants = make_plan(config, root, source, images, with_parents=True)
        again = names_of(config, root, source, images) if rebuild else ()
        decisions = decide(variants, once(lambda: choose_engine(engine)), again)
    decisions |= {node.id: Decision("skip", node.skip) for node in nodes if node.id not in decisions}
    taken = find_taken(nodes, decisions, surely=raised or github_matrix)
    if raised:
        _tell_raised(raise_versions(root, config, source, list(taken)), as_json)
        return
    if github_matrix:
        refuse(taken)
    if picture:
        write_whole(picture, svg(boxes(graph, _actions(decisions))))
    if bake:
        console.result_json(bake_file(config, graph, [node for node in nodes if decisions[node.id].action == "build"]))
    elif github_matrix:
        _tell_matrix(graph, nodes, decisions)
    elif as_mermaid:
        console.result(mermaid(boxes(graph, _actions(decisions))).rstrip())
    elif as_json:
        console.result_json([as_data(config, node, decisions[node.id]) for node in nodes])
    else:
        _print(nodes, decisions)
        if taken:
            console.warn(f"{tell(taken)}; hubtool plan --raise-versions")
    console.github_summary(_summary(nodes, decisions))


def _write_readme(file: Path, written: str) -> None:
    try:
        before = file.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise HubtoolError(f"cannot be read: {getattr(error, 'strerror', None) or error}", where=Where(file)) from error
    after = with_section(before, written, str(file))
    if after != before:
        write_whole(file, after)
    console.say(f"{file}: {'written' if after != before else 'nothing to do, its images are those of hubtool.yaml'}")


def _tell_raised(raised: Mapping[str, tuple[str, str]], as_json: bool) -> None:
    if as_json:
        console.result_json([{"image": image, "old": old, "new": new} for image, (old, new) in raised.items()])
        return
    if not raised:
        console.say("every version is free, or its image unchanged: nothing to raise")
    for image, (old, new) in raised.items():
        console.result(f"{image}: version {old} → {new}")


def _actions(decisions: Mapping[str, Decision]) -> dict[str, str]:
    return {name: decision.action for name, decision in decisions.items()}


def as_data(config: Config, node: Node, decision: Decision) -> dict[str, Any]:
    """A variant in the JSON of a plan."""
    image = config.images[node.image]
    return {
        "variant": node.id,
        "image": node.image,
        "point": dict(node.point),
        "stage": node.stage,
        "action": decision.action,
        "why": decision.why,
        "reference": str(node.reference),
        "references": [str(reference) for reference in node.references],
        "joined": [str(node.repository.with_tag(tag)) for tag in node.joined.values()],
        "platform": node.platform,
        "parent": node.parent,
        "base": node.base,
        "builder": image.builder,
        "context": image.context,
        "args": dict(node.args),
        "contract": image.contract,
        "fingerprint": decision.fingerprint or None,
        "digest": decision.digest or None,
    }


def matrix(graph: Graph, nodes: Sequence[Node], decisions: Mapping[str, Decision]) -> dict[str, dict[str, Any]]:
    """A matrix for each stage of the graph, as GitHub Actions' ``strategy.matrix`` reads it: a leg for each variant
    that is built. Every leg stands alone: it skips itself where its parent is not in the registry.

    Raises HubtoolError for a stage of more legs than GitHub runs.
    """
    stages: dict[str, dict[str, Any]] = {f"stage{number}": {"include": []} for number in range(1, graph.stages + 1)}
    for node in nodes:
        if decisions[node.id].action == "build":
            stages[f"stage{node.stage}"]["include"].append(
                {
                    "variant": node.id,
                    "name": node.safe_id,
                    "reference": str(node.reference),
                    "parent": node.parent or "",
                    "runner": RUNNERS.get(node.platform or "", "ubuntu-latest"),
                }
            )
    for name, stage in stages.items():
        if len(stage["include"]) > MOST_LEGS:
            raise HubtoolError(
                f"{name} has {len(stage['include'])} variants to build; GitHub runs {MOST_LEGS} legs of a matrix",
                hint="plan fewer images at once: hubtool plan IMAGE… --github-matrix",
            )
    return stages


def _tell_matrix(graph: Graph, nodes: Sequence[Node], decisions: Mapping[str, Decision]) -> None:
    import json

    stages = matrix(graph, nodes, decisions)
    console.result_json(stages)
    empty = {f"{name}-empty": str(not stage["include"]).lower() for name, stage in stages.items()}
    console.github_output({name: json.dumps(stage) for name, stage in stages.items()} | empty)


def _print(nodes: Sequence[Node], decisions: Mapping[str, Decision]) -> None:
    rows = [(node.id, decisions[node.id].action, decisions[node.id].why, str(node.reference)) for node in nodes]
    console.result(console.table(rows, ("variant", "action", "why", "reference")))
    console.result(f"\n{_counts(decisions)}")


def _counts(decisions: Mapping[str, Decision]) -> str:
    actions = list(_actions(decisions).values())
    words = {"build": "to build", "reuse": "unchanged", "skip": "left out"}
    return f"{console.counted(len(actions), 'variant')}: " + ", ".join(
        f"{actions.count(action)} {word}" for action, word in words.items() if action in actions
    )


def _summary(nodes: Sequence[Node], decisions: Mapping[str, Decision]) -> str:
    rows = [f"| `{node.id}` | {decisions[node.id].action} | {decisions[node.id].why} |" for node in nodes]
    return "\n".join([f"### Plan: {_counts(decisions)}", "", "| variant | | why |", "|---|---|---|", *rows])
