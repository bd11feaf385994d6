from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from hubtool.config import load
from hubtool.errors import HubtoolError
from hubtool.plan.bake import bake_file, target_names
from tests.plan.stacks import BASE, HEAD, graph_of

IMAGES = (
    BASE
    + """\
  tool:
    from: base
    context: tool
    dockerfile: Containerfile
    target: last
    axes: [python, device]
    args: {PYTHON_VERSION: "{python}"}
    labels: {name: "{image}"}
    tags: ["py{python}{-gpu}", "latest-{python}{-gpu}"]
    platform: linux/arm64
    secrets: {token: SITE_TOKEN}
"""
)
DOCKERFILES = HEAD.replace("images:", "defaults: {builder: dockerfile}\nimages:")


def test_a_target_is_built_on_its_parents_target_and_that_is_there_too(tmp_path: Path) -> None:
    graph = graph_of(tmp_path, IMAGES, DOCKERFILES)
    found = bake_file(load(tmp_path, {}), graph, [graph.nodes["tool[3.13,gpu]"]])
    assert found["group"] == {"default": {"targets": ["tool-3-13-gpu"]}}
    assert found["target"] == {
        "base-gpu": {
            "context": ".",
            "dockerfile": "Dockerfile",
            "args": {"BASE_IMAGE": "cuda:12"},
            "tags": ["quay.io/team/base:abababababab-gpu"],
        },
        "tool-3-13-gpu": {
            "context": "tool",
            "dockerfile": "Containerfile",
            "args": {"BASE_IMAGE": "hubtool-parent", "PYTHON_VERSION": "3.13"},
            "labels": {"name": "tool"},
            "tags": ["quay.io/team/tool:py3.13-gpu", "quay.io/team/tool:latest-3.13-gpu"],
            "contexts": {"hubtool-parent": "target:base-gpu"},
            "target": "last",
            "platforms": ["linux/arm64"],
            "secret": ["id=token,env=SITE_TOKEN"],
        },
    }
    json.dumps(found)


def test_every_variant_has_a_name_of_its_own_that_bake_takes(tmp_path: Path) -> None:
    head = HEAD.replace('"3.13", "3.12"', '"3.1", "3-1"')
    graph = graph_of(tmp_path, "  a: {axes: [python, device]}\n  a-3-1-cpu:\n", head)
    names = target_names(graph)
    assert len(set(names.values())) == len(names) == 5
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]+", name) for name in names.values())


def test_what_no_dockerfile_makes_is_refused(tmp_path: Path) -> None:
    graph = graph_of(tmp_path, BASE + "  rest: {axes: [python]}\n")
    with pytest.raises(HubtoolError, match="base is built by repo2docker, which bake can't do"):
        bake_file(load(tmp_path, {}), graph, graph.of(["base"]))
