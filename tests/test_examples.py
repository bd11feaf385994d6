"""The stacks under examples/: what the public projects that they describe really build."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from hubtool.config import Config, load
from hubtool.plan.graph import Graph, make_graph

EXAMPLES = Path(__file__).parent.parent / "examples"
WORDS = {"date": "2026.07.06", "commit": "ab" * 6}


def read(name: str) -> tuple[Config, Graph]:
    config = load(EXAMPLES / name, {})
    return config, make_graph(config, EXAMPLES / name / "hubtool.yaml", WORDS, ["{commit}"])


def test_the_onyxia_stack_has_24_images_72_variants_144_tags_on_5_stages() -> None:
    _, graph = read("onyxia-datascience")
    nodes = list(graph.nodes.values())
    assert len({node.image for node in nodes}) == 24
    assert Counter(node.point["device"] for node in nodes) == {"cpu": 43, "gpu": 29}
    assert len({str(reference) for node in nodes for reference in node.references}) == 144
    assert graph.stages == 5
    assert not any(node.skip for node in nodes)


def test_the_onyxia_stacks_contexts_are_13() -> None:
    config, _ = read("onyxia-datascience")
    assert len({image.context for image in config.images.values()}) == 13


@pytest.mark.parametrize(
    "reference",
    [
        "vscode-python:py3.13.13",
        "vscode-python:py3.13.13-2026.07.06",
        "vscode-python:py3.13.13-gpu",
        "vscode-python:py3.13.13-gpu-2026.07.06",
        "base:latest",
        "base:latest-2026.07.06",
        "base:latest-gpu",
        "jupyter-pyspark:py3.12.13-spark4.1.1",
        "rstudio-sparkr:r4.5.3-spark4.1.1",
        "r-python-julia:r4.6.1-py3.13.13",
    ],
)
def test_the_onyxia_stack_has_the_tags_that_are_in_use(reference: str) -> None:
    _, graph = read("onyxia-datascience")
    found = {str(each) for node in graph.nodes.values() for each in node.references}
    assert f"docker.io/inseefrlab/onyxia-{reference}" in found


def test_a_change_of_the_spark_context_reaches_its_descendants_alone() -> None:
    config, graph = read("onyxia-datascience")
    spark = [node.id for node in graph.nodes.values() if config.images[node.image].context == "spark"]
    assert Counter(graph.nodes[each].image for each in graph.descendants(spark)) == {
        "pyspark": 2,
        "sparkr": 2,
        "jupyter-pyspark": 2,
        "vscode-pyspark": 2,
        "rstudio-sparkr": 2,
    }


def test_the_workstations_are_14_variants_of_which_10_are_built() -> None:
    config, graph = read("workstations")
    nodes = list(graph.nodes.values())
    assert len(config.images) == 7
    assert len({image.context for image in config.images.values()}) == 5
    assert len(nodes) == 14
    assert Counter(node.point["device"] for node in nodes if not node.skip) == {"cpu": 7, "cuda11": 3}
    assert [str(reference) for node in graph.of(["ubuntu-python"]) for reference in node.references] == [
        "harbor.example.org/library-batch/ubuntu-python:3.9",
        "harbor.example.org/library-batch/ubuntu-python:3.9cuda11",
    ]
    desktop = graph.nodes["ubuntu-python-tensorflow-desktop[cpu]"]
    assert str(desktop.references[0]) == "harbor.example.org/library/ubuntu-python-tensorflow-desktop:3.17"
    assert desktop.parent == "ubuntu-python-tensorflow[cpu]"
    assert desktop.labels == {"name": "ubuntu-python-tensorflow-desktop", "version": "3.17"}
