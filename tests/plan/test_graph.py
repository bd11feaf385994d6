from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubtool.errors import HubtoolError
from hubtool.plan.axes import points
from hubtool.plan.graph import Graph
from tests.plan.stacks import BASE, HEAD, graph_of


def test_an_image_has_a_variant_for_each_point_of_its_axes(tmp_path: Path) -> None:
    graph = graph_of(tmp_path, BASE + "  tool: {from: base, axes: [device, python]}\n")
    assert list(graph.nodes) == [
        "base[cpu]",
        "base[gpu]",
        "tool[3.13,cpu]",
        "tool[3.13,gpu]",
        "tool[3.12,cpu]",
        "tool[3.12,gpu]",
    ]
    assert graph.nodes["base[gpu]"].base == "cuda:12"
    assert graph.nodes["tool[3.12,gpu]"].parent == "base[gpu]"
    assert graph.nodes["tool[3.12,gpu]"].base is None
    assert (graph.nodes["base[cpu]"].stage, graph.nodes["tool[3.12,gpu]"].stage, graph.stages) == (1, 2, 2)


def test_an_image_without_axes_is_one_variant_of_its_name(tmp_path: Path) -> None:
    graph = graph_of(tmp_path, "  one: {base: 'debian:12'}\n", "registry: quay.io/team\nimages:\n")
    assert [node.id for node in graph.nodes.values()] == ["one"]
    assert [str(reference) for reference in graph.nodes["one"].references] == ["quay.io/team/one:abababababab"]


def test_some_values_of_an_axis_can_be_chosen(tmp_path: Path) -> None:
    graph = graph_of(
        tmp_path, BASE + "  tool: {from: base, axes: {python: first, device: [gpu]}}\n  rest: {axes: [python]}\n"
    )
    tool = graph.nodes["tool"]  # one variant: its values are no part of its name
    assert dict(tool.point) == {"python": "3.13", "device": "gpu"}
    assert tool.parent == "base[gpu]"


def test_tags_arguments_and_labels_are_patterns(tmp_path: Path) -> None:
    images = """\
  tool:
    axes: [python, device]
    version: "3.10"
    args: {PYTHON_VERSION: "{python}", SUFFIX: "{gpu}"}
    labels: {name: "{image} {version}"}
    tags: ["py{python}{-gpu}", "{version}{gpu}-{python}-{date}"]
"""
    tool = graph_of(tmp_path, images).nodes["tool[3.12,gpu]"]
    assert tool.tags == ("py3.12-gpu", "3.10gpu-3.12-2026.07.06")
    assert tool.args == {"PYTHON_VERSION": "3.12", "SUFFIX": "gpu"}
    assert tool.labels == {"name": "tool 3.10"}
    assert graph_of(tmp_path, images).nodes["tool[3.12,cpu]"].tags == ("py3.12", "3.10-3.12-2026.07.06")


def test_without_tags_the_values_tell_the_variants_apart(tmp_path: Path) -> None:
    graph = graph_of(tmp_path, BASE + "  rest: {axes: [python]}\n")
    assert [node.tags for node in graph.of(["base"])] == [("abababababab-cpu",), ("abababababab-gpu",)]


def test_what_is_skipped_is_planned_with_its_reason_and_so_are_its_children(tmp_path: Path) -> None:
    skip = "    skip: [{where: {device: gpu}, why: GPUs are for jobs}]\n"
    graph = graph_of(tmp_path, f"{BASE}{skip}  tool: {{from: base, axes: [python, device]}}\n")
    assert {node.id: node.skip for node in graph.nodes.values() if node.skip} == {
        "base[gpu]": "GPUs are for jobs",
        "tool[3.13,gpu]": "base[gpu] is left out",
        "tool[3.12,gpu]": "base[gpu] is left out",
    }


