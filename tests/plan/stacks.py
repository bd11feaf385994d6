"""Stacks for tests, from the text of a hubtool.yaml."""

from __future__ import annotations

from pathlib import Path

from hubtool.config import load
from hubtool.plan.graph import Graph, make_graph

WORDS = {"date": "2026.07.06", "commit": "ab" * 6}
HEAD = """\
registry: quay.io/team
axes:
  python: ["3.13", "3.12"]
  device: [cpu, gpu]
images:
"""
BASE = """\
  base:
    axes: [device]
    base: {cpu: "debian:12", gpu: "cuda:12"}
"""


def graph_of(folder: Path, images: str, head: str = HEAD) -> Graph:
    """The graph of a hubtool.yaml with HEAD and IMAGES, written into FOLDER."""
    (folder / "hubtool.yaml").write_text(head + images)
    return make_graph(load(folder, {}), folder / "hubtool.yaml", WORDS, ["{commit}"])
