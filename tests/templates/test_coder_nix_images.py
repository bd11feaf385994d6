"""The images of the repositories that the coder-nix template makes: built, tested, released, and bumped."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import git
import pytest

from hubtool import config
from hubtool.commands.new import new
from hubtool.sandbox import deployment
from tests.builders.debian.archive import running_archive
from tests.conftest import LocalRegistry
from tests.contracts.coder.test_contract import BARE_CHECKS
from tests.templates.conftest import INTERNAL
from tests.templates.nixpkgs import NIXPKGS, running_store

KIND = "coder-nix"


@dataclass(frozen=True)
class Line:
    """A generated repository whose image is called NAME, cloned from ORIGIN, and how hubtool runs there."""

    root: Path
    origin: Path
    environment: dict[str, str]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "hubtool", *words]
        return subprocess.run(argv, capture_output=True, text=True, cwd=self.root, env=self.environment, timeout=560)

    def json(self, *words: str) -> Any:
        done = self.run(*words, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def make_line(
    registry: LocalRegistry, docker_host: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Line]]:
    """Makes a repository with ANSWERS whose deployment repository is its own remote, and CHANGES to its files."""
    made = []

    def make(builder: str, changes: Callable[[Path], None], environment: dict[str, str]) -> Line:
        folder = tmp_path_factory.mktemp(builder)
        root, origin = folder / f"{builder}-workspace", folder / "origin.git"
        answers = {"builder": builder, "registry": f"{registry.host}/coder", "deployment_repository": str(origin)}
        new(root, template=KIND, settings=[f"{key}={value}" for key, value in answers.items()], no_input=True)
        changes(root)
        repo = git.Repo.init(root, initial_branch="main")
        deployment.commit_all(repo, "A workspace")
        repo.clone(str(origin), bare=True)
        given = {
            "DOCKER_HOST": docker_host,
            "DOCKER_CONFIG": str(folder / "no-docker-config"),
            "HUBTOOL_ENGINE": "docker",
            "HUBTOOL_REGISTRY_USERNAME": registry.username,
            "HUBTOOL_REGISTRY_PASSWORD": registry.password,
            "GIT_CONFIG_GLOBAL": os.devnull,
        }
        made.append(f"{registry.host}/coder/{root.name}")
        return Line(root, origin, {**os.environ, **given, **environment})

    yield make
    client = docker.DockerClient(base_url=docker_host)
    for name in made:
        for image in client.images.list(name=name):
            client.images.remove(str(image.id), force=True)
    client.close()


def settings_of(root: Path, old: str, new_: str) -> None:
    file = root / "hubtool.yaml"
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new_))


def trusts_internal(root: Path, folder: str) -> None:
    """Have the image trust an authority of the site's own, and the contract ask for it."""
    (root / "image" / folder).mkdir(parents=True, exist_ok=True)
    (root / "image" / folder / "internal.crt").write_text(INTERNAL.read_text())
    settings_of(root, "      sudo: true\n", f"      sudo: true\n      trusted_ca: {json.dumps(INTERNAL.read_text())}\n")


@pytest.fixture(scope="module")
def nix_line(make_line: Callable[..., Line], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """The image of the Nix expression, with packages of a stand-in for nixpkgs."""

    def changes(root: Path) -> None:
        settings_of(root, "    context: image\n", f"    context: image\n    args: {{nixpkgs: {NIXPKGS}}}\n")
        trusts_internal(root, "certificates")

    with running_store(tmp_path_factory.mktemp("nix")) as environment:
        yield make_line("nix", changes, environment)


@pytest.fixture(scope="module")
def debian_line(make_line: Callable[..., Line]) -> Iterator[Line]:
    """The image of Debian's packages, from a mirror with the archive of that day."""
    with running_archive() as archive:

        def changes(root: Path) -> None:
            settings_of(root, "    debian:\n", f"    debian:\n      mirror: {archive.url}\n")
            trusts_internal(root, "files/usr/local/share/ca-certificates")

        yield make_line("debian", changes, {})


@pytest.mark.engine
def test_the_nix_image_goes_the_whole_line(nix_line: Line) -> None:
    goes_the_whole_line(nix_line)


# A team's own templates: people choose among images, presets choose for them.
CHOICE = """\
data "coder_parameter" "image" {{
  name    = "image"
  default = "{image}:2026.07" # what new workspaces have
  option {{
    name  = "Bare"
    value = "{image}:2026.07"
  }}
  option {{
    name  = "Everything"
    value = "{image}-full:2026.07"
  }}
}}

data "coder_workspace_preset" "small" {{
  name = "Small"
  parameters = {{
    (data.coder_parameter.image.name) = "{image}:2026.07"
  }}
}}

resource "kubernetes_pod" "main" {{
  spec {{
    container {{
      image   = data.coder_parameter.image.value
      command = ["sh", "-c", coder_agent.main.init_script]
    }}
  }}
}}
"""


@pytest.mark.engine
def test_a_release_moves_the_image_in_templates_of_another_repository(nix_line: Line, tmp_path: Path) -> None:
    nix_line.json("release")
    image = config.load(nix_line.root, {}).registry + f"/{nix_line.root.name}"
    repo = git.Repo.init(tmp_path / "templates", initial_branch="main", mkdir=True)
    for folder in ("coder-template", "other-template"):
        (tmp_path / "templates" / folder).mkdir()
        (tmp_path / "templates" / folder / "main.tf").write_text(CHOICE.format(image=image))
    deployment.commit_all(repo, "Templates")
    repo.clone(str(tmp_path / "templates.git"), bare=True)

    done = nix_line.run("bump", "--hub", nix_line.root.name, "--deployment", str(tmp_path / "templates.git"))
    assert done.returncode == 0, done.stderr
    moved = git.Repo(tmp_path / "templates.git")
    tag = git.Repo(nix_line.root).head.commit.hexsha[:12]
    old = CHOICE.format(image=image)
    new_ = moved.git.show("refs/requests/1/head:coder-template/main.tf", strip_newline_in_stdout=False)
    assert new_ == old.replace(f"{image}:2026.07", f"{image}:{tag}")
    assert moved.git.diff("main", "refs/requests/1/head", name_only=True) == "coder-template/main.tf"


@pytest.mark.engine
def test_the_debian_image_goes_the_whole_line(debian_line: Line) -> None:
    goes_the_whole_line(debian_line)


def goes_the_whole_line(line: Line) -> None:
    """Built, it keeps every promise; released, the Coder template's tag moves, and nothing else; then all is done."""
    line.json("build")
    (report,) = line.json("test")
    outcomes = {result["check"]: result["outcome"] for result in report["results"]}
    assert outcomes.keys() > set(BARE_CHECKS)
    assert set(outcomes.values()) == {"passed"}

    (pushed,) = line.json("push")
    assert pushed["state"] == "pushed"
    assert [one["state"] for one in line.json("release")["releases"]] == ["unchanged"]
    tag = git.Repo(line.root).head.commit.hexsha[:12]
    diff = git.Repo(line.origin).git.diff("main", "refs/requests/1/head", unified=0)
    assert re.findall(r"^\+\+\+ b/(.*)$", diff, re.M) == ["coder-template/main.tf"]
    (old,), (new_,) = re.findall(r"^-(?!--)(.*)$", diff, re.M), re.findall(r"^\+(?!\+\+)(.*)$", diff, re.M)
    assert new_ == old.replace(":unreleased", f":{tag}") != old
    assert [one["request"]["state"] for one in line.json("release")["bumps"]] == ["unchanged"]
