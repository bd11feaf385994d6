"""The repositories that the workstation template makes; their images are built, tested, released, and bumped."""

from __future__ import annotations

import ast
import datetime
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import docker
import git
import pytest

from hubtool import config
from hubtool.builders.dockerfile.lint import check_arguments
from hubtool.commands.new import new
from hubtool.errors import HubtoolError
from hubtool.plan import read_graph
from hubtool.plan.source import Source
from hubtool.sandbox import deployment
from tests.builders.conftest import write_files
from tests.conftest import LocalRegistry
from tests.templates.conftest import TEMPLATES, must_be_clean
from tests.templates.test_hub_image import files_of

KIND = "workstation"
ANSWERS = TEMPLATES[KIND]
BATCH = {"batch/Dockerfile", "batch/application-examples/list-dicom-files.py", "batch/requirements.txt", "batch/start"}
DESKTOP = {
    "desktop/Dockerfile",
    "desktop/conf.d/session.conf",
    "desktop/install-firefox",
    "desktop/policies.json",
    "desktop/start-desktop",
    "desktop/supervisord.conf",
    "desktop/with-display",
}
JUPYTER = {f"jupyter/{name}" for name in ("Dockerfile", "jupyter-service", "jupyter.conf", "jupyter.desktop")} | {
    "jupyter/open-jupyter",
    "jupyter/requirements.txt",
    "tests/test_jupyter.py",
}
TOOL = {"ai-tool/Dockerfile", "ai-tool/pytorch-cpu.txt", "ai-tool/pytorch-cuda.txt"}
FILES = {
    "defaults": BATCH | TOOL | DESKTOP | JUPYTER,
    "tensorflow-harbor-other-user": BATCH | DESKTOP | {"ai-tool/Dockerfile", "ai-tool/tensorflow-cpu.txt"},
    "both-gar": BATCH | TOOL | {"ai-tool/tensorflow-cpu.txt", "ai-tool/tensorflow-cuda.txt"} | DESKTOP | JUPYTER,
    "batch-alone-ecr": BATCH | TOOL,
    "no-tool-other-git": BATCH | DESKTOP | JUPYTER,
}
SOURCE = Source("0" * 40, datetime.datetime(2026, 1, 31, tzinfo=datetime.UTC), (), "")
HARBOR, OTHER = "harbor.example.org", "harbor.example.org:8443/library"
P = "ubuntu-python"
# Of each repository the variants that are built: their parents and what they are released as.
GRAPHS = {
    "defaults": {
        f"{P}[cpu]": (None, [f"{HARBOR}/library-batch/{P}:1.0", f"{HARBOR}/library-batch/{P}:latest"]),
        f"{P}[cuda]": (None, [f"{HARBOR}/library-batch/{P}:1.0cuda", f"{HARBOR}/library-batch/{P}:latest-cuda"]),
    }
    | {
        f"{P}-pytorch[{device}]": (
            f"{P}[{device}]",
            [f"{HARBOR}/library-batch/{P}-pytorch:{tag}" for tag in tags],
        )
        for device, tags in {"cpu": ("1.0", "latest"), "cuda": ("1.0cuda", "latest-cuda")}.items()
    }
    | {
        f"{P}-pytorch-desktop[cpu]": (f"{P}-pytorch[cpu]", [f"{HARBOR}/library/{P}-pytorch-desktop:1.0"]),
        f"{P}-pytorch-desktop-jupyter[cpu]": (
            f"{P}-pytorch-desktop[cpu]",
            [f"{HARBOR}/library/{P}-pytorch-desktop-jupyter:1.0"],
        ),
    },
    "tensorflow-harbor-other-user": {
        P: (None, [f"{OTHER}-batch/stable/{P}:3.10", f"{OTHER}-batch/stable/{P}:latest"]),
        f"{P}-tensorflow": (P, [f"{OTHER}-batch/stable/{P}-tensorflow:{tag}" for tag in ("3.10", "latest")]),
        f"{P}-tensorflow-desktop": (f"{P}-tensorflow", [f"{OTHER}/{P}-tensorflow-desktop:3.10"]),
    },
    "no-tool-other-git": {
        P: (None, [f"{HARBOR}/library-batch/{P}:1.0", f"{HARBOR}/library-batch/{P}:latest"]),
        f"{P}-desktop": (P, [f"{HARBOR}/library/{P}-desktop:1.0"]),
        f"{P}-desktop-jupyter": (f"{P}-desktop", [f"{HARBOR}/library/{P}-desktop-jupyter:1.0"]),
    },
}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_repository_has_the_files_that_were_asked_for(repositories: dict[str, Path], name: str) -> None:
    found = {file for file in files_of(repositories[f"{KIND}/{name}"]) if not file.startswith(".")}
    extra = {"README.md", "CONTRIBUTING.md", "hubtool.yaml", "tests/test_datasets.py"}
    assert found == FILES[name] | extra


