"""The repositories that the image-stack template makes, and a real stack of one."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import docker as docker_sdk
import git
import pytest
from ruamel.yaml import YAML

from hubtool.commands.new import new
from hubtool.config import load
from hubtool.errors import HubtoolError
from hubtool.plan.graph import Graph, make_graph, select
from hubtool.sandbox.deployment import commit_all
from tests.contracts.onyxia.conftest import IDE
from tests.contracts.onyxia.mirror import architecture, write_package
from tests.templates.conftest import TEMPLATES, must_be_clean
from tests.templates.site import CRAN, PYPI, Site, bundle, running_site

STACKS = TEMPLATES["image-stack"]
WORDS = {"date": "2026.11.16", "commit": "0123456789ab"}
PYTHON = ["python-minimal", "python-datascience", "python-pytorch"]
PYTHON_IDES = ["jupyter-python", "jupyter-pytorch", "vscode-python", "vscode-pytorch"]
R, R_IDES = ["r-minimal", "r-datascience"], ["vscode-r", "rstudio"]
ALL = ["base", *PYTHON, *PYTHON_IDES, *R, *R_IDES]


def graph_of(root: Path) -> Graph:
    """What the repository at ROOT declares."""
    return make_graph(load(root, {}), root / "hubtool.yaml", WORDS, ["{commit}"])


def tags_of(root: Path) -> dict[str, tuple[str, ...]]:
    """The tags of every variant that the repository at ROOT declares."""
    return {name: node.tags for name, node in graph_of(root).nodes.items()}


@pytest.mark.parametrize(
    ("name", "images", "count"),
    [
        ("defaults", ALL, 46),
        ("cpu-gar", ALL, 23),
        ("python-harbor", ["base", *PYTHON, *PYTHON_IDES], 16),
        ("r-ecr", ["base", *R, *R_IDES], 26),
        ("no-charts", ALL, 46),
    ],
)
def test_the_graph_has_the_languages_and_variants_that_were_asked_for(
    repositories: dict[str, Path], name: str, images: list[str], count: int
) -> None:
    found = tags_of(repositories[f"image-stack/{name}"])
    assert {variant.partition("[")[0] for variant in found} == set(images)
    assert len(found) == count


def test_tags_say_version_device_day_and_commit(repositories: dict[str, Path]) -> None:
    found = tags_of(repositories["image-stack/defaults"])
    assert found["jupyter-python[3.13.18,gpu]"] == ("py3.13.18-gpu", "py3.13.18-gpu-2026.11.16-0123456789ab")
    assert found["rstudio[4.5.3,cpu]"] == ("r4.5.3", "r4.5.3-2026.11.16-0123456789ab")
    assert found["base[gpu]"] == ("latest-gpu", "2026.11.16-0123456789ab-gpu")
    assert tags_of(repositories["image-stack/cpu-gar"])["vscode-r[4.6.1]"][0] == "r4.6.1"


def test_every_ide_is_held_against_onyxia_s_contract(repositories: dict[str, Path]) -> None:
    images = load(repositories["image-stack/defaults"], {}).images
    profiles = {name: image.profile for name, image in images.items() if image.contract == "onyxia"}
    assert profiles.keys() == {*PYTHON_IDES, *R_IDES}
    assert {name: profile for name, profile in profiles.items() if name.startswith(profile or "?")}.keys() == {
        "jupyter-python",
        "jupyter-pytorch",
        "rstudio",
    }
    assert {profiles[name] for name in profiles if name.startswith("vscode")} == {"code-server"}


@pytest.mark.parametrize("name", STACKS)
def test_a_repository_has_the_folders_that_its_images_name(repositories: dict[str, Path], name: str) -> None:
    root = repositories[f"image-stack/{name}"]
    contexts = {image.context for image in load(root, {}).images.values()}
    assert {str(file.parent.relative_to(root)) for file in root.glob("*/Dockerfile")} == contexts
    extensions = {file.stem.partition("-")[2] for file in (root / "vscode").glob("extensions-*.txt")}
    said = {str(image.args["EXTENSIONS"]) for image in load(root, {}).images.values() if "EXTENSIONS" in image.args}
    assert extensions == said


@pytest.mark.parametrize("name", STACKS)
def test_what_dockerfiles_are_given_is_what_they_ask_for(repositories: dict[str, Path], name: str) -> None:
    root = repositories[f"image-stack/{name}"]
    for image in load(root, {}).images.values():
        text = (root / image.context / "Dockerfile").read_text()
        asked = set(re.findall(r"^ARG (\w+)", text, re.MULTILINE))
        optional = {found for found in asked if found.endswith(("URL", "MIRROR", "INDEX", "GALLERY", "CRAN"))}
        assert asked - optional == {"BASE_IMAGE", *image.args}, image.context


@pytest.mark.parametrize("name", STACKS)
def test_contributors_are_told_to_test_just_what_they_built(repositories: dict[str, Path], name: str) -> None:
    root = repositories[f"image-stack/{name}"]
    shown = (root / "CONTRIBUTING.md").read_text()
    lines = re.findall(r"^hubtool (?:build|test) .*", shown, re.MULTILINE)
    named = [shlex.split(line, comments=True)[-1] for line in lines]
    assert len(named) == 2
    assert named[0] == named[1]
    assert len(select(graph_of(root), named[:1], root / "hubtool.yaml")) == 1


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("python_versions=3.13, 3.13", "expected versions, each once"),
        ("python_versions=", "expected versions"),
        ("r_versions=4.6.1; rm -rf /", "expected versions"),
        ("r_versions=latest", "expected versions"),
        ("gpu_base_image=default", "expected an image with its tag"),
        ('gpu_base_image=a"b', "expected an image with its tag"),
        ("charts=a/one b/one", "expected charts"),
        ("charts=../secret", "expected charts"),
        ("image_prefix=-x", "lower-case letters"),
        ("languages=julia", "languages"),
    ],
)
def test_an_answer_that_will_not_do_is_one_error_and_makes_nothing(tmp_path: Path, answer: str, says: str) -> None:
    with pytest.raises(HubtoolError, match=says):
        new(tmp_path / "stack", template="image-stack", settings=[answer], no_input=True)
    assert list(tmp_path.iterdir()) == []


def test_shellcheck_finds_nothing(repositories: dict[str, Path]) -> None:
    root = repositories["image-stack/defaults"]
    scripts = ["base/onyxia-init.sh", "base/entrypoint.sh", "r-minimal/install-r.sh", "rstudio/init"]
    assert all(os.access(root / script, os.X_OK) for script in scripts)
    must_be_clean("shellcheck", *(root / script for script in scripts))


# ---- a real stack

# Says what micromamba makes of its variable.
MICROMAMBA = """\
#!/bin/sh
[ "$*" = "config list" ] && printf 'channels:\\n  - %s\\n' "$CONDA_CHANNELS"
"""


@dataclass(frozen=True)
class Stack:
    """A repository with its images built: ``references`` by image. ``trusted`` is what the build trusted."""

    root: Path
    references: Mapping[str, str]
    environment: Mapping[str, str]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "hubtool", *words]
        return subprocess.run(argv, cwd=self.root, env=self.environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def site(docker_host: str, cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """With stand-ins for code-server, RStudio and micromamba, which Debian, PyPI and npm do not have."""
    folder, arch = tmp_path_factory.mktemp("site"), architecture()
    packages = {
        f"v4.139.1/code-server_4.139.1_{arch}.deb": ("code-server", "/usr/bin/code-server"),
        f"{arch}/rstudio-server-2026.05.1-225-{arch}.deb": ("rstudio-server", "/usr/lib/rstudio-server/bin/rserver"),
    }
    for name, (package, program) in packages.items():
        (folder / name).parent.mkdir()
        write_package(folder / name, package, IDE, program)
    (folder / "2.9.0-0").mkdir()
    for name in ("linux-64", "linux-aarch64"):
        (folder / f"2.9.0-0/micromamba-{name}").write_text(MICROMAMBA)
    with running_site(folder, cache_dir / "authorities") as found:
        yield found


@pytest.fixture(scope="module")
def stack(
    site: Site, base_image: str, ca_bundle: Path | None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """The three kinds of IDE, built in full on the distribution's own Python and R, with few packages."""
    folder = tmp_path_factory.mktemp("stack")
    root = folder / "image-stack"
    answers = {
        "registry": "127.0.0.1:9/team",  # which is not there
        "base_image": base_image,
        "python_versions": "3.11.2",
        "r_versions": "4.2.2",
        "devices": "cpu",
        "conda": "yes",
        "deployment_repository": "none",
        "hubtool_commit": "0" * 39 + "1",
    }
    new(root, template="image-stack", settings=[f"{key}={value}" for key, value in answers.items()], no_input=True)
    settings(root, site)
    trusted = bundle(folder / "bundle.crt", [ca_bundle or Path("/etc/ssl/certs/ca-certificates.crt"), site.authority])
    environment = {**os.environ, "HUBTOOL_CA_BUNDLE": str(trusted), "HUBTOOL_ENGINE": "docker"}
    made = Stack(root, {}, environment)
    done = made.run("build", "--jobs", "2", "jupyter-python", "vscode-r", "rstudio", "--json")
    assert done.returncode == 0, done.stderr[-5000:]
    references = {one["image"]: one["reference"] for one in json.loads(done.stdout)}
    yield Stack(root, references, environment)
    client = docker_sdk.from_env()
    for reference in references.values():
        client.images.remove(reference, force=True)  # the build's cache keeps what they are made of
    client.close()


