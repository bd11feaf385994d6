"""Which JupyterHub the Helm chart of Zero to JupyterHub installs (z2jh.jupyter.org, "Changelog")."""

from __future__ import annotations

import re

import yaml

FILES = ("Chart.yaml", "requirements.yaml")
CHART = "jupyterhub"


def chart_versions(text: str) -> list[str]:
    """The versions of the JupyterHub chart that a Chart.yaml or requirements.yaml depends on; none for a file that is
    something else."""
    try:
        read = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return []
    items = read.get("dependencies") if isinstance(read, dict) else None
    named = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    return [
        str(item.get("version", ""))
        for item in named
        if item.get("name") == CHART and CHART in str(item.get("repository"))
    ]


def hub_of_chart(version: str) -> str | None:
    """The major version of the hub in the chart's VERSION, a range too; None where it tells none.

    Chart 2 has JupyterHub 3, and since then each of the chart's majors has the next of the hub's.
    """
    number = re.match(r"[^\d]*(\d+)\.(\d+|x|\*)?", f"{version}.")
    if number is None:
        return None
    major = int(number[1])
    if major == 0:
        return "0" if number[2] and number[2].isdigit() and int(number[2]) < 9 else "1"
    return str(major + 1) if major >= 2 else "1"