def test_an_image_may_have_a_registry_and_a_repository_of_its_own(tmp_path: Path) -> None:
    images = "  one: {repository: 'batch/{image}'}\n  two: {registry: ghcr.io/other}\n"
    graph = graph_of(tmp_path, images, "registry: quay.io\nrepository: lib/{image}\nimages:\n")
    assert [node.repository.name for node in graph.nodes.values()] == ["quay.io/batch/one", "ghcr.io/other/lib/two"]


def test_defaults_are_for_all_images(tmp_path: Path) -> None:
    head = HEAD.replace("images:", "defaults: {axes: [device], args: {A: '{device}'}}\nimages:")
    graph = graph_of(tmp_path, "  one:\n  two: {args: {B: b}, axes: [python]}\n", head)
    assert graph.nodes["one[gpu]"].args == {"A": "gpu"}
    assert graph.nodes["two[3.12]"].args == {"B": "b"}


def test_parents_stand_before_children_whatever_the_files_order(tmp_path: Path) -> None:
    graph = graph_of(tmp_path, "  c: {from: b}\n  b: {from: a}\n  a:\n", "registry: quay.io/team\nimages:\n")
    assert list(graph.nodes) == ["a", "b", "c"]
    assert [node.id for node in graph.ancestors(graph.nodes["c"])] == ["b", "a"]
    assert graph.descendants(["b"]) == {"b", "c"}


PLATFORMS = "registry: quay.io/team\naxes: {platform: [amd64, arm64]}\nimages:\n"


def test_platforms_have_tags_of_their_own_and_share_those_that_are_declared(tmp_path: Path) -> None:
    text = "  a: {axes: [platform], tags: [latest, 'v{version}'], version: '1'}\n  b: {from: a, axes: [platform]}\n"
    graph = graph_of(tmp_path, text, PLATFORMS)
    arm = graph.nodes["a[arm64]"]
    assert (arm.platform, arm.whole, arm.tags) == ("linux/arm64", "a", ("latest-arm64", "v1-arm64"))
    assert arm.joined == {"latest-arm64": "latest", "v1-arm64": "v1"}
    assert arm.reference.tag == "v1-arm64"
    assert (set(arm.moving), set(arm.versioned)) == ({"latest-arm64"}, {"v1-arm64"})
    assert graph.nodes["b[arm64]"].parent == "a[arm64]"


def test_tags_that_say_the_platform_share_nothing(tmp_path: Path) -> None:
    node = graph_of(tmp_path, "  a: {axes: [platform], tags: ['x{-arm64}']}\n", PLATFORMS).nodes["a[amd64]"]
    assert (node.tags, node.joined, node.whole, node.platform) == (("x",), {}, "a[amd64]", "linux/amd64")


def test_one_platform_alone_has_nothing_to_share(tmp_path: Path) -> None:
    graph = graph_of(tmp_path, "  a: {axes: {platform: [arm64]}, tags: [x]}\n  b: {axes: [platform]}\n", PLATFORMS)
    assert (graph.nodes["a"].tags, graph.nodes["a"].joined, graph.nodes["a"].platform) == (("x",), {}, "linux/arm64")


@pytest.mark.parametrize(
    ("text", "head", "where", "says"),
    [
        (
            "  a: {axes: [platform]}\n",
            PLATFORMS.replace("arm64", "s390x"),
            "2: axes.platform[1]",
            "no platform 's390x'",
        ),
        (
            "  a:\n  b: {from: a, axes: [platform]}\n",
            PLATFORMS,
            "5: images.b.axes",
            "b is made for several platforms, and a, which it is built on, is not",
        ),
        (
            "  a: {axes: [platform], tags: [x], repository: r}\n  b: {tags: [x], repository: r}\n",
            PLATFORMS,
            "5: images.b.tags",
            "b and a are both quay.io/team/r:x",
        ),
    ],
    ids=["no such platform", "a parent for one platform", "a shared tag of another image"],
)
def test_platforms_that_can_not_be_are_errors(tmp_path: Path, text: str, head: str, where: str, says: str) -> None:
    with pytest.raises(HubtoolError) as raised:
        graph_of(tmp_path, text, head)
    assert says in raised.value.message
    assert str(raised.value.where).endswith(f"hubtool.yaml:{where}")


