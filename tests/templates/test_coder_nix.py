"""The repositories that the coder-nix template makes; their images are built, tested, released, and bumped."""

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
from tests.builders.nix.store import SETTINGS
from tests.conftest import LocalRegistry
from tests.contracts.coder.test_contract import BARE_CHECKS
from tests.templates.conftest import PROJECT, TEMPLATES, must_be_clean

KIND = "coder-nix"
ANSWERS = TEMPLATES[KIND]
NIXPKGS = Path(__file__).parent / "nixpkgs"
INTERNAL = PROJECT / "tests" / "contracts" / "coder" / "internal.crt"


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
            client.images.remove(image.id, force=True)
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
    store = tmp_path_factory.mktemp("nix").resolve()

    def changes(root: Path) -> None:
        settings_of(root, "    context: image\n", f"    context: image\n    args: {{nixpkgs: {NIXPKGS}}}\n")
        trusts_internal(root, "certificates")

    folders = {f"NIX_{name.upper()}_DIR": str(store / name) for name in ("store", "state", "log", "conf")}
    yield make_line("nix", changes, {**folders, "NIX_CONFIG": SETTINGS, "NIX_REMOTE": ""})
    for path in store.rglob("*"):  # read-only, as Nix leaves it
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)


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

    data = line.json("release")
    (release,) = data["releases"]
    assert release["state"] == "pushed"
    tag = git.Repo(line.root).head.commit.hexsha[:12]
    diff = git.Repo(line.origin).git.diff("main", "refs/requests/1/head", unified=0)
    assert re.findall(r"^\+\+\+ b/(.*)$", diff, re.M) == ["coder-template/main.tf"]
    (old,), (new_,) = re.findall(r"^-(?!--)(.*)$", diff, re.M), re.findall(r"^\+(?!\+\+)(.*)$", diff, re.M)
    assert new_ == old.replace(":unreleased", f":{tag}") != old

    again = line.json("release")
    assert [one["state"] for one in again["releases"]] == ["unchanged"]
    assert [one["request"]["state"] for one in again["bumps"]] == ["unchanged"]
