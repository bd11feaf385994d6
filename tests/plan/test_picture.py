from __future__ import annotations

import itertools
from pathlib import Path
from xml.etree import ElementTree

from hubtool.plan.picture import boxes, mermaid, svg
from tests.plan.stacks import BASE, graph_of

SVG = "{http://www.w3.org/2000/svg}"
IMAGES = BASE + "  tool: {from: base, axes: [python, device]}\n  lone: {axes: {python: first}}\n"
DECISIONS = {"base[cpu]": "reuse", "base[gpu]": "build", "tool[3.13,cpu]": "build", "lone": "skip"}


def test_a_box_says_how_many_variants_will_be_built(tmp_path: Path) -> None:
    found = {box.name: box for box in boxes(graph_of(tmp_path, IMAGES), DECISIONS)}
    assert {name: (box.count, box.state) for name, box in found.items()} == {
        "base": ("2 variants, 1 to build", "build"),
        "tool": ("4 variants, 1 to build", "build"),
        "lone": ("1 variant", "skip"),
    }


def test_mermaid_has_a_node_an_image_and_an_arrow_an_edge(tmp_path: Path) -> None:
    lines = mermaid(boxes(graph_of(tmp_path, IMAGES), DECISIONS)).splitlines()
    assert lines[:5] == [
        "graph LR",
        '  n0["base<br/>2 variants, 1 to build"]:::build',
        '  n1["tool<br/>4 variants, 1 to build"]:::build',
        '  n2["lone<br/>1 variant"]:::skip',
        "  n0 --> n1",
    ]


def test_the_svg_is_whole_and_its_boxes_do_not_lie_upon_each_other(tmp_path: Path) -> None:
    images = "".join(f"  i{number}: {{from: i{number // 3}}}\n" for number in range(1, 40))
    graph = graph_of(tmp_path, "  i0:\n" + images, "registry: quay.io/team\nimages:\n")
    root = ElementTree.fromstring(svg(boxes(graph, {})))
    placed = [(float(rect.attrib["x"]), float(rect.attrib["y"])) for rect in root.iter(f"{SVG}rect")]
    assert len(placed) == 40
    columns: dict[float, list[float]] = {}
    for x, y in placed:
        columns.setdefault(x, []).append(y)
    for rows in columns.values():
        ordered = sorted(rows)
        assert all(below - above >= 44 for above, below in itertools.pairwise(ordered))
    assert len(list(root.iter(f"{SVG}path"))) == 39
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    assert all(0 <= x <= width - 190 and 0 <= y <= height - 44 for x, y in placed)


def test_a_chain_of_thousands_is_drawn(tmp_path: Path) -> None:
    chain = "".join(f"  i{number}: {{from: i{number - 1}}}\n" for number in range(1, 2000))
    graph = graph_of(tmp_path, "  i0:\n" + chain, "registry: quay.io/team\nimages:\n")
    assert len(list(ElementTree.fromstring(svg(boxes(graph, {}))).iter(f"{SVG}rect"))) == 2000