@pytest.mark.parametrize("name", GRAPHS)
def test_the_graph_is_the_one_of_the_answers(repositories: dict[str, Path], name: str) -> None:
    root = repositories[f"{KIND}/{name}"]
    graph = read_graph(config.load(root, {}), root, SOURCE)
    nodes = {node.id: node for node in graph.nodes.values() if not node.skip}
    assert {one: (node.parent, [str(ref) for ref in node.references]) for one, node in nodes.items()} == GRAPHS[name]
    assert all(node.labels == {"name": node.image, "version": node.reference.tag} for node in nodes.values())


def test_both_tools_make_seven_images_in_fourteen_variants_of_which_ten_are_built(
    repositories: dict[str, Path],
) -> None:
    root = repositories[f"{KIND}/both-gar"]
    read = config.load(root, {})
    graph = read_graph(read, root, SOURCE)
    assert (len(read.images), len(graph.nodes)) == (7, 14)
    assert len([node for node in graph.nodes.values() if not node.skip]) == 10
    assert {node.skip for node in graph.nodes.values() if node.image.endswith("desktop") and node.skip} == {
        "GPUs are for jobs alone"
    }
    assert read.deployment is not None
    assert [f"charts/{hub}" for hub in read.deployment.hubs] == list(read.deployment.charts)
    assert set(read.deployment.charts.values()) == {
        read.reference(name).name for name in read.images if "desktop" in name
    }


def test_what_was_answered_of_the_run_user_reaches_the_build_and_the_contract(repositories: dict[str, Path]) -> None:
    images = config.load(repositories[f"{KIND}/tensorflow-harbor-other-user"], {}).images
    mirror = "https://mirror.example.org/pypi/simple"
    assert images[P].args == {"RUN_USER": "ds", "RUN_HOME": "/data/ds", "PIP_MIRROR": mirror}
    for image in images.values():
        assert (image.user, image.parameters.home, image.parameters.pip_mirror) == ("ds", "/data/ds", mirror)


@pytest.mark.parametrize("name", ANSWERS)
def test_scripts_and_dockerfiles_are_clean(repositories: dict[str, Path], name: str) -> None:
    root = repositories[f"{KIND}/{name}"]
    scripts = [root / file for file in files_of(root) if (root / file).read_bytes().startswith(b"#!")]
    assert all(os.access(script, os.X_OK) for script in scripts)
    must_be_clean("shellcheck", *scripts)
    for file in root.rglob("*.py"):
        ast.parse(file.read_text())
    for file in root.rglob("Dockerfile"):
        check_arguments(file.read_text(), file)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("image_prefix=Ubuntu", "like ubuntu-python"),
        ("image_prefix=" + "a" * 61, "like ubuntu-python"),
        ("version=1", "like 1.0"),
        ("version=1.0-rc", "like 1.0"),
        ("user_name=root", "none that the base image has"),
        ("user_name=video", "none that the base image has"),
        ("user_name=a b", "a user's name is lower-case letters"),
        ("user_name=yes", "a user's name is lower-case letters"),
        ('user_name=a"; id', "a user's name is lower-case letters"),
        ("home=/", "like /home/jovyan"),
        ("home=/root", "a folder below another"),
        ("home=/home/../root", "a folder below another"),
        ("home=/home/$USER", "a folder below another"),
        ("home=data/ds", "a folder below another"),
        ("pip_mirror=mirror.example.org", "the URL of a simple index"),
        ("pip_mirror=https://user:secret@mirror.example.org/simple", "without a password"),
        ("pip_mirror=http://m/simple; id", "the URL of a simple index"),
        ("batch_project=/library", "a path below the registry"),
        ("desktop_project=Library", "a path below the registry"),
        ("desktop_project=" + "a" * 101, "a path below the registry"),
        ("gpu_base_image=default", "like docker.io/nvidia/cuda:TAG"),
        ("ai_tool=jax", "not one of: pytorch, tensorflow, both, none"),
    ],
)
def test_a_bad_answer_is_named_and_leaves_nothing(tmp_path: Path, setting: str, says: str) -> None:
    with pytest.raises(HubtoolError) as caught:
        new(tmp_path / "images", template=KIND, settings=[setting], no_input=True)
    assert says in str(caught.value)
    assert not list(tmp_path.iterdir())


