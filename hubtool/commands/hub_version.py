"""The version of the JupyterHub that a deployment repository installs."""

from __future__ import annotations

from pathlib import Path

from hubtool import console
from hubtool.commands.bump import find_deployment, read_config
from hubtool.config import Config
from hubtool.contracts.jupyterhub.charts import FILES, chart_versions, hub_of_chart
from hubtool.errors import HubtoolError
from hubtool.forges import open_forge

MOST = 200  # charts of one repository


def hub_version(root: Path) -> str | None:
    """The major version of the hub that the deployment repository of ROOT's hubtool.yaml installs, by the charts that
    its own charts depend on. None where there is no such repository, where it can't be read, or where it has hubs of
    several majors; the last two are said."""
    config = read_config(root)
    if config is None or config.deployment is None:
        return None
    try:
        found = {hub for version in _versions(config, root) if (hub := hub_of_chart(version))}
    except HubtoolError as error:
        console.say(f"the hub's version is not known: {error.message}")
        return None
    if len(found) > 1:
        console.say(f"the hub's version is not known: {config.deployment.repository} has {' and '.join(sorted(found))}")
    return found.pop() if len(found) == 1 else None


def _versions(config: Config, root: Path) -> list[str]:
    where = find_deployment(config, root, None, None)
    forge = open_forge(where.repository, where.forge, where.api)
    with forge.open_branch(where.branch or forge.default_branch()) as branch:
        files = [file for file in branch.files() if file.path.rpartition("/")[2] in FILES][:MOST]
        texts = [data.decode("utf-8", "replace") for _, data in branch.read(files)]
    return [version for text in texts for version in chart_versions(text)]
