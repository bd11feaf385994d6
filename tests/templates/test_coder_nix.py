"""The repositories that the coder-nix template makes; their images are built, tested, released, and bumped."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import docker
import git
import pytest
import yaml

from hubtool import config
from hubtool.commands.new import new
from hubtool.errors import HubtoolError
from hubtool.pins.folder import list_folder, scan_folder
from hubtool.process import run
from hubtool.sandbox import deployment
from tests.builders.debian.archive import running_archive
from tests.conftest import LocalRegistry
from tests.contracts.coder.test_contract import BARE_CHECKS
from tests.templates.conftest import PROJECT, TEMPLATES, must_be_clean
from tests.templates.nixpkgs import NIXPKGS, running_store
from tests.templates.test_hub_image import files_of
from tests.templates.test_workflows import script_of

KIND = "coder-nix"
ANSWERS = TEMPLATES[KIND]
REFERENCES = {
    "defaults": "ghcr.io/my-org/coder-nix",
    "debian-docker-gar": "us-central1-docker.pkg.dev/my-project/user-images/coder-nix",
    "other-repository-harbor": "harbor.example.org:8443/team/coder-nix",
    "own-folder": "ghcr.io/my-org/coder-nix",
    "no-template": "ghcr.io/my-org/coder-nix",
}
INTERNAL = PROJECT / "tests" / "contracts" / "coder" / "internal.crt"


EVERYWHERE = {
    ".github/dependabot.yml",
    ".github/workflows/lint.yaml",
    ".github/workflows/release.yaml",
    ".github/workflows/test.yaml",
    ".gitignore",
    ".yamllint.yaml",
    "CONTRIBUTING.md",
    "README.md",
    "hubtool.yaml",
    "tests/test_workspace.py",
}
NIX = {f"image/{name}" for name in ("default.nix", "flake.lock", "flake.nix", "image.nix", "packages.nix")}
DEBIAN = {"image/files/etc/sudoers.d/coder", "image/setup"}
EXTRA = {
    "defaults": NIX | {"coder-template/main.tf"},
    "debian-docker-gar": DEBIAN | {"coder-template/main.tf", ".github/CODEOWNERS", "LICENSE"},
    "other-repository-harbor": NIX | {"coder-template/main.tf"},
    "own-folder": DEBIAN | {"templates/bare/main.tf"},
    "no-template": NIX | {"coder-template/main.tf"},
}


@pytest.fixture
def root(repositories: dict[str, Path], name: str) -> Path:
    return repositories[f"{KIND}/{name}"]


@pytest.mark.parametrize("name", ANSWERS)
def test_a_repository_has_the_files_that_were_asked_for(root: Path, name: str) -> None:
    assert files_of(root) == EVERYWHERE | EXTRA[name]


@pytest.mark.parametrize("name", ANSWERS)
def test_the_template_s_one_pin_is_where_a_release_looks_for_it(root: Path, name: str) -> None:
    pins = [pin for pin in scan_folder(root, list_folder(root)).pins if pin.editable]
    (file,) = (file for file in EXTRA[name] if file.endswith("main.tf"))
    assert [(pin.file, pin.image, pin.tag) for pin in pins] == [(file, REFERENCES[name], "unreleased")]
    deployment = config.load(root, {}).deployment
    if name == "no-template":
        assert deployment is None
        return
    assert deployment is not None
    (hub,) = deployment.hubs
    folder = ANSWERS[name].get("template_folder", "coder-template")
    assert (hub, deployment.paths) == (ANSWERS[name].get("coder_template", KIND), {hub: (folder,)})


@pytest.mark.parametrize("name", ANSWERS)
def test_a_release_s_own_pull_request_releases_nothing(root: Path, name: str) -> None:
    on = yaml.safe_load((root / ".github" / "workflows" / "release.yaml").read_text())[True]
    ignored = {"own-folder": ["templates/bare/**"], "defaults": ["coder-template/**"]}
    ignored["debian-docker-gar"] = ignored["defaults"]
    assert on["push"].get("paths-ignore") == ignored.get(name)


@pytest.mark.parametrize(
    ("builders", "installed"),
    [
        ([], ""),
        (["dockerfile", "repo2docker"], ""),
        (["nix"], "nix-bin"),
        (["dockerfile", "debian", "nix"], "nix-bin mmdebstrap debian-archive-keyring uidmap"),
    ],
)
def test_workflows_install_what_the_builders_need(tmp_path: Path, builders: list[str], installed: str) -> None:
    plan = json.dumps([{"builder": builder} for builder in builders])
    for name, line in {"hubtool": f"echo '{plan}'", "sudo": f'echo "$@" >> {tmp_path}/said'}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    script = script_of("image-release.yaml", "release", "Install what the builders need")
    (tmp_path / "said").touch()
    run("bash", "-eo", "pipefail", "-c", script, env={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    said = (tmp_path / "said").read_text()
    assert re.findall("--no-install-recommends (.*)", said) == ([installed] if installed else [])
    assert ("/nix" in said) == ("nix" in builders)


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not installed")
def test_terraform_s_files_are_formatted(root: Path) -> None:
    must_be_clean("terraform", "fmt", "-check", "-diff", "-recursive", root)


@pytest.mark.parametrize("name", ["own-folder"])
def test_shellcheck_finds_nothing(root: Path) -> None:
    assert os.access(root / "image" / "setup", os.X_OK)
    must_be_clean("shellcheck", root / "image" / "setup")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("coder_template=My Template", "a Coder template's name"),
        ("coder_template=" + "a" * 33, "32 at most"),
        ("coder_template=a--b", "a Coder template's name"),
        ("template_folder=../outside", "expected a folder"),
        ("template_folder=/etc", "expected a folder"),
        ("template_folder=a/", "expected a folder"),
        ('template_folder=a"b', "expected a folder"),
    ],
)
def test_a_bad_answer_is_named(tmp_path: Path, answer: str, says: str) -> None:
    with pytest.raises(HubtoolError, match=says):
        new(tmp_path / "workspace", template=KIND, settings=[answer], no_input=True)
    assert not (tmp_path / "workspace").exists()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with running_store(tmp_path_factory.mktemp("nix")) as environment:
        yield environment


@pytest.fixture
def expression(repositories: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of the expression's folder."""
    return Path(shutil.copytree(repositories[f"{KIND}/defaults"] / "image", tmp_path / "image"))


