from __future__ import annotations

from pathlib import Path

import pytest

from hubtool.errors import HubtoolError
from hubtool.pins.scan import Scan
from hubtool.pins.tree import Tree

COMMON = "singleuser:\n  image:\n    name: org/hub\n    tag: old\n"
NAMED = "singleuser:\n  image:\n    name: org/hub\n"
OTHER = COMMON.replace("org/hub", "org/other")
ALONE = "singleuser:\n  image:\n    tag: older\n"


def tree(root: Path, files: dict[str, str], **options: object) -> Tree:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return Tree(root, **options)  # type: ignore[arg-type]


def images(found: Scan) -> dict[str, str]:
    return {f"{pin.file}:{pin.tag}": pin.image for pin in found.pins}


HUBS = {
    "deployments/a/config/common.yaml": COMMON,
    "deployments/a/config/prod.yaml": ALONE,
    "deployments/b/config/common.yaml": OTHER,
    "deployments/b/config/prod.yaml": ALONE,
    "deployments/c/config/common.yaml": NAMED,
    "deployments/c/config/prod.yaml": ALONE,
    "deployments/d/config/prod.yaml": ALONE,
    "hub/values.yaml": OTHER,
}


def test_a_tag_alone_has_the_image_of_its_own_hub(tmp_path: Path) -> None:
    found = tree(tmp_path, HUBS).scan()
    assert images(found) == {
        "deployments/a/config/common.yaml:old": "org/hub",
        "deployments/a/config/prod.yaml:older": "org/hub",
        "deployments/b/config/common.yaml:old": "org/other",
        "deployments/b/config/prod.yaml:older": "org/other",
        "deployments/c/config/prod.yaml:older": "org/hub",
        "deployments/d/config/prod.yaml:older": "",
        "hub/values.yaml:old": "org/other",
    }


def test_one_hub_is_read_alone(tmp_path: Path) -> None:
    hubs = tree(tmp_path, HUBS | {"deployments/b/config/broken.yaml": "image: [\n"})
    assert images(hubs.scan("c")) == {"deployments/c/config/prod.yaml:older": "org/hub"}
    assert hubs.scan("c").skipped == ()
    with pytest.raises(HubtoolError, match="no hub 'e'"):
        hubs.scan("e")


def test_a_folder_of_a_repository_has_the_hubs_of_the_repository(tmp_path: Path) -> None:
    tree(tmp_path, HUBS)
    (tmp_path / ".git").mkdir()
    for place, prefix in (("deployments", "a/config/"), ("deployments/a", "config/"), ("deployments/a/config", "")):
        assert images(Tree(tmp_path / place).scan())[f"{prefix}prod.yaml:older"] == "org/hub"


def test_a_folder_of_no_repository_is_no_hub(tmp_path: Path) -> None:
    tree(tmp_path, HUBS)
    assert images(Tree(tmp_path / "deployments/a").scan())["config/prod.yaml:older"] == ""


CLUSTER = "hubs:\n- name: {}\n  helm_chart_values_files: [common.yaml, {}.yaml]\n"
CLUSTERS = {
    "config/clusters/x/cluster.yaml": CLUSTER.format("s", "s") + CLUSTER.format("t", "t").removeprefix("hubs:\n"),
    "config/clusters/x/common.yaml": ALONE,
    "config/clusters/x/s.yaml": COMMON,
    "config/clusters/x/t.yaml": COMMON,
}


def test_a_file_that_hubs_share_has_the_image_that_all_of_them_say(tmp_path: Path) -> None:
    agreeing, at_odds = tmp_path / "agreeing", tmp_path / "odds"
    tag = "config/clusters/x/common.yaml:older"
    assert images(tree(agreeing, CLUSTERS).scan())[tag] == "org/hub"
    hubs = tree(at_odds, CLUSTERS | {"config/clusters/x/t.yaml": OTHER})
    assert images(hubs.scan())[tag] == ""
    assert images(hubs.scan("t"))[tag] == "org/other"


def test_a_cluster_that_can_not_be_read_is_skipped_where_no_hub_is_asked_for(tmp_path: Path) -> None:
    hubs = tree(tmp_path, CLUSTERS | {"config/clusters/x/cluster.yaml": "hubs: {a: b}\n"})
    found = hubs.scan()
    assert [(one.file, one.why) for one in found.skipped] == [("config/clusters/x/cluster.yaml", "expected a list")]
    assert images(found)["config/clusters/x/common.yaml:older"] == ""
    with pytest.raises(HubtoolError, match=r"cluster\.yaml:1: hubs: expected a list"):
        hubs.scan("x/s")


def test_paths_of_hubtool_yaml_say_where_a_hub_is(tmp_path: Path) -> None:
    found = tree(tmp_path, {"one/v.yaml": COMMON, "two/v.yaml": ALONE}, paths={"x": ["one", "two"]})
    assert (
        images(found.scan()) == images(found.scan("x")) == {"one/v.yaml:old": "org/hub", "two/v.yaml:older": "org/hub"}
    )


CHART = {
    "charts/desk/Chart.yaml": "name: desk\nversion: 1.2.3\nappVersion: '4'\n",
    "charts/desk/values.yaml": "image: org/side:1\n",
}


def test_an_app_version_is_a_pin_of_the_image_that_hubtool_yaml_says(tmp_path: Path) -> None:
    charts = tree(tmp_path, CHART, charts={"charts/desk": "org/desk"})
    assert images(charts.scan()) == {"charts/desk/Chart.yaml:4": "org/desk", "charts/desk/values.yaml:1": "org/side"}
    assert images(charts.scan("desk")) == images(charts.scan())
    found = charts.scan()
    (change,) = charts.move(found, [found.pins[0]], "5", None)
    assert change.after == b"name: desk\nversion: 1.2.4\nappVersion: '5'\n"
    never = tree(tmp_path, CHART, charts={"charts/desk": "org/desk"}, chart_version="never")
    (change,) = never.move(found, [found.pins[0]], "5", None)
    assert change.after == b"name: desk\nversion: 1.2.3\nappVersion: '5'\n"