# ---- with real parts


@dataclass(frozen=True)
class Line:
    """A generated repository, and hubtool in it."""

    root: Path
    name: str
    environment: dict[str, str] = field(repr=False)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "hubtool", *words]
        return subprocess.run(argv, cwd=self.root, env=self.environment, capture_output=True, text=True, timeout=560)

    def commit(self, message: str) -> None:
        deployment.commit_all(git.Repo.init(self.root, initial_branch="main"), message)


MakeLine = Callable[..., Line]


@pytest.fixture
def make_line(registry: LocalRegistry, docker_host: str, ca_bundle: Path | None, tmp_path: Path) -> Iterator[MakeLine]:
    name = f"{registry.host}/{tmp_path.name.replace('_', '-').lower()}"
    environment = {
        **os.environ,
        "DOCKER_HOST": docker_host,
        "DOCKER_CONFIG": str(tmp_path / "no-docker-config"),
        "HUBTOOL_REGISTRY_USERNAME": registry.username,
        "HUBTOOL_REGISTRY_PASSWORD": registry.password,
        "HUBTOOL_ENGINE": "docker",
        "GIT_CONFIG_GLOBAL": os.devnull,
        **({"HUBTOOL_CA_BUNDLE": str(ca_bundle)} if ca_bundle else {}),
    }

    def make(**answers: str) -> Line:
        settings = [f"{key}={value}" for key, value in {"registry": name, **answers}.items()]
        new(tmp_path / "workstation-images", template=KIND, settings=settings, no_input=True)
        return Line(tmp_path / "workstation-images", name, environment)

    yield make
    client = docker.DockerClient(base_url=docker_host)
    for image in client.images.list(filters={"reference": f"{name}/*/*"}):
        for tag in image.tags:
            client.images.remove(tag, force=True)
    client.close()


def write_torch(folder: Path, version: str, cuda: str) -> str:
    """A wheel that says of itself what torch of VERSION does, in FOLDER; returns its name."""
    dist = f"torch-{version}.dist-info"
    name = f"torch-{version}-py3-none-any.whl"
    with zipfile.ZipFile(folder / name, "w") as wheel:
        # No dates: the engine knows it again.
        for path, text in {
            "torch/__init__.py": "from torch import version\n",
            "torch/version.py": f"cuda: str | None = {cuda}\n",
            f"{dist}/METADATA": f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n",
            f"{dist}/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{dist}/RECORD": "",
        }.items():
            wheel.writestr(zipfile.ZipInfo(path), text)
    return name


