from __future__ import annotations

from textwrap import dedent

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hubtool.errors import HubtoolError
from hubtool.pins.hubs import Hubs, cluster_files, find_hubs
from tests.pins.corpus import CORPUS, HELD, needs_corpus

FILES = [
    "README.md",
    "deployments/README.md",
    "deployments/data8/hubploy.yaml",
    "deployments/data8/config/beta.yaml",
    "deployments/data8/config/common.yaml",
    "deployments/data8/config/staging.yaml",
    "deployments/data8/config/prod.yml",
    "deployments/data8/secrets/prod.yaml",
    "deployments/data8/image/Dockerfile",
    "deployments/data8-staging/config/common.yaml",
    "deployments/empty/.gitkeep",
    "deployments/template/{{cookiecutter.hub_name}}/config/common.yaml",
    "values/x/a.values.yaml",
    "values/x/b.values.yaml",
    "hub/values.yaml",
]
X, Y = "config/clusters/x", "config/clusters/y"
CLUSTERS = {
    f"{X}/cluster.yaml": dedent(
        """\
        name: x
        support:
          helm_chart_values_files:
            - support.values.yaml
        hubs:
          - name: staging
            helm_chart: basehub
            helm_chart_values_files: &common
              - common.values.yaml
              - staging.values.yaml
              - enc-staging.secret.values.yaml
              - not-there.values.yaml
          - name: whitman
            helm_chart_values_files:
              - common.values.yaml
              - whitman/../whitman.values.yaml
              - ../shared.values.yaml
        """
    ).encode(),
    f"{Y}/cluster.yaml": b"hubs:\n- {name: staging, helm_chart_values_files: [staging.values.yaml, "
    b"../shared.values.yaml]}\n- name: bare\n",
}
INFRASTRUCTURE = [
    *CLUSTERS,
    f"{X}/common.values.yaml",
    f"{X}/enc-staging.secret.values.yaml",
    f"{X}/staging.values.yaml",
    f"{X}/support.values.yaml",
    f"{X}/whitman.values.yaml",
    f"{Y}/staging.values.yaml",
    "config/clusters/shared.values.yaml",
    "elsewhere/tool/cluster.yaml",
    "helm-charts/basehub/templates/cluster.yaml",
]
ONYXIA = [
    "charts/README.md",
    "charts/vscode-python/Chart.yaml",
    "charts/vscode-python/README.md",
    "charts/vscode-python/charts/library/values.yaml",
    "charts/vscode-python/templates/statefulset.yaml",
    "charts/vscode-python/values.schema.json",
    "charts/vscode-python/values.yaml",
    "charts/vscode-python-gpu/Chart.yaml",
    "charts/no-chart/values.yaml",
]


@pytest.fixture
def infrastructure() -> Hubs:
    return find_hubs(INFRASTRUCTURE, CLUSTERS)


def hub_files(files: list[str], hub: str, paths: dict[str, list[str]] | None = None) -> list[str]:
    return list(find_hubs(files, {}, paths).files_of(hub))


def test_a_hub_is_its_folder_and_no_other_in_the_order_of_hubploy() -> None:
    assert hub_files(FILES, "data8") == [
        "deployments/data8/hubploy.yaml",
        "deployments/data8/config/common.yaml",
        "deployments/data8/config/beta.yaml",
        "deployments/data8/config/prod.yml",
        "deployments/data8/config/staging.yaml",
        "deployments/data8/secrets/prod.yaml",
    ]


def test_the_template_is_a_hub_like_others() -> None:
    assert hub_files(FILES, "template") == ["deployments/template/{{cookiecutter.hub_name}}/config/common.yaml"]


def test_a_hub_may_have_no_file_that_is_read() -> None:
    assert hub_files(FILES, "empty") == []


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        (["values/x/a.values.yaml"], ["values/x/a.values.yaml"]),
        (["values/x/"], ["values/x/a.values.yaml", "values/x/b.values.yaml"]),
        (["./hub", "values/x/b.values.yaml"], ["hub/values.yaml", "values/x/b.values.yaml"]),
        (["values/x/b.values.yaml", "values/x"], ["values/x/b.values.yaml", "values/x/a.values.yaml"]),
        (["values/../hub/values.yaml"], ["hub/values.yaml"]),
    ],
)
def test_a_mapping_says_where_a_hub_is_and_in_which_order(places: list[str], expected: list[str]) -> None:
    assert hub_files(FILES, "x", {"x": places}) == expected


def test_a_mapping_to_everything_takes_everything_that_is_read() -> None:
    assert len(hub_files(FILES, "x", {"x": ["."]})) == len(FILES) - 2


