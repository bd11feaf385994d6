"""An image repository made from the template onyxia-ide, whose images are built by hubtool itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import git
from ruamel.yaml import YAML

from hubtool.commands.new import new
from hubtool.sandbox.deployment import commit_all

TEMPLATE = Path(__file__).resolve().parents[3] / "cookiecutter-template/onyxia-ide/{{cookiecutter.__folder}}"


def make_repository(root: Path, *settings: str, args: Mapping[str, str] | None = None) -> Path:
    """Make a repository at ROOT with the answers SETTINGS, commit it, and return ROOT. ARGS are build arguments of the
    images whose Dockerfiles have them."""
    answers = {"repository_name": "onyxia-images", "hubtool_commit": "0" * 39 + "1"}
    new(root, template="onyxia-ide", settings=[*(f"{k}={v}" for k, v in answers.items()), *settings], no_input=True)
    yaml, file = YAML(), root / "hubtool.yaml"
    data = yaml.load(file)
    for name, image in data["images"].items():
        text = (root / name / "Dockerfile").read_text()
        image["args"].update({key: value for key, value in (args or {}).items() if f"ARG {key}" in text})
    yaml.dump(data, file)
    commit_all(git.Repo.init(root, initial_branch="main"), "images")
    return root


def build(root: Path, *words: str, ca_bundle: Path | None = None) -> dict[str, str]:
    """Run `hubtool build` in ROOT; the references that were made, by image."""
    environment = {**os.environ, "HUBTOOL_CA_BUNDLE": str(ca_bundle or ""), "HUBTOOL_ENGINE": "docker"}
    argv = [sys.executable, "-m", "hubtool", "build", "--json", *words]
    done = subprocess.run(argv, cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return {one["image"]: one["reference"] for one in json.loads(done.stdout)}
