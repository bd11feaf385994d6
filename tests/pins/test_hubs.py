from __future__ import annotations

import pytest

from hubtool.errors import HubtoolError
from hubtool.pins.hubs import hub_files, hubs_of

FILES = [
    "README.md",
    "deployments/README.md",
    "deployments/data8/hubploy.yaml",
    "deployments/data8/config/common.yaml",
    "deployments/data8/config/prod.yml",
    "deployments/data8/image/Dockerfile",
    "deployments/data8-staging/config/common.yaml",
    "deployments/template/{{cookiecutter.hub_name}}/config/common.yaml",
    "config/clusters/x/a.values.yaml",
    "config/clusters/x/b.values.yaml",
    "hub/values.yaml",
]


def test_a_hub_is_its_folder_and_no_other() -> None:
    assert hub_files(FILES, "data8") == [
        "deployments/data8/config/common.yaml",
        "deployments/data8/config/prod.yml",
        "deployments/data8/hubploy.yaml",
    ]


def test_the_template_is_a_hub_like_others() -> None:
    assert hub_files(FILES, "template") == ["deployments/template/{{cookiecutter.hub_name}}/config/common.yaml"]


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        (["config/clusters/x/a.values.yaml"], ["config/clusters/x/a.values.yaml"]),
        (["config/clusters/x/"], ["config/clusters/x/a.values.yaml", "config/clusters/x/b.values.yaml"]),
        (["./hub", "config/clusters/x/b.values.yaml"], ["config/clusters/x/b.values.yaml", "hub/values.yaml"]),
        (["config/../hub/values.yaml"], ["hub/values.yaml"]),
    ],
)
def test_a_mapping_says_where_a_hub_is(places: list[str], expected: list[str]) -> None:
    assert hub_files(FILES, "x", {"x": places}) == expected


def test_a_mapping_wins_over_the_folder() -> None:
    assert hub_files(FILES, "data8", {"data8": ["hub"]}) == ["hub/values.yaml"]


@pytest.mark.parametrize("place", ["../elsewhere", "/etc", "..", "a/../../b"])
def test_a_mapping_never_leads_outside(place: str) -> None:
    with pytest.raises(HubtoolError, match="leads outside the deployment repository"):
        hub_files(FILES, "x", {"x": [place]})


def test_a_mapping_to_nothing_is_an_error() -> None:
    with pytest.raises(HubtoolError, match="nothing at config/y"):
        hub_files(FILES, "x", {"x": ["config/y"]})


def test_an_unknown_hub_names_the_nearest_and_all() -> None:
    with pytest.raises(HubtoolError, match="no hub 'data'; did you mean 'data8'") as caught:
        hub_files(FILES, "data")
    assert caught.value.hint == "hubs there: data8, data8-staging, template"


def test_without_a_folder_of_hubs_the_error_says_how_to_name_them() -> None:
    with pytest.raises(HubtoolError, match="has no folder 'deployments'") as caught:
        hub_files(["README.md"], "x")
    assert caught.value.hint == "name the hub's folders in hubtool.yaml: deployment.paths.x"


@pytest.mark.parametrize("hub", ["", ".", "..", "../data8", "data8/config", "-x", "a b", "*"])
def test_what_is_no_name_is_no_hub(hub: str) -> None:
    with pytest.raises(HubtoolError, match="is not a hub's name"):
        hub_files(FILES, hub)


def test_the_hubs_there_are_folders_and_mappings() -> None:
    assert hubs_of(FILES, {"x": ["hub"]}) == ["data8", "data8-staging", "template", "x"]