def settings(root: Path, site: Site) -> None:
    """What a team changes: other packages, its mirrors, its authority's certificate."""
    (root / "python-datascience/requirements.txt").write_text("requests\n")
    (root / "r-datascience/apt.txt").write_text("")
    (root / "r-datascience/packages.txt").write_text("tiny # the only one here\n")
    (root / "vscode/extensions-r.txt").write_text("# none\n")
    (root / "base/certificates/known.crt").write_bytes(site.known_authority.read_bytes())
    yaml, file = YAML(), root / "hubtool.yaml"
    data = yaml.load(file)
    data["images"]["python-minimal"]["args"]["MICROMAMBA_URL"] = site.private
    data["images"]["r-minimal"]["args"]["CRAN"] = f"{site.private}/{CRAN}"
    data["images"]["vscode-r"]["args"]["CODE_SERVER_URL"] = site.private
    data["images"]["rstudio"]["args"]["RSTUDIO_URL"] = site.private
    yaml.dump(data, file)
    commit_all(git.Repo.init(root, initial_branch="main"), "images")


@pytest.mark.engine
@pytest.mark.slow
def test_a_real_stack_is_built_and_its_ides_keep_onyxia_s_contract(stack: Stack) -> None:
    expected = ["base", "python-minimal", "python-datascience", "jupyter-python", *R, *R_IDES]
    assert sorted(stack.references) == sorted(expected)
    done = stack.run("test", "--json", "jupyter-python", "vscode-r", "rstudio", "r-minimal")
    assert done.returncode == 0, done.stdout
    skipped = {
        one["image"]: {result["check"] for result in one["results"] if result["outcome"] == "skipped"}
        for one in json.loads(done.stdout)
        if one["contract"] == "onyxia"
    }
    # Not asked for: R11, S13. What the image does not have: R; pip and uv, micromamba.
    assert {name: {check for check in checks if check[1:].isdigit()} for name, checks in skipped.items()} == {
        "jupyter-python": {"R11", "S13", "V4"},
        "vscode-r": {"R11", "S13", "V2", "V3"},
        "rstudio": {"R11", "S13", "V2", "V3"},
    }


