"""What `hubtool plan` prints and writes, of an example's whole graph."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import git
import pytest

from hubtool.plan.readme import BEGIN, END
from hubtool.sandbox import deployment

EXAMPLE = Path(__file__).parents[2] / "examples" / "workstations"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    shutil.copytree(EXAMPLE, tmp_path / "stack")
    (tmp_path / "stack" / "README.md").write_text(f"# Ours\n\n{BEGIN}\n{END}\n\nMore.\n")
    deployment.commit_all(git.Repo.init(tmp_path / "stack", initial_branch="main"), "one")
    return tmp_path / "stack"


def plan(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "hubtool", "plan", "--offline", *words]
    done = subprocess.run(argv, cwd=root, env={**os.environ, "HUBTOOL_ENGINE": "none"}, capture_output=True, text=True)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_the_table_has_a_row_a_variant_and_says_how_many(root: Path) -> None:
    lines = plan(root).stdout.splitlines()
    assert lines[-1] == "14 variants: 10 to build, 4 left out"
    assert "GPUs are for jobs only" in next(line for line in lines if "tensorflow-desktop[cuda11]" in line)


def test_a_readme_gets_the_images_and_is_then_left_alone(root: Path) -> None:
    done = plan(root, "--readme", "README.md")
    assert (done.returncode, done.stdout) == (0, "")
    text = (root / "README.md").read_text()
    assert text.startswith(f"# Ours\n\n{BEGIN}\n\n```mermaid\n")
    assert text.endswith(f"|\n\n{END}\n\nMore.\n")
    assert "nothing to do" in plan(root, "--readme", "README.md").stderr
    assert (root / "README.md").read_text() == text


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "No such file"), (b"\xff\xfe", "can't decode"), (b"# Ours\n", "does not say where the images go")],
    ids=["no file", "no text", "no marks"],
)
def test_a_readme_that_can_not_be_written_is_one_error(root: Path, content: bytes | None, says: str) -> None:
    file = root / "README.md"
    file.write_bytes(content) if content is not None else file.unlink()
    done = plan(root, "--readme", "README.md")
    assert done.returncode == 1
    assert says in done.stderr
    assert (file.read_bytes() if file.exists() else None) == content


def test_pictures_and_files_for_others_are_written(root: Path) -> None:
    assert plan(root, "--svg", "graph.svg").returncode == 0
    assert ElementTree.parse(root / "graph.svg").getroot().tag.endswith("svg")
    assert plan(root, "--mermaid").stdout.startswith("graph LR\n")
    assert len(json.loads(plan(root, "--bake").stdout)["target"]) == 10
    assert len(json.loads(plan(root, "--json", "ubuntu-python").stdout)) == 2
    named = json.loads(plan(root, "--json", "ubuntu-python-pytorch-desktop-jupyter[cuda11]").stdout)
    assert {node["action"] for node in named} == {"build"}
    stages = json.loads(plan(root, "--github-matrix").stdout)
    assert [len(stage["include"]) for stage in stages.values()] == [2, 4, 2, 2]