def test_a_mapping_wins_over_the_folder_the_cluster_and_the_chart() -> None:
    assert hub_files(FILES, "data8", {"data8": ["hub"]}) == ["hub/values.yaml"]
    assert hub_files(ONYXIA, "vscode-python", {"vscode-python": ["charts/README.md"]}) == ["charts/README.md"]
    mapped = find_hubs(INFRASTRUCTURE, CLUSTERS, {"x/staging": [f"{X}/common.values.yaml"]})
    assert mapped.files_of("x/staging") == (f"{X}/common.values.yaml",)


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
    assert caught.value.hint == "hubs there: data8, data8-staging, empty, template"


def test_an_unknown_hub_among_very_many_names_not_all() -> None:
    files = [f"deployments/hub-{number:03}/a.yaml" for number in range(500)]
    with pytest.raises(HubtoolError) as caught:
        hub_files(files, "x")
    assert str(caught.value).endswith("hub-039 and 460 more")


def test_without_hubs_the_error_says_how_to_name_them() -> None:
    with pytest.raises(HubtoolError, match=r"has no folder 'deployments', no cluster\.yaml and no charts") as caught:
        hub_files(["README.md"], "x")
    assert caught.value.hint == "name the hub's folders in hubtool.yaml: deployment.paths.x"


@pytest.mark.parametrize("hub", ["", ".", "..", "../data8", "data8/", "/data8", "a/b/c", "data8/..", "-x", "a b", "*"])
def test_what_is_no_name_is_no_hub(hub: str) -> None:
    with pytest.raises(HubtoolError, match="is not a hub's name"):
        hub_files(FILES, hub)


def test_a_chart_of_a_catalogue_is_a_hub() -> None:
    assert find_hubs(ONYXIA, {}).files_of("vscode-python") == (
        "charts/vscode-python/Chart.yaml",
        "charts/vscode-python/values.schema.json",
        "charts/vscode-python/values.yaml",
        "charts/vscode-python/README.md",
        "charts/vscode-python/templates/statefulset.yaml",
    )
    with pytest.raises(HubtoolError, match="no hub 'no-chart'"):
        hub_files(ONYXIA, "no-chart")


# ---- clusters


def test_a_hub_of_a_cluster_is_the_files_that_are_listed_in_their_order(infrastructure: Hubs) -> None:
    assert infrastructure.files_of("x/staging") == (
        f"{X}/common.values.yaml",
        f"{X}/staging.values.yaml",
        f"{X}/enc-staging.secret.values.yaml",
    )
    assert infrastructure.files_of("x/whitman") == (
        f"{X}/common.values.yaml",
        f"{X}/whitman.values.yaml",
        "config/clusters/shared.values.yaml",
    )
    assert infrastructure.files_of("y/bare") == ()


def test_the_cluster_may_be_left_out_where_one_has_the_hub(infrastructure: Hubs) -> None:
    assert infrastructure.name_of("whitman") == "x/whitman"
    assert infrastructure.files_of("whitman") == infrastructure.files_of("x/whitman")
    with pytest.raises(HubtoolError, match="2 clusters have a hub 'staging'") as caught:
        infrastructure.files_of("staging")
    assert caught.value.hint == "name one: x/staging, y/staging"
    with pytest.raises(HubtoolError, match="no hub 'whitmann'; did you mean 'whitman'"):
        infrastructure.files_of("whitmann")


def test_who_shares_a_file_is_known(infrastructure: Hubs) -> None:
    assert infrastructure.shared("whitman") == {
        f"{X}/common.values.yaml": ["x/staging"],
        "config/clusters/shared.values.yaml": ["y/staging"],
    }
    assert infrastructure.touched([f"{X}/common.values.yaml", "README.md"]) == ["x/staging", "x/whitman"]
    assert infrastructure.touched(["config/clusters/shared.values.yaml"]) == ["x/whitman", "y/staging"]
    assert infrastructure.touched([f"{X}/support.values.yaml"]) == []


def test_only_the_clusters_that_a_hub_needs_are_read() -> None:
    assert cluster_files(INFRASTRUCTURE) == [f"{X}/cluster.yaml", f"{Y}/cluster.yaml"]
    assert cluster_files(INFRASTRUCTURE, "whitman") == [f"{X}/cluster.yaml", f"{Y}/cluster.yaml"]
    assert cluster_files(INFRASTRUCTURE, "y/staging") == [f"{Y}/cluster.yaml"]
    assert cluster_files(["deployments/a/x.yaml", "b/cluster.yaml"], "a") == []
    assert cluster_files(["b/cluster.yaml", "cluster.yaml"]) == ["b/cluster.yaml"]


