"""Which JupyterHub a deployment's chart installs: cases as data."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubtool.contracts.jupyterhub.charts import chart_versions, hub_of_chart

HUBS = {
    "4.2.0": "5",
    "v3.3.8": "4",
    "2.0.0": "3",
    "1.2.0": "1",
    "0.11.1": "1",
    "0.8.2": "0",
    "4.0.0-0.dev.git.6954.h2ee0b8e": "5",
    "^4": "5",
    ">=3.1, <4": "4",
    "4.x": "5",
    "*": None,
    "": None,
}


@pytest.mark.parametrize("version", HUBS)
def test_a_charts_version_tells_its_hubs_major(version: str) -> None:
    assert hub_of_chart(version) == HUBS[version]


REPOSITORY = "https://hub.jupyter.org/helm-chart/"
CHARTS = {
    f"dependencies:\n- name: jupyterhub\n  version: 4.2.0\n  repository: {REPOSITORY}jupyterhub\n": ["4.2.0"],
    "dependencies:\n- {name: jupyterhub, version: 3, repository: https://jupyterhub.github.io/helm-chart/}\n": ["3"],
    "dependencies:\n- {name: jupyterhub, version: 3, repository: https://charts.example/other/}\n": [],
    "dependencies:\n- {name: grafana, version: 8, repository: https://jupyterhub.github.io/helm-chart/}\n": [],
    "name: hub\nversion: 1.0.0\n": [],
    "dependencies: {a: 1}": [],
    "dependencies: [1, null]": [],
    "- a": [],
    "{{ a: ]": [],
}


@pytest.mark.parametrize("text", CHARTS)
def test_a_chart_names_the_hubs_chart_it_depends_on(text: str) -> None:
    assert chart_versions(text) == CHARTS[text]


@given(st.text(max_size=200))
def test_no_text_is_too_odd(text: str) -> None:
    assert chart_versions(text) == []
    assert hub_of_chart(text) is None or text
