"""The repositories that the hub-image template makes."""

from __future__ import annotations

import ast
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from hubtool import config
from tests.templates.conftest import HUB_IMAGES, must_be_clean, program

EVERYWHERE = {
    ".dockerignore",
    ".github/dependabot.yml",
    ".github/workflows/lint.yaml",
    ".github/workflows/release.yaml",
    ".github/workflows/test.yaml",
    ".gitignore",
    ".yamllint.yaml",
    "CONTRIBUTING.md",
    "README.md",
    "apt.txt",
    "browser-tests/conftest.py",
    "browser-tests/requirements.txt",
    "browser-tests/test_lab.py",
    "hubtool.yaml",
    "image-tests/first-steps.ipynb",
    "image-tests/test_image.py",
    "overrides.json",
    "postBuild",
    "start",
}
CONDA = {"environment.yml"}
UV = {"pyproject.toml", "uv.lock", ".python-version"}
EXTRA: dict[str, set[str]] = {
    "defaults": CONDA,
    "uv": UV,
    "conda-r-everything": CONDA | {"runtime.txt", "install.R", ".github/CODEOWNERS", "LICENSE"},
    "uv-r-ecr": UV | {"LICENSE"},
    "harbor-other-git": CONDA,
    "loopback-local-path": UV | {".github/CODEOWNERS"},
    "no-hub-quay": CONDA,
    "numbers-as-names": CONDA,
}


def files_of(root: Path) -> set[str]:
    return {str(file.relative_to(root)) for file in root.rglob("*") if file.is_file()}


@pytest.mark.parametrize("name", HUB_IMAGES)
def test_a_repository_has_the_files_that_were_asked_for(repositories: dict[str, Path], name: str) -> None:
    assert files_of(repositories[name]) == EVERYWHERE | EXTRA[name]


@pytest.mark.parametrize("name", HUB_IMAGES)
def test_hubtool_yaml_says_what_was_answered(repositories: dict[str, Path], name: str) -> None:
    answers = HUB_IMAGES[name]
    read = config.load(repositories[name], {})
    assert list(read.images) == ["base-user-image"]
    assert read.registry == answers.get("registry", "us-central1-docker.pkg.dev/my-org-hubs/user-images")
    assert read.tag == answers.get("tag", "commit")
    if answers.get("deployment_repository") == "none":
        assert read.deployment is None
        return
    assert read.deployment is not None
    assert read.deployment.repository == answers.get("deployment_repository", "my-org/my-org-hubs")
    assert read.deployment.branch == answers.get("deployment_branch", "staging")
    assert read.deployment.promote == {"none": None}.get(
        answers.get("promote_branch", ""), answers.get("promote_branch", "prod")
    )
    assert read.deployment.hubs == (answers.get("hub_name", "base"),)


def test_a_base_image_is_named_only_where_one_was_answered(repositories: dict[str, Path]) -> None:
    bases = {name: config.load(repositories[name], {}).images["base-user-image"].base for name in HUB_IMAGES}
    assert {name: base for name, base in bases.items() if base} == {"loopback-local-path": "localhost/base:1.0"}


def test_environment_yml_pins_python_and_a_jupyterhub(repositories: dict[str, Path]) -> None:
    read = yaml.safe_load((repositories["no-hub-quay"] / "environment.yml").read_text())
    assert read["channels"] == ["conda-forge"]
    assert "python=3.13" in read["dependencies"]
    assert any(re.match(r"jupyterhub-singleuser=5\.", item) for item in read["dependencies"])
    assert all(isinstance(item, str) for item in read["dependencies"])