def derivation(folder: Path, store: dict[str, str], *words: str | Path) -> str:
    return run("nix-instantiate", folder, "--argstr", "nixpkgs", NIXPKGS, *words, env=store).stdout.strip()


def test_the_flake_s_output_is_the_same_derivation(expression: Path, store: dict[str, str]) -> None:
    system = "builtins.currentSystem"
    nixpkgs = (
        f'(import {NIXPKGS} {{ system = {system}; config = {{ }}; overlays = [ ]; }}) // {{ outPath = "{NIXPKGS}"; }}'
    )
    outputs = f"(import {expression}/flake.nix).outputs {{ self = {{ }}; nixpkgs = {nixpkgs}; }}"
    made = run("nix-instantiate", "--expr", f"({outputs}).packages.${{{system}}}.default", env=store)
    assert made.stdout.strip() == derivation(expression, store)


def test_authorities_of_one_s_own_change_the_image_whatever_their_files_are_called(
    expression: Path, store: dict[str, str]
) -> None:
    found = [derivation(expression, store)]
    (expression / "certificates").mkdir()
    for name in ("README.md", "a.crt", "b and $c; \"d'.crt"):
        (expression / "certificates" / name).write_text(INTERNAL.read_text() + name)
        found.append(derivation(expression, store))
    assert found[0] == found[1]
    assert len(set(found)) == 3


class _Mirror(BaseHTTPRequestHandler):
    """Has the stand-in for nixpkgs under the name of any commit."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        made = io.BytesIO()
        with tarfile.open(fileobj=made, mode="w:gz") as archive:
            for file in sorted(NIXPKGS.iterdir()):
                if file.is_file():
                    archive.add(file, f"nixpkgs-0/{file.name}")
        self.send_response(200)
        self.end_headers()
        self.wfile.write(made.getvalue())

    def log_message(self, *_: object) -> None:
        pass


def test_nixpkgs_is_fetched_at_the_commit_and_with_the_hash_of_the_lock(
    expression: Path, store: dict[str, str], tmp_path: Path
) -> None:
    lock = json.loads((expression / "flake.lock").read_text())
    locked = lock["nodes"]["nixpkgs"]["locked"]
    assert re.fullmatch("[0-9a-f]{40}", locked["rev"])
    with ThreadingHTTPServer(("127.0.0.1", 0), _Mirror) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        mirror = f"http://127.0.0.1:{server.server_address[1]}/archive"
        words = ("nix-instantiate", expression, "--argstr", "mirror", mirror)
        refused = run(*words, env=store, check=False)
        assert "hash mismatch" in refused.stderr
        got = re.search(r"got: +(sha256\S+)", refused.stderr)
        assert got is not None
        (expression / "flake.lock").write_text(json.dumps(lock).replace(locked["narHash"], got[1]))
        assert run(*words, env=store).stdout.strip().endswith(f"-{KIND}.tar.gz.drv")
        server.shutdown()
    assert set(_Mirror.asked) == {f"/archive/{locked['rev']}.tar.gz"}


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
