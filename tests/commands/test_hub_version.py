"""The version of a hub, read from a real deployment repository."""

from __future__ import annotations

from pathlib import Path

import git
import pytest

from hubtool.commands.hub_version import hub_version

CHART = (
    "name: {0}\ndependencies:\n- {{name: jupyterhub, version: {1}, repository: https://hub.jupyter.org/jupyterhub/}}\n"
)


def deployment(folder: Path, **charts: str) -> Path:
    """A deployment repository with a chart for each of CHARTS, at that version of the hub's chart."""
    repo = git.Repo.init(folder / "hubs", initial_branch="main")
    for name, version in charts.items():
        (folder / "hubs" / name).mkdir()
        (folder / "hubs" / name / "Chart.yaml").write_text(CHART.format(name, version))
    (folder / "hubs" / "README.md").write_text("hubs\n")
    repo.git.add("--all")
    repo.git.execute(["git", "-C", repo.working_dir, *AUTHOR, "commit", "--quiet", "-m", "hubs"])
    (folder / "image").mkdir()
    text = "registry: registry.example/team\nimages: {one: {}}\ndeployment: {repository: ../hubs}\n"
    (folder / "image" / "hubtool.yaml").write_text(text)
    return folder / "image"


AUTHOR = ("-c", "user.name=t", "-c", "user.email=t@forge.example")


def test_the_charts_of_the_deployment_repository_tell_the_hubs_version(tmp_path: Path) -> None:
    assert hub_version(deployment(tmp_path, hub="4.2.0", other="4.1.1")) == "5"


def test_hubs_of_two_versions_tell_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert hub_version(deployment(tmp_path, hub="4.2.0", other="3.3.8")) is None
    assert "the hub's version is not known: ../hubs has 4 and 5" in capsys.readouterr().err


def test_a_deployment_repository_without_charts_tells_none(tmp_path: Path) -> None:
    assert hub_version(deployment(tmp_path)) is None


def test_one_that_is_not_there_tells_none_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = deployment(tmp_path)
    (tmp_path / "hubs" / ".git").rename(tmp_path / "moved")
    assert hub_version(root) is None
    assert "the hub's version is not known: " in capsys.readouterr().err


def test_without_a_deployment_there_is_none(tmp_path: Path) -> None:
    assert hub_version(tmp_path) is None
