"""Hubs of every layout, bumped in a real repository."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hubtool.config import Deployment
from hubtool.errors import HubtoolError
from hubtool.forges.local import LocalForge
from hubtool.pins.proposals.bump import bump_hubs
from hubtool.pins.proposals.deployed import Deployed
from hubtool.pins.proposals.job import Bump, Rules
from hubtool.pins.proposals.request import Group
from hubtool.reference import ImageReference
from tests.forges.repositories import bare, commit, show
from tests.pins.bumping import NEW, OLD, hubs, image, nobody, pin

__all__ = ["hubs", "image", "nobody", "pin"]


def bump(hubs: Path, hub: str, image: ImageReference, **settings: Any) -> Bump:
    deployment = Deployment(repository=str(hubs), **settings)
    return bump_hubs([Group.of([hub])], [image.with_tag(NEW)], deployment)[0]


def test_a_chart_of_a_catalogue_moves_values_schema_and_version_together(hubs: Path, image: ImageReference) -> None:
    reference = f"{image.name}:{OLD}"
    listed = {"default": reference, "listEnum": [reference, f"{image.name}:other"]}
    image_schema = {"properties": {"version": listed}}
    schema = {"properties": {"service": {"properties": {"image": image_schema}}}}
    files = {
        "ide/Chart.yaml": "name: ide\nversion: 2.6.2 # raise me\ndependencies:\n- {name: x, version: 1.0.0}\n",
        "ide/values.yaml": f"service:\n  image:\n    version: '{reference}'\n",
        "ide/values.schema.json": json.dumps(schema, indent=1),
        "other/Chart.yaml": "name: other\nversion: 1.0.0\n",
    }
    commit(hubs, "staging", {f"charts/{name}": text for name, text in files.items()})
    deployment = Deployment(repository=str(hubs))
    done = bump_hubs([Group.of(["ide"])], [image.with_tag(NEW)], deployment, Rules(from_tag=OLD))[0]
    assert [change.file.rpartition("/")[2] for change in done.changes] == [
        "Chart.yaml",
        "values.schema.json",
        "values.yaml",
    ]
    assert "version: 2.6.3 # raise me\n" in show(hubs, done.branch, "charts/ide/Chart.yaml").decode()
    assert show(hubs, done.branch, "charts/ide/values.schema.json").decode().count(f"{image.name}:{NEW}") == 2
    assert "| `charts/ide/Chart.yaml` | `version` | `2.6.2` | `2.6.3` |" in done.body
    assert "the version of 1 chart; nothing else changes" in done.body


def test_an_app_version_is_the_tag_where_hubtool_yaml_says_so(hubs: Path, image: ImageReference) -> None:
    chart = 'name: desktop\nversion: "2.2.8"\nappVersion: "{}" # the image\n'
    commit(hubs, "staging", {"desktop/Chart.yaml": chart.format(OLD)})
    done = bump(hubs, "desk", image, paths={"desk": ["desktop"]}, charts={"desktop": image.name})
    expected = chart.format(NEW).replace("2.2.8", "2.2.9")
    assert show(hubs, done.branch, "desktop/Chart.yaml").decode() == expected
    again = bump(hubs, "desk", image, paths={"desk": ["desktop"]}, charts={"desktop": image.name})
    assert again.request is not None
    assert again.request.state == "unchanged"


def test_a_charts_version_may_be_left_to_people(hubs: Path, image: ImageReference) -> None:
    files = {"Chart.yaml": "version: 1.0.0-rc1\n", "values.yaml": f"image: {image.name}:{OLD}\n"}
    commit(hubs, "staging", {f"charts/ide/{name}": text for name, text in files.items()})
    with pytest.raises(HubtoolError, match=r"charts/ide/Chart.yaml:1: version: '1.0.0-rc1' is a pre-release"):
        bump(hubs, "ide", image)
    done = bump(hubs, "ide", image, chart_version="never")
    assert [change.file for change in done.changes] == ["charts/ide/values.yaml"]


def test_a_chart_that_is_not_there_is_an_error_that_names_the_key(hubs: Path, image: ImageReference) -> None:
    with pytest.raises(HubtoolError, match=r"deployment\.charts\.gone: no gone/Chart.yaml"):
        bump(hubs, "base", image, charts={"gone": image.name})


def test_an_override_moves_with_its_own_hub_alone(tmp_path: Path, image: ImageReference) -> None:
    """Two hubs of a cluster share the file that names the image; each has a tag of its own."""
    cluster = "".join(
        f"- name: {hub}\n  helm_chart_values_files: [common.yaml, {hub}.yaml]\n" for hub in ("staging", "prod")
    )
    tag = f"singleuser: {{image: {{tag: {OLD}}}}}\n"
    files = {
        "cluster.yaml": f"hubs:\n{cluster}",
        "common.yaml": f"singleuser: {{image: {{name: {image.name}}}}}\n",
        "staging.yaml": tag,
        "prod.yaml": tag,
    }
    hubs = bare(tmp_path / "h.git", {f"config/clusters/leap/{name}": text for name, text in files.items()})
    done = bump(hubs, "leap/staging", image)
    assert [change.file for change in done.changes] == ["config/clusters/leap/staging.yaml"]
    assert done.touched == ("leap/staging",)


def test_each_file_is_read_once(hubs: Path) -> None:
    with LocalForge(hubs).open_branch("staging") as branch:
        deployed = Deployed(branch, Deployment(repository="x"))
        first = deployed.scan(["base", "other"])
        assert deployed.scan(["base"]).files.items() <= first.files.items()
        assert all(deployed.scan(["base"]).files[name] is first.files[name] for name in deployed.scan(["base"]).files)
        assert sorted(deployed.every_hub()) == ["base", "other"]