# Each tool says whether it reaches the site's server, and takes what it shall from there.
TRIES = """
try() {
  name=$1; shift
  if "$@" >"/tmp/$name.log" 2>&1; then echo "$name works"; else echo "$name fails"; cat "/tmp/$name.log"; fi
}
try curl curl -fsS "$SITE/pypi/simple/tiny/"
try git git ls-remote --exit-code "$SITE/git/project.git" main
"""
WITH_PYTHON = """
try pip pip install --no-cache-dir --retries 0 --target /tmp/pip tiny
try uv uv pip install --no-cache --target /tmp/uv tiny
try requests python -c 'import os, requests; requests.get(os.environ["SITE"] + "/pypi/simple/tiny/").raise_for_status()'
"""
WITH_R = """
try R Rscript -e 'dir.create(x <- tempfile()); install.packages("tiny", x); library(tiny, lib.loc = x)'
"""
SCRIPTS = {"jupyter-python": TRIES + WITH_PYTHON, "vscode-r": TRIES + WITH_R}
TOOLS = {"jupyter-python": ["curl", "git", "pip", "uv", "requests"], "vscode-r": ["curl", "git", "R"]}
WITHOUT_ROOT, WITH_SUDO = 0, 1  # the order of the recipes in README.md


@dataclass(frozen=True)
class Recipe:
    """How a private authority comes to be trusted: variables, and what a region's script does that is in README.md."""

    works: bool
    variables: Mapping[str, str] = field(default_factory=dict)
    script: int | None = None
    checksum: bool = False
    sudo: bool = False
    known: bool = False  # the server's certificate is by the authority that the images have


MOUNTED = "/run/certificates"
RECIPES = {
    "nothing": Recipe(False),
    "a bundle": Recipe(True, {"PATH_TO_CA_BUNDLE": f"{MOUNTED}/bundle.crt"}),
    "a folder": Recipe(True, {"PATH_TO_CA_BUNDLE": f"{MOUNTED}/"}),
    "a script without root": Recipe(True, {"PATH_TO_CA_BUNDLE": "/tmp/certificates/bundle.crt"}, WITHOUT_ROOT),
    "a script with sudo": Recipe(True, {}, WITH_SUDO, sudo=True),
    "a script that needs sudo where there is none": Recipe(False, {}, WITH_SUDO),
    "a script of the private server": Recipe(
        True, {"PATH_TO_CA_BUNDLE": "/tmp/certificates/bundle.crt"}, WITHOUT_ROOT, checksum=True
    ),
    "in the images": Recipe(True, known=True),
}