@pytest.mark.parametrize("name", ["base-user-image", "zzz", "a.b_c-9"])
def test_the_lock_fits_the_project_whatever_its_name(repositories: dict[str, Path], tmp_path: Path, name: str) -> None:
    from hubtool.commands.new import new

    new(tmp_path / name, template="hub-image", settings=["environment=uv"], no_input=True)
    env = {key: value for key, value in os.environ.items() if not key.startswith(("UV_", "PIP_"))}
    done = subprocess.run(
        [program("uv"), "lock", "--check", "--no-config", "--system-certs"],
        cwd=tmp_path / name,
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_the_lock_names_the_public_index_and_nothing_else(repositories: dict[str, Path]) -> None:
    text = (repositories["uv"] / "uv.lock").read_text()
    assert set(re.findall(r"https?://([^/\"]+)", text)) == {"pypi.org", "files.pythonhosted.org"}
    lock = tomllib.loads(text)
    unhashed = [
        package["name"]
        for package in lock["package"]
        for wheel in package.get("wheels", [])
        if not wheel["hash"].startswith("sha256:")
    ]
    assert not unhashed


def test_scripts_are_executable_and_shellcheck_finds_nothing(repositories: dict[str, Path]) -> None:
    scripts = [repositories[kind] / name for kind in HUB_IMAGES for name in ("postBuild", "start")]
    assert all(os.access(script, os.X_OK) for script in scripts)
    must_be_clean("shellcheck", *scripts)


def test_python_and_json_files_parse(repositories: dict[str, Path]) -> None:
    for root in [repositories[name] for name in HUB_IMAGES]:
        for file in root.rglob("*.py"):
            ast.parse(file.read_text())
        json.loads((root / "overrides.json").read_text())
        notebook = json.loads((root / "image-tests" / "first-steps.ipynb").read_text())
        assert notebook["nbformat"] == 4
        assert all(cell["id"] for cell in notebook["cells"])


class _Engine:
    """Takes the build context that repo2docker would send to a container engine."""

    def build(self, *, fileobj: io.BytesIO, **_: Any) -> list[str]:
        self.context = fileobj.read()
        return []


def copied_into_the_image(root: Path, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The files below src/ of the very context that repo2docker makes of ROOT."""
    from repo2docker.buildpacks import CondaBuildPack

    monkeypatch.chdir(root)
    engine, pack = _Engine(), CondaBuildPack("docker.io/library/ubuntu:24.04")
    pack.platform = "linux/amd64"
    arguments = {"NB_USER": "jovyan", "NB_UID": "1000", "REPO_DIR": "/srv/repo"}
    list(pack.build(engine, "name", 0, arguments, [], {}))
    with tarfile.open(fileobj=io.BytesIO(engine.context)) as tar:
        return {name.removeprefix("src/") for name in tar.getnames() if name.startswith("src/")}


PLANTED = [
    "$HOME/.docker/config.json",
    "sub/$HOME/.docker/config.json",
    "$HOME/token",
    "sub/$HOME/token",
    ".docker/config.json",
    "gha-creds-0123456789abcdef.json",
    "sub/gha-creds-0123456789abcdef.json",
    ".git/config",
    ".hubtool/logs/base.log",
    ".netrc",
    ".git-credentials",
    ".env",
    ".aws/credentials",
    "deploy/id_ed25519",
    "app.private-key.pem",
    "tls.key",
    ".config/gcloud/application_default_credentials.json",
]


@pytest.mark.parametrize("ignored", [True, False], ids=["with the generated .dockerignore", "without it"])
def test_no_credential_that_lies_about_is_copied_into_the_image(
    repositories: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ignored: bool
) -> None:
    root = tmp_path / "image"
    shutil.copytree(repositories["defaults"], root)
    for name in PLANTED:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text('{"auths": {"registry.example.org": {"auth": "c2VjcmV0"}}}')
    if not ignored:
        (root / ".dockerignore").unlink()
    found = copied_into_the_image(root, monkeypatch)
    assert {"environment.yml", "postBuild", "image-tests/test_image.py", "overrides.json"} <= found
    # Without the file they all travel: the test would see it.
    assert {name for name in PLANTED if name in found} == (set() if ignored else set(PLANTED))
