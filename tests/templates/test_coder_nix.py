"""The repositories that the coder-nix template makes, and the Nix expression in them as Nix reads it."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
import yaml

from hubtool import config
from hubtool.commands.new import new
from hubtool.errors import HubtoolError
from hubtool.pins.folder import list_folder, scan_folder
from hubtool.process import run
from tests.templates.conftest import INTERNAL, TEMPLATES, must_be_clean
from tests.templates.nixpkgs import NIXPKGS, running_store
from tests.templates.test_hub_image import files_of
from tests.templates.workflows import script_of

KIND = "coder-nix"
ANSWERS = TEMPLATES[KIND]
REFERENCES = {
    "defaults": "ghcr.io/my-org/coder-nix",
    "debian-docker-gar": "us-central1-docker.pkg.dev/my-project/user-images/coder-nix",
    "other-repository-harbor": "harbor.example.org:8443/team/coder-nix",
    "own-folder": "ghcr.io/my-org/coder-nix",
    "no-template": "ghcr.io/my-org/coder-nix",
}


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


@pytest.mark.parametrize("name", ["defaults", "debian-docker-gar"])
def test_a_home_volume_is_named_by_what_nobody_changes_and_stays_as_it_is(root: Path) -> None:
    """Else Terraform makes it anew where somebody or a workspace is renamed, and the work in it is gone."""
    text = (root / "coder-template" / "main.tf").read_text()
    assert re.findall(r"^ {2}name += (.*)$", text.partition("locals {")[2].partition("\n}\n")[0], re.M) == [
        '"coder-${data.coder_workspace.me.id}"'
    ]
    (volume,) = re.findall(r'^resource "\w+" "home" {\n(.*?)^}', text, re.M | re.S)
    assert re.findall(r"\bname += (.*)", volume) == ['"${local.name}-home"']
    assert "ignore_changes = all" in volume


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
        ("template_folder=image/template", "not one of the image's"),
        ("template_folder=README.md", "not one of the image's"),
        ("template_folder=" + "a" * 201, "expected a folder"),
    ],
)
def test_a_bad_answer_is_named(tmp_path: Path, answer: str, says: str) -> None:
    with pytest.raises(HubtoolError, match=says):
        new(tmp_path / "workspace", template=KIND, settings=[answer], no_input=True)
    assert not (tmp_path / "workspace").exists()


def test_the_template_may_be_in_a_folder_below_the_usual_one(tmp_path: Path) -> None:
    new(tmp_path / "workspace", template=KIND, settings=["template_folder=coder-template/bare"], no_input=True)
    assert {file for file in files_of(tmp_path / "workspace") if file.endswith(".tf")} == {
        "coder-template/bare/main.tf"
    }


def test_the_coder_template_of_a_repository_with_a_long_name_has_a_name_that_coder_takes(tmp_path: Path) -> None:
    root = tmp_path / "computational-social-sciences.at-large"
    new(root, template=KIND, settings=[], no_input=True)
    deployment = config.load(root, {}).deployment
    assert deployment is not None
    assert deployment.hubs == ("computational-social-sciences-at",)


def test_a_deployment_repository_of_digits_stays_a_name(tmp_path: Path) -> None:
    new(tmp_path / "workspace", template=KIND, settings=["deployment_repository=007/1.10"], no_input=True)
    workflow = yaml.safe_load((tmp_path / "workspace" / ".github" / "workflows" / "release.yaml").read_text())
    given = workflow["jobs"]["release"]["with"]
    assert (given["deployment-owner"], given["deployment-name"]) == ("007", "1.10")


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


def test_an_authority_that_is_not_pem_is_no_image(expression: Path, store: dict[str, str]) -> None:
    (expression / "certificates").mkdir()
    (expression / "certificates" / "der.crt").write_bytes(b"\x30\x82\x01\x00")
    words = ("nix-build", expression, "--no-out-link", "--argstr", "nixpkgs", NIXPKGS)
    made = run(*words, env=store, check=False)
    assert made.returncode != 0
    assert "a file of image/certificates is not PEM" in made.stderr


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