def region_scripts(root: Path, site: Site) -> list[str]:
    """What the README tells a region to do, with the certificate of SITE's authority."""
    found = re.findall(r"^```bash\n(.*?)^```$", (root / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    shown = re.compile("-----BEGIN CERTIFICATE-----\n.*?-----END CERTIFICATE-----\n", re.DOTALL)
    assert all(shown.search(script) for script in found)
    return [shown.sub(site.authority.read_text(), script) for script in found]


def variables_of(recipe: Recipe, site: Site, scripts: list[str]) -> dict[str, str]:
    server = site.known if recipe.known else site.private
    found = {
        **recipe.variables,
        "SITE": server,
        "PIP_REPOSITORY": f"{server}/{PYPI}",
        "R_REPOSITORY": f"{server}/{CRAN}",
    }
    if recipe.script is not None:
        script = scripts[recipe.script]
        address = site.publish(f"region-{recipe.script}.sh", script)
        if recipe.checksum:
            found["REGION_INIT_SCRIPT_CHECKSUM"] = hashlib.sha256(script.encode()).hexdigest()
            address = address.replace(site.plain, site.private)
        found["REGION_INIT_SCRIPT"] = address
    return found


Tried = Callable[[str, str], str]


@pytest.fixture(scope="module")
def tried(stack: Stack, site: Site, docker_host: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tried]:
    """What the tools of an image say by a recipe; all is tried from the first question on, four at a time."""
    certificates = tmp_path_factory.mktemp("certificates")
    certificates.chmod(0o755)
    bundle(certificates / "bundle.crt", [site.authority])
    scripts = region_scripts(stack.root, site)
    client = docker_sdk.DockerClient(docker_host)

    def ask(name: str, image: str) -> str:
        recipe = RECIPES[name]
        said = client.containers.run(
            stack.references[image],
            # As the chart does
            entrypoint=["/bin/sh", "-c"],
            command=[f"/opt/onyxia-init.sh bash -c {shlex.quote(SCRIPTS[image])}"],
            environment=variables_of(recipe, site, scripts),
            volumes={str(certificates): {"bind": MOUNTED, "mode": "ro"}},
            security_opt=[] if recipe.sudo else ["no-new-privileges"],
            remove=True,
        )
        return str(said.decode())

    with ThreadPoolExecutor(4) as pool:
        asked = {(name, image): pool.submit(ask, name, image) for name in RECIPES for image in SCRIPTS}
        yield lambda name, image: asked[name, image].result()
    client.close()


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.parametrize("image", SCRIPTS)
@pytest.mark.parametrize("name", RECIPES)
def test_tools_trust_the_site_s_authority_by_every_recipe(tried: Tried, name: str, image: str) -> None:
    said = tried(name, image)
    word = "works" if RECIPES[name].works else "fails"
    assert [line for line in said.splitlines() if re.fullmatch(r"\w+ (works|fails)", line)] == [
        f"{tool} {word}" for tool in TOOLS[image]
    ], said


@pytest.mark.engine
@pytest.mark.slow
def test_sessions_of_rstudio_know_what_the_container_was_started_with(
    stack: Stack, site: Site, docker_host: str
) -> None:
    client = docker_sdk.DockerClient(docker_host)
    odd = 'it\'s "quoted" $HOME `id` \\ and\nanother line'
    variables = {
        "R_REPOSITORY": f"{site.plain}/{CRAN}",
        "PATH_TO_CA_BUNDLE": "/etc/hostname",
        "ODD": odd,
        "PASSWORD": "x",
    }
    container = client.containers.run(stack.references["rstudio"], environment=variables, detach=True)
    try:
        assert any(b"listening on" in line for line in container.logs(stream=True, follow=True))
        # As RStudio begins one: with nothing of its own environment
        session = ["env", "-i", "RSTUDIO=1", "HOME=/home/onyxia", "PATH=/usr/bin:/bin", "Rscript", "-e"]
        code = 'writeLines(c(getOption("repos"), Sys.getenv(c("CURL_CA_BUNDLE", "PASSWORD", "ODD"))))'
        said = container.exec_run([*session, code], user="1000").output
        assert isinstance(said, bytes)
        assert said.decode() == f"{site.plain}/{CRAN}\n/etc/hostname\n\n{odd}\n"
    finally:
        container.remove(force=True)
        client.close()
