"""A release of the image-stack template moves the charts that run its images: each version in a chart to its own."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker as docker_sdk
import git
import pytest
import yaml

from hubtool.commands.new import new
from hubtool.sandbox.deployment import commit_all
from tests.builders.conftest import write_files
from tests.conftest import LocalRegistry

pytestmark = [pytest.mark.engine, pytest.mark.slow]

OLD = "2026.11.09-ba9876543210"
CHART = """\
apiVersion: v2
name: {name}
description: An IDE.
type: application
version: 2.6.9
"""
VALUES = """\
# Default values.
service:
  initContainer:
    image: "inseefrlab/onyxia-base:latest"
  image:
    version: "{image}:py3.13.18-{old}"
    pullPolicy: IfNotPresent
    custom:
      enabled: false
      version: "{image}:py3.13.18-{old}"
"""


def schema(image: str) -> str:
    version = {
        "type": "string",
        "default": f"{image}:py3.13.18-{OLD}",
        "listEnum": [f"{image}:py3.13.18-{OLD}", f"{image}:py3.12.16-{OLD}", f"{image}:py3.11.9-{OLD}"],
    }
    properties = {"service": {"properties": {"image": {"properties": {"version": version}}}}}
    return json.dumps({"$schema": "http://json-schema.org/schema#", "properties": properties}, indent=2) + "\n"


def charts(registry: str) -> dict[str, str]:
    """The files of a catalogue: charts of two IDEs, and one of somebody else's image."""
    found = {
        "charts/other/Chart.yaml": CHART.format(name="other"),
        "charts/other/values.yaml": "image: docker.io/a/b:1\n",
    }
    for name in ("jupyter-python", "vscode-python"):
        image = f"{registry}/onyxia-{name}"
        found |= {
            f"charts/{name}/Chart.yaml": CHART.format(name=name),
            f"charts/{name}/values.yaml": VALUES.format(image=image, old=OLD),
            f"charts/{name}/values.schema.json": schema(image),
        }
    return found


@dataclass(frozen=True)
class Line:
    """A repository of the template whose images are a file each, and the bare one of the charts."""

    root: Path
    charts: Path
    environment: dict[str, str]

    def release(self) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "hubtool", "release", "--jobs", "3"]
        done = subprocess.run(argv, cwd=self.root, env=self.environment, capture_output=True, text=True, timeout=500)
        assert done.returncode == 0, done.stderr[-5000:]
        return done

    def tag(self) -> str:
        commit = git.Repo(self.root).head.commit.hexsha[:12]
        return f"2026.11.16-{commit}"

    def proposed(self, chart: str) -> dict[str, str]:
        """What the open request for CHART changes: files and their new text."""
        branch = f"hubtool/bump/{chart}/stack-onyxia-{chart}"
        repo = git.Repo(self.charts)
        names = repo.git.diff("--name-only", "main", branch).split()
        return {name: repo.git.show(f"{branch}:{name}") + "\n" for name in names}


@pytest.fixture
def line(registry: LocalRegistry, docker_host: str, tmp_path: Path) -> Iterator[Line]:
    work, bare = git.Repo.init(tmp_path / "work", initial_branch="main"), tmp_path / "charts.git"
    write_files(tmp_path / "work", charts(f"{registry.host}/stack"))
    commit_all(work, "Charts")
    work.clone(str(bare), bare=True).close()
    root = tmp_path / "image-stack"
    answers = {"languages": "python", "devices": "cpu", "deployment_repository": str(bare), "base_image": "scratch"}
    answers |= {"registry": f"{registry.host}/stack", "hubtool_commit": "0" * 39 + "1"}
    new(root, template="image-stack", settings=[f"{key}={value}" for key, value in answers.items()], no_input=True)
    for dockerfile in root.glob("*/Dockerfile"):
        dockerfile.write_text("ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY Dockerfile /" + dockerfile.parent.name + "\n")
    shutil.rmtree(root / "tests")  # such images don't start
    file = root / "hubtool.yaml"
    file.write_text(re.sub(r"    (contract: onyxia|profile: .*)\n", "", file.read_text()))
    commit_all(git.Repo.init(root, initial_branch="main"), "images")
    auth = base64.b64encode(f"{registry.username}:{registry.password}".encode()).decode()
    write_files(tmp_path / "docker", {"config.json": json.dumps({"auths": {registry.host: {"auth": auth}}})})
    said = {"DOCKER_CONFIG": str(tmp_path / "docker"), "GIT_CONFIG_GLOBAL": os.devnull, "HUBTOOL_DATE": "2026.11.16"}
    yield Line(root, bare, {**os.environ, **said, "DOCKER_HOST": docker_host})
    client = docker_sdk.DockerClient(docker_host)
    for image in client.images.list(filters={"reference": f"{registry.host}/stack/*"}):
        client.images.remove(image.tags[0], force=True)
    client.close()


def test_a_release_moves_each_version_of_each_chart_to_its_own_and_nothing_else(line: Line) -> None:
    before = charts(yaml.safe_load((line.root / "hubtool.yaml").read_text())["registry"])
    done = line.release()
    for chart in ("jupyter-python", "vscode-python"):
        expected = {name: text for name, text in before.items() if name.startswith(f"charts/{chart}/")}
        expected = {
            name: re.sub(rf"(py3\.1[32]\.\d+)-{re.escape(OLD)}", rf"\1-{line.tag()}", text).replace("2.6.9", "2.6.10")
            for name, text in expected.items()
        }
        assert line.proposed(chart) == expected
    assert sorted(git.Repo(line.charts).git.branch("--format=%(refname:short)").split()) == [
        "hubtool/bump/jupyter-python/stack-onyxia-jupyter-python",
        "hubtool/bump/vscode-python/stack-onyxia-vscode-python",
        "main",
    ]
    # A version that is built no more stays, and is told.
    assert "left as it is: charts/jupyter-python/values.schema.json" in done.stderr
    assert f"py3.11.9-{OLD}" in done.stderr
    again = line.release()
    assert "nothing to do" in again.stdout


def test_what_a_change_does_not_reach_has_the_new_tag_all_the_same(line: Line) -> None:
    line.release()
    first = line.proposed("jupyter-python")
    (line.root / "vscode" / "more.txt").write_text("more\n")
    commit_all(git.Repo(line.root), "more")
    line.release()
    assert line.proposed("jupyter-python").keys() == first.keys()
    assert f"py3.12.16-{line.tag()}" in line.proposed("jupyter-python")["charts/jupyter-python/values.schema.json"]