@pytest.mark.engine
@pytest.mark.slow
def test_its_images_keep_the_contract(make_line: MakeLine, base_image: str, docker_host: str, tmp_path: Path) -> None:
    """On a base that has an account of the uid, as Ubuntu's; with a stand-in for torch."""
    client = docker.DockerClient(base_url=docker_host)
    for kind, more in {"cpu": "", "cuda": "ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility\n"}.items():
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "Dockerfile").write_text(f"FROM {base_image}\nRUN useradd -mu 1000 ubuntu\n{more}")
        client.images.build(path=str(tmp_path / kind), tag=f"localhost/hubtool-test-workstation:{kind}")
    client.close()
    line = make_line(
        base_image="localhost/hubtool-test-workstation:cpu",
        gpu_base_image="localhost/hubtool-test-workstation:cuda",
        user_name="ds",
        home="/data/ds",
        pip_mirror="http://mirror.example.org:8081/simple",
        deployment_repository="none",
    )
    for device, version, cuda in (("cpu", "2.15.0+cpu", "None"), ("cuda", "2.15.0", "'13.0'")):
        wheel = write_torch(line.root / "ai-tool", version, cuda)
        (line.root / f"ai-tool/pytorch-{device}.txt").write_text(f"./{wheel}\n")
    line.commit("workstations")

    built = line.run("build", "--jobs", "2")
    assert built.returncode == 0, built.stderr
    assert built.stdout.split() == [
        f"{line.name}/{project}/{P}{image}"
        for project, image in (
            ("library-batch", ":1.0"),
            ("library-batch", ":1.0cuda"),
            ("library-batch", "-pytorch:1.0"),
            ("library-batch", "-pytorch:1.0cuda"),
            ("library", "-pytorch-desktop:1.0"),
            ("library", "-pytorch-desktop-jupyter:1.0"),
        )
    ]
    tested = line.run("test", f"{P}-pytorch", f"{P}-pytorch-desktop-jupyter")
    assert tested.returncode == 0, tested.stdout + tested.stderr
    skipped = re.findall(r"^(\S+) +skipped", tested.stdout, re.MULTILINE)
    # Of two batch images: no SSH server, no Jupyter. The desktop skips nothing.
    assert sorted(skipped) == sorted(
        ["S9", "S13", "test_it_lets_in_nobody_else", "test_it_lets_in_who_has_its_token"] * 2
    )

    desktop = f"{line.name}/library/{P}-pytorch-desktop:1.0"
    says = subprocess.run(
        ["docker", "run", "--rm", "--security-opt", "no-new-privileges", desktop],
        env=line.environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert says.returncode == 1
    assert "leave out allowPrivilegeEscalation: false, or no-new-privileges" in says.stderr


CHART = """\
apiVersion: v2
name: {name}
description: A remote desktop next to the data sets
type: application
# Raised with each change of the chart.
version: 1.4.9
# The tag of the image.
appVersion: "3.14"
"""
TEMPLATE = """\
apiVersion: apps/v1
kind: Deployment
spec:
  template:
    spec:
      containers:
        - name: desktop
          image: "{{{{ .Values.library }}}}/{name}:{{{{ .Chart.AppVersion }}}}"
          imagePullPolicy: IfNotPresent
"""


def make_charts(bare: Path, names: list[str]) -> git.Repo:
    work = git.Repo.init(bare.with_suffix(".work"), initial_branch="main", mkdir=True)
    for name in names:
        files = {"Chart.yaml": CHART, "templates/deployment.yaml": TEMPLATE, "values.yaml": "library: x\n"}
        texts = {f"charts/{name}/{file}": text.format(name=name) for file, text in files.items()}
        write_files(Path(work.working_dir), texts)
    deployment.commit_all(work, "charts")
    return work.clone(str(bare), bare=True)


@pytest.mark.engine
def test_a_release_moves_the_charts_of_the_desktops_and_nothing_else(make_line: MakeLine, tmp_path: Path) -> None:
    names = [f"{P}-pytorch-desktop", f"{P}-pytorch-desktop-jupyter"]
    charts = make_charts(tmp_path / "charts.git", [*names, "another"])
    line = make_line(deployment_repository=str(tmp_path / "charts.git"), version="3.20", base_image="localhost/none:1")
    # The images themselves are not what this is about.
    shutil.rmtree(line.root / "tests")
    for file in line.root.rglob("Dockerfile"):
        file.write_text("ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY Dockerfile /\n")
    settings = (line.root / "hubtool.yaml").read_text().replace("contract: workstation", "contract: none")
    settings = re.sub(r'(cpu|cuda): "(localhost|docker.io)/.*"', r"\1: scratch", settings)
    settings = settings.replace("    profile: desktop\n", "")
    (line.root / "hubtool.yaml").write_text(settings)
    line.commit("workstations")

    line.environment.pop("HUBTOOL_CA_BUNDLE", None)  # there is nothing to put it into
    done = line.run("release", "--jobs", "3")
    assert done.returncode == 0, done.stderr
    for number, name in enumerate(names, 1):
        diff = charts.git.diff("main", f"refs/requests/{number}/head", unified=0)
        assert re.findall(r"^\+\+\+ b/(.*)$", diff, re.M) == [f"charts/{name}/Chart.yaml"]
        assert re.findall(r"^[-+](?![-+])(.*)$", diff, re.M) == [
            "version: 1.4.9",
            "version: 1.4.10",
            'appVersion: "3.14"',
            'appVersion: "3.20"',
        ]
    again = line.run("release")
    assert again.returncode == 0, again.stderr
    assert sorted(path.name for path in (tmp_path / "charts.git/requests").glob("*.md")) == ["1.md", "2.md"]

    (line.root / "jupyter" / "Dockerfile").write_text("ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY --chmod=400 . /\n")
    raised = line.run("plan", "--raise-versions")
    assert raised.stdout.splitlines() == [f"{names[1]}: version 3.20 → 3.21"], raised.stderr
    line.commit("JupyterLab")
    refused = line.run("build")
    assert refused.returncode == 1
    assert f"docker login {line.name.partition('/')[0]}" in refused.stderr
