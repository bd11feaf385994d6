"""The graph of images as a picture: Mermaid for READMEs, SVG for everywhere else."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from hubtool.plan.graph import Graph

WIDTH, HEIGHT, GAP, ROW = 190, 44, 70, 60  # of a box; between columns; from row to row (pixels)
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1a1a1a }
  .count { font-size: 11px; fill: #555 }
  rect { fill: #eef4fb; stroke: #4a7ab0 }
  .build rect { fill: #ffe9c7; stroke: #c07f10 }
  .skip rect { fill: #f2f2f2; stroke: #999; stroke-dasharray: 4 3 }
  path { fill: none; stroke: #888 }
  @media (prefers-color-scheme: dark) {
    text { fill: #eee } .count { fill: #bbb } rect { fill: #24364a }
    .build rect { fill: #5a4215 } .skip rect { fill: #333 }
  }
"""


@dataclass(frozen=True)
class Box:
    """An image in the picture: how many variants it has, and how many of them will be built."""

    name: str
    parent: str | None
    stage: int
    variants: int
    built: int
    skipped: int

    @property
    def state(self) -> str:
        return "build" if self.built else "skip" if self.skipped == self.variants else "reuse"

    @property
    def count(self) -> str:
        many = f"{self.variants} variant{'s' if self.variants != 1 else ''}"
        return f"{many}, {self.built} to build" if self.built else many


def boxes(graph: Graph, decisions: Mapping[str, str]) -> list[Box]:
    """The images of GRAPH, parents first. DECISIONS says build, reuse or skip for each variant's id."""
    found: dict[str, Box] = {}
    for node in graph.nodes.values():
        before = found.get(node.image)
        parent = graph.nodes[node.parent].image if node.parent else None
        found[node.image] = Box(
            node.image,
            parent,
            node.stage,
            (before.variants if before else 0) + 1,
            (before.built if before else 0) + (decisions.get(node.id) == "build"),
            (before.skipped if before else 0) + (decisions.get(node.id) == "skip"),
        )
    return list(found.values())


def mermaid(found: list[Box]) -> str:
    """A Mermaid graph, as GitHub shows it in Markdown."""
    names = {box.name: f"n{number}" for number, box in enumerate(found)}
    lines = ["graph LR"]
    lines += [f'  {names[box.name]}["{box.name}<br/>{box.count}"]:::{box.state}' for box in found]
    lines += [f"  {names[box.parent]} --> {names[box.name]}" for box in found if box.parent]
    lines += [
        "  classDef build fill:#ffe9c7,stroke:#c07f10,color:#000",
        "  classDef reuse fill:#eef4fb,stroke:#4a7ab0,color:#000",
        "  classDef skip fill:#f2f2f2,stroke:#999,color:#000,stroke-dasharray:4 3",
    ]
    return "\n".join(lines) + "\n"


def svg(found: list[Box]) -> str:
    """A picture that stands alone: one column a stage, children beside their parents."""
    rows = _rows(found)
    stages = max((box.stage for box in found), default=1)
    width = stages * (WIDTH + GAP) - GAP + 20
    height = (max(rows.values(), default=0) + 1) * ROW + 10
    parts = [_arrow(box, rows) for box in found if box.parent] + [_box(box, rows) for box in found]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:g}" width="{width}" height="{height:g}">'
    )
    return "\n".join([head, f"<style>{textwrap.dedent(STYLE)}</style>", *parts, "</svg>"]) + "\n"


def _rows(found: list[Box]) -> dict[str, float]:
    """The row of each image: leaves one below the other, a parent in the middle of its children."""
    children: dict[str, list[str]] = {}
    for box in found:
        if box.parent:
            children.setdefault(box.parent, []).append(box.name)
    rows: dict[str, float] = {}
    leaves = 0
    for name in _depth_first(found, children):
        below = children.get(name)
        if below:
            rows[name] = (rows[below[0]] + rows[below[-1]]) / 2
        else:
            rows[name] = leaves
            leaves += 1
    return rows


def _depth_first(found: list[Box], children: Mapping[str, list[str]]) -> list[str]:
    """Every image after all that are built on it; without recursion, since a chain may be long."""
    order: list[str] = []
    left = [box.name for box in reversed(found) if not box.parent]
    while left:
        name = left.pop()
        order.append(name)
        left += children.get(name, ())
    # Parents came before their children, the last child first: turned round, children come in their order.
    return order[::-1]


def _at(box: Box, rows: Mapping[str, float]) -> tuple[float, float]:
    return 10 + (box.stage - 1) * (WIDTH + GAP), 10 + rows[box.name] * ROW


def _box(box: Box, rows: Mapping[str, float]) -> str:
    x, y = _at(box, rows)
    middle = x + WIDTH / 2
    name = box.name if len(box.name) <= 26 else box.name[:25] + "…"
    return (
        f'<g class="{box.state}"><title>{escape(box.name)}: {box.count}</title>'
        f'<rect x="{x:g}" y="{y:g}" width="{WIDTH}" height="{HEIGHT}" rx="5"/>'
        f'<text x="{middle:g}" y="{y + 19:g}" text-anchor="middle">{escape(name)}</text>'
        f'<text class="count" x="{middle:g}" y="{y + 35:g}" text-anchor="middle">{box.count}</text></g>'
    )


def _arrow(box: Box, rows: Mapping[str, float]) -> str:
    x, y = _at(box, rows)
    begin = x - GAP
    parent = 10 + rows[box.parent or ""] * ROW + HEIGHT / 2
    end = y + HEIGHT / 2
    return f'<path d="M{begin:g} {parent:g} C{begin + GAP / 2:g} {parent:g} {x - GAP / 2:g} {end:g} {x:g} {end:g}"/>'