@dataclass(frozen=True)
class Wrong:
    """Images that can't be planned: the line and key at fault, and words of the error."""

    images: str
    line: int
    key: str
    says: str


REST = "  rest: {axes: [python, device]}\n"
WRONG = {
    "unknown parent": Wrong("  a: {from: bse}\n" + REST, 6, "images.a.from", "no image 'bse'"),
    "cycle": Wrong("  a: {from: b}\n  b: {from: a}\n" + REST, 6, "images.a.from", "built on itself: a from b from a"),
    "on itself": Wrong("  a: {from: a}\n" + REST, 6, "images.a.from", "built on itself: a from a"),
    "unknown axis": Wrong("  a: {axes: [pyton]}\n" + REST, 6, "images.a.axes", "no axis 'pyton'"),
    "unknown value": Wrong(
        "  a: {axes: {device: [cuda10]}}\n" + REST, 6, "images.a.axes", "device has no value 'cuda10'"
    ),
    "parent that has no such variant": Wrong(
        "  a: {axes: {device: [cpu]}}\n  b: {from: a, axes: {device: [gpu]}}\n" + REST,
        7,
        "images.b.from",
        "b is built on a with device gpu, which is not made",
    ),
    "parent with more axes": Wrong(
        BASE + "  a: {from: base, axes: [python]}\n", 9, "images.a.axes", "which one is a built on?"
    ),
    "two variants with one tag": Wrong(
        "  a:\n    axes: [python, device]\n    tags: ['py{python}']\n",
        8,
        "images.a.tags",
        "a[3.13,gpu] and a[3.13,cpu] are both",
    ),
    "two images with one tag": Wrong(
        "  a: {repository: x, tags: [v1]}\n  b: {repository: x, tags: [v1]}\n" + REST,
        7,
        "images.b.tags",
        "b and a are both",
    ),
    "value that nobody uses": Wrong(
        "  a: {axes: {python: first, device: all}}\n", 3, "axes.python[1]", "no image uses '3.12'"
    ),
    "no base for a variant": Wrong(
        "  a:\n    axes: [python, device]\n    base: {cpu: x}\n", 8, "images.a.base", "no base for a[3.13,gpu]"
    ),
    "base for no variant": Wrong(
        "  a:\n    axes: [python, device]\n    base: {cpu: x, gpu: y, tpu: z}\n",
        8,
        "images.a.base.tpu",
        "no variant with 'tpu'",
    ),
    "unknown word in a tag": Wrong(
        "  a:\n    axes: [python, device]\n    tags: ['{pyton}-{device}']\n", 8, "images.a.tags", "called 'pyton'"
    ),
    "tag that is none": Wrong(
        "  a:\n    axes: [python, device]\n    tags: ['a b{python}{device}']\n", 8, "images.a.tags", "is not a tag"
    ),
    "tag of hubtool's own": Wrong("  a: {tags: [hubtool-newest]}\n" + REST, 6, "images.a.tags", "is hubtool's own"),
    "unknown word in an argument": Wrong(
        "  a:\n    axes: [python, device]\n    args:\n      X: '{nothing}'\n", 9, "images.a.args.X", "called 'nothing'"
    ),
    "skipped value that it does not have": Wrong(
        "  a:\n    axes: [python, device]\n    skip:\n      - {why: x, where: {device: tpu}}\n",
        9,
        "images.a.skip[0].where.device",
        "a has no variant with device tpu",
    ),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named_with_file_line_and_key(tmp_path: Path, wrong: Wrong) -> None:
    with pytest.raises(HubtoolError) as caught:
        graph_of(tmp_path, wrong.images)
    assert str(caught.value.where) == f"{tmp_path / 'hubtool.yaml'}:{wrong.line}: {wrong.key}"
    assert wrong.says in caught.value.message


def test_an_axis_has_no_name_that_patterns_know_already(tmp_path: Path) -> None:
    with pytest.raises(HubtoolError, match="no axis can be called 'version'"):
        graph_of(tmp_path, REST, HEAD.replace("python:", "version:"))


def test_what_says_day_or_version_is_known_whatever_stands_before_it(tmp_path: Path) -> None:
    tags = "tags: ['a{-date}', 'b{_commit}', 'c{-version}', 'd{-gpu}']"
    node = graph_of(tmp_path, f"  a: {{version: '3', axes: {{device: [gpu]}}, {tags}}}\n{REST}").nodes["a"]
    assert node.tags == ("a-2026.07.06", "b_abababababab", "c-3", "d-gpu")
    assert node.moving == {"d-gpu"}
    assert node.versioned == {"c-3"}


def test_braces_that_are_no_place_are_text(tmp_path: Path) -> None:
    node = graph_of(tmp_path, '  a: {axes: [device, python], args: {X: \'{"a": {}, "{device}": 1}\'}}\n').nodes
    assert node["a[3.13,gpu]"].args == {"X": '{"a": {}, "gpu": 1}'}


def test_a_value_stands_once_in_its_axis(tmp_path: Path) -> None:
    with pytest.raises(HubtoolError, match="'cpu' stands here twice"):
        graph_of(tmp_path, REST, HEAD.replace("[cpu, gpu]", "[cpu, gpu, cpu]"))


def test_an_old_stack_whose_child_asks_for_what_its_parent_does_not_make_is_refused(tmp_path: Path) -> None:
    head = "registry: harbor.example.org/library\naxes: {device: [cpu, cuda11, cuda10]}\nimages:\n"
    images = """\
  ubuntu-python: {axes: {device: [cpu, cuda11]}, tags: ["3.0{cuda11}"]}
  ubuntu-python-pytorch: {from: ubuntu-python, axes: {device: [cpu, cuda10]}, tags: ["3.0{cuda10}"]}
"""
    with pytest.raises(HubtoolError) as caught:
        graph_of(tmp_path, images, head)
    assert caught.value.message == (
        "ubuntu-python-pytorch[cuda10] is built on ubuntu-python with device cuda10, which is not made"
    )
    assert caught.value.hint == "variants of ubuntu-python: ubuntu-python[cpu], ubuntu-python[cuda11]"


@given(st.dictionaries(st.sampled_from("abcd"), st.lists(st.sampled_from("123"), min_size=1, unique=True).map(tuple)))
def test_points_are_all_combinations_once(axes: dict[str, tuple[str, ...]]) -> None:
    found = [tuple(point.items()) for point in points(axes)]
    count = 1
    for values in axes.values():
        count *= len(values)
    assert len(found) == len(set(found)) == count
    assert all(value in axes[axis] for point in found for axis, value in point)


@given(st.lists(st.integers(0, 30), max_size=30), st.data())
def test_descendants_are_those_that_have_it_among_their_ancestors(parents: list[int], data: st.DataObject) -> None:
    graph = _tree(parents)
    chosen = data.draw(st.sampled_from(sorted(graph.nodes)))
    expected = {
        node.id
        for node in graph.nodes.values()
        if node.id == chosen or chosen in [ancestor.id for ancestor in graph.ancestors(node)]
    }
    assert graph.descendants([chosen]) == expected


def _tree(parents: list[int]) -> Graph:
    """Images i0, i1, …; each on an earlier one, or on nothing."""
    import tempfile

    lines = ["  i0:\n"]
    for number, parent in enumerate(parents, 1):
        lines.append(f"  i{number}:" + (f" {{from: i{parent}}}\n" if parent < number else "\n"))
    with tempfile.TemporaryDirectory() as folder:
        return graph_of(Path(folder), "".join(lines), "registry: quay.io/team\nimages:\n")