def test_a_file_of_that_name_that_is_no_cluster_of_hubs_is_let_be() -> None:
    other = {"eks/cluster.yaml": b"kind: ClusterConfig\nmetadata: [\n", "ceph/cluster.yaml": b"\0"}
    assert find_hubs([*FILES, *other], other).by_hub.keys() == find_hubs(FILES, {}).by_hub.keys()
    hubs = find_hubs(["c/a/cluster.yaml", "c/a/v.yaml"], {"c/a/cluster.yaml": CLUSTERS[f"{Y}/cluster.yaml"]})
    assert sorted(hubs.by_hub) == ["a/bare", "a/staging"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hubs:\n  - name: a\n  b: [\n", r"cluster\.yaml:3: is not YAML"),
        ("hubs:\n  a: {}\n", r"cluster\.yaml:2: hubs: expected a list"),
        ("hubs:\n  - a\n", r"cluster\.yaml:2: hubs\[0\]: a hub without a name"),
        ("hubs:\n  - name: []\n", r"cluster\.yaml:2: hubs\[0\]: a hub without a name"),
        ("hubs:\n  - name: a\n  - name: a\n", r"cluster\.yaml:3: hubs\[1\]\.name: a second hub called 'a'"),
        (
            "hubs:\n- name: a\n  helm_chart_values_files: a.yaml\n",
            r"cluster\.yaml:3: hubs\[0\]\.helm_chart_values_files: expected a list",
        ),
        (
            "hubs:\n- name: a\n  helm_chart_values_files:\n  - {a: b}\n",
            r"cluster\.yaml:4: hubs\[0\]\.helm_chart_values_files\[0\]: expected a file's name",
        ),
        (
            "hubs:\n- name: a\n  helm_chart_values_files:\n  - a.yaml\n  - ../../../../etc/x.yaml\n",
            r"cluster\.yaml:5: hubs\[0\]\.helm_chart_values_files\[1\]: '\.\./.*leads outside",
        ),
        ("hubs:\n- name: a\n  helm_chart_values_files: [/etc/x.yaml]\n", r"cluster\.yaml:3: .*leads outside"),
        ("\0", r"cluster\.yaml: is binary"),
        ("hubs: " + "[" * 5000, r"cluster\.yaml: is nested deeper"),
    ],
)
def test_what_is_wrong_with_a_cluster_is_said_with_file_line_and_key(text: str, message: str) -> None:
    with pytest.raises(HubtoolError, match=message):
        find_hubs(INFRASTRUCTURE, {f"{X}/cluster.yaml": text.encode()})


@pytest.mark.parametrize("text", ["", "# nothing\n", "hubs:\n", "name: x\n", "- hubs\n", "hubs: []\n--- \nhubs: 1\n"])
def test_a_cluster_may_have_no_hubs(text: str) -> None:
    assert find_hubs([], {f"{X}/cluster.yaml": text.encode()}).by_hub == {}


def test_two_clusters_of_one_name_are_told_of() -> None:
    data = CLUSTERS[f"{Y}/cluster.yaml"]
    with pytest.raises(HubtoolError, match="the hub 'y/staging' is in another"):
        find_hubs([], {"a/y/cluster.yaml": data, "b/y/cluster.yaml": data})


LEAVES = st.sampled_from(["a.yaml", "common.values.yaml", "../shared.values.yaml", "../../x", "/etc", "", "s", 1, None])
KEYS = st.sampled_from(["hubs", "name", "helm_chart_values_files"])
HUBS = st.fixed_dictionaries({"name": LEAVES, "helm_chart_values_files": st.lists(LEAVES, max_size=4) | LEAVES})
ANYTHING = st.recursive(LEAVES | HUBS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner))
CLUSTER = st.fixed_dictionaries({"hubs": st.lists(HUBS, max_size=3) | ANYTHING}) | ANYTHING


@given(CLUSTER.map(lambda data: str(yaml.safe_dump(data)).encode()) | st.binary(max_size=50))
def test_whatever_stands_in_a_cluster_gives_hubs_of_known_files_or_one_error(data: bytes) -> None:
    try:
        hubs = find_hubs(INFRASTRUCTURE, {f"{X}/cluster.yaml": data})
    except HubtoolError as error:
        told = str(error)
    else:
        told = f"{X}/cluster.yaml"
        assert all(set(files) <= set(INFRASTRUCTURE) for files in hubs.by_hub.values())
    assert told.startswith(f"{X}/cluster.yaml")


@needs_corpus
@pytest.mark.parametrize("repo", HELD)
def test_in_real_repositories_every_folder_of_deployments_is_a_hub(repo: str) -> None:
    files = [path.relative_to(CORPUS / repo).as_posix() for path in (CORPUS / repo).rglob("*") if path.is_file()]
    hubs = find_hubs(files, {})
    assert set(hubs.by_hub) == {path.name for path in (CORPUS / repo / "deployments").iterdir()}
    assert all(file.startswith(f"deployments/{hub}/") for hub in hubs.by_hub for file in hubs.files_of(hub))
