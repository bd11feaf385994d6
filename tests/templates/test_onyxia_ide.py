"""The repositories that the template onyxia-ide makes: their files, the scripts for build machines, and how an image
gets from them to a chart. What the images themselves hold is tests/contracts/onyxia."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import git
import pytest
from ruamel.yaml import YAML

from hubtool import config
from hubtool.commands.new import new
from hubtool.errors import HubtoolError
from hubtool.plan import read_graph
from hubtool.plan.source import Source
from hubtool.sandbox.deployment import commit_all
from tests.builders.conftest import write_files
from tests.conftest import LocalRegistry
from tests.contracts.onyxia import mirror
from tests.contracts.onyxia.conftest import IDE, INIT
from tests.contracts.onyxia.repository import make_repository
from tests.templates.conftest import ONYXIA_IDES, must_be_clean
from tests.templates.test_hub_image import files_of

EVERYWHERE = {
    ".github/dependabot.yml",
    ".github/workflows/lint.yaml",
    ".github/workflows/release.yaml",
    ".github/workflows/test.yaml",
    ".gitignore",
    ".yamllint.yaml",
    "README.md",
    "base/Dockerfile",
    "base/entrypoint.sh",
    "base/onyxia-init.sh",
    "base/requirements.txt",
    "build.sh",
    "build_and_push.sh",
    "hubtool.yaml",
    "tests/test_image.py",
}
OF_IDE = {
    "code-server": {"code-server/Dockerfile"},
    "jupyter": {"jupyter/Dockerfile"},
    "rstudio": {"rstudio/Dockerfile", "rstudio/environment.R", "rstudio/init"},
}
IDES = {
    "defaults": ["code-server"],
    "all-gar": ["code-server", "jupyter", "rstudio"],
    "jupyter-ecr": ["jupyter"],
    "two-without-charts": ["code-server", "rstudio"],
    "charts-elsewhere": ["code-server"],
}


@pytest.mark.parametrize("name", ONYXIA_IDES)
def test_a_repository_has_the_files_of_its_ides(repositories: dict[str, Path], name: str) -> None:
    answers = ONYXIA_IDES[name]
    more = {file for ide in IDES[name] for file in OF_IDE[ide]}
    more |= {".github/CODEOWNERS"} if "codeowners" in answers else set()
    more |= {"LICENSE"} if answers.get("license", "none") != "none" else set()
    assert files_of(repositories[f"onyxia-ide/{name}"]) == EVERYWHERE | more


@pytest.mark.parametrize("name", ONYXIA_IDES)
def test_every_ide_is_an_image_on_one_base(repositories: dict[str, Path], name: str) -> None:
    root = repositories[f"onyxia-ide/{name}"]
    read = config.load(root, {})
    assert {image: read.images[image].profile for image in read.images} == {"base": None, **{i: i for i in IDES[name]}}
    graph = read_graph(read, root, Source("0" * 40, datetime.datetime(2026, 11, 21, tzinfo=datetime.UTC), (), ""))
    assert {node.id: node.parent for node in graph.nodes.values() if node.parent} == dict.fromkeys(IDES[name], "base")
    tag = {"version": "0.1.0", "commit": "0" * 12}.get(ONYXIA_IDES[name].get("tag", ""), "2026.11.21-0000000")
    assert {node.reference.tag for node in graph.nodes.values()} == {tag}
    registry = ONYXIA_IDES[name].get("registry", "harbor.example.org/my-org")
    assert str(graph.nodes[IDES[name][0]].reference) == f"{registry}/onyxia-{IDES[name][0]}:{tag}"


@pytest.mark.parametrize("name", ONYXIA_IDES)
def test_each_image_has_the_version_that_hubtool_raises(repositories: dict[str, Path], name: str) -> None:
    document = YAML(typ="safe").load(repositories[f"onyxia-ide/{name}"] / "hubtool.yaml")
    version = "0.1.0" if ONYXIA_IDES[name].get("tag") == "version" else None
    assert {image.get("version") for image in document["images"].values()} == {version}


def test_charts_are_hubs_wherever_they_lie(repositories: dict[str, Path]) -> None:
    read = {name: config.load(repositories[f"onyxia-ide/{name}"], {}).deployment for name in ONYXIA_IDES}
    assert read["two-without-charts"] is None
    found = {name: (one.hubs, dict(one.paths)) for name, one in read.items() if one}
    assert found == {
        "defaults": (("my-org-code-server",), {}),
        "all-gar": (("my-org-code-server", "my-org-jupyter", "my-org-rstudio"), {}),
        "jupyter-ecr": (("lab",), {"lab": ("catalogue/charts/lab",)}),
        "charts-elsewhere": (("vscode", "other"), {"vscode": ("vscode",)}),
    }


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("ides", "vscode"),
        ("ides", ""),
        ("ides", "code-server; id"),
        ("charts", "../elsewhere"),
        ("charts", "/etc"),
        ("charts", "a/lab b/lab"),
        ("charts", 'lab"]'),
        ("charts", ""),
    ],
)
def test_answers_that_will_not_do_are_refused(tmp_path: Path, question: str, answer: str) -> None:
    with pytest.raises(HubtoolError, match=f"^{question}: "):
        new(tmp_path / "x", template="onyxia-ide", settings=[f"{question}={answer}"], no_input=True)
    assert not (tmp_path / "x").exists()


def test_scripts_are_executable_and_shellcheck_finds_nothing(repositories: dict[str, Path]) -> None:
    for name in ONYXIA_IDES:
        root = repositories[f"onyxia-ide/{name}"]
        scripts = [*root.glob("*.sh"), *root.glob("base/*.sh"), *root.glob("rstudio/init")]
        assert len(scripts) >= 4
        assert all(os.access(script, os.X_OK) for script in scripts)
        must_be_clean("shellcheck", *scripts)


def test_the_init_script_s_version_is_the_one_that_the_label_gets(repositories: dict[str, Path]) -> None:
    said = subprocess.run([INIT, "--version"], capture_output=True, text=True, check=True).stdout
    args = config.load(repositories["onyxia-ide/defaults"], {}).images["base"].args
    assert said == f"onyxia-init {args['ONYXIA_INIT_VERSION']}\n"


def init(home: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the init script on this machine, with WORDS for an IDE."""
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], **variables}
    return subprocess.run([INIT, *words], env=environment, cwd=home, capture_output=True, text=True)


def test_certificates_of_a_folder_are_trusted_beside_the_system_s(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "certificates", {"one.crt": "FIRST", "two.crt": "SECOND\n", "README": "no"})
    done = init(tmp_path, "sh", "-c", 'cat "$PIP_CERT"; echo "$GIT_SSL_CAINFO"', PATH_TO_CA_BUNDLE=f"{folder}/")
    system = Path("/etc/ssl/certs/ca-certificates.crt").read_text()
    assert done.stdout == f"{system}FIRST\nSECOND\n\n{tmp_path}/.cache/onyxia-init/ca-bundle.crt\n"


@pytest.mark.parametrize(
    ("mirror", "trusted"),
    [
        ("http://mirror.lan:8081/pypi/simple", "mirror.lan:8081"),
        ("http://me:word@mirror.lan", "mirror.lan"),
        ("https://mirror.lan/simple", ""),
        ("http://mirror.lan evil.example.org/simple", ""),
        ("", ""),
    ],
)
def test_pip_trusts_a_mirror_without_tls(tmp_path: Path, mirror: str, trusted: str) -> None:
    done = init(tmp_path, "sh", "-c", 'echo "$PIP_TRUSTED_HOST"', PIP_REPOSITORY=mirror)
    assert done.stdout == f"{trusted}\n"


@pytest.mark.parametrize(("text", "runs"), [("echo one\n", True), ("echo other\n", False)])
def test_a_region_s_checksum_may_be_in_capitals(tmp_path: Path, text: str, runs: bool) -> None:
    checksum = hashlib.sha256(b"echo one\n").hexdigest().upper()
    folder = write_files(tmp_path / "site", {"init.sh": text})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/init.sh"
        done = init(tmp_path, "true", REGION_INIT_SCRIPT=address, REGION_INIT_SCRIPT_CHECKSUM=checksum, no_proxy="*")
        server.shutdown()
    assert ("one" in done.stderr.splitlines()) is runs
    assert ("another checksum" in done.stderr) is not runs


def test_what_steps_print_is_not_the_ide_s_output(tmp_path: Path) -> None:
    git.Repo.init(tmp_path / "project.git", bare=True)
    done = init(tmp_path, "sh", "-c", "echo only", GIT_REPOSITORY=f"file://{tmp_path}/project.git")
    assert done.stdout == "only\n"
    assert "git_clone: failed" in done.stderr  # git's own protocols alone are taken


def test_an_init_script_with_nothing_to_start_says_so(tmp_path: Path) -> None:
    done = init(tmp_path)
    assert (done.returncode, done.stdout) == (64, "")
    assert "nothing to start" in done.stderr


# ---- the scripts for build machines

STUB = """\
#!/bin/sh
printf '%s' "hubtool"; printf ' %s' "$@"; echo
env | grep ^HUBTOOL_ | LC_ALL=C sort
"""


@pytest.fixture
def scripts(repositories: dict[str, Path], tmp_path: Path) -> Path:
    """A repository with three IDEs; where its scripts find hubtool is a program that shows how it was called."""
    root = tmp_path / "repository"
    shutil.copytree(repositories["onyxia-ide/all-gar"], root)
    write_files(tmp_path, {"bin/hubtool": STUB})
    (tmp_path / "bin/hubtool").chmod(0o755)
    return root


def call(root: Path, script: str, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": f"{root.parent}/bin:{os.environ['PATH']}", **variables}
    return subprocess.run([root / script, *words], env=environment, cwd="/", capture_output=True, text=True)


CALLS = [
    ({}, [], "", []),
    ({}, ["--dirty"], " --dirty", []),
    (
        {"IMAGE_REGISTRY_HOST": "harbor.lan", "IMAGE_NAMESPACE": "team", "IMAGE_TAG": "0.1.3"},
        [],
        " --tag 0.1.3",
        ["HUBTOOL_REGISTRY=harbor.lan/team"],
    ),
    (
        {"IMAGE_REPOSITORY": "onyxia-code-server", "IMAGE_TAG": "0.1.3", "CODE_SERVER_VERSION": "4.106.3"},
        [],
        " code-server --tag 0.1.3",
        ["HUBTOOL_ARG_CODE_SERVER_VERSION=4.106.3", "HUBTOOL_REPOSITORY=onyxia-{image}"],
    ),
    (
        {"IMAGE_REPOSITORY": "harbor.lan:8443/team/a/jupyter", "JUPYTERLAB_VERSION": "4.5.0"},
        [],
        " jupyter",
        [
            "HUBTOOL_ARG_JUPYTERLAB_VERSION=4.5.0",
            "HUBTOOL_REGISTRY=harbor.lan:8443/team/a",
            "HUBTOOL_REPOSITORY={image}",
        ],
    ),
    ({"IMAGE_TAG": "a b; id"}, [], " --tag a b; id", []),
]


@pytest.mark.parametrize(("variables", "words", "given", "environment"), CALLS)
def test_scripts_hand_the_variables_of_older_ones_on(
    scripts: Path, variables: dict[str, str], words: list[str], given: str, environment: list[str]
) -> None:
    for script, verbs in {"build.sh": ["build", "test"], "build_and_push.sh": ["build", "test", "push"]}.items():
        done = call(scripts, script, *words, **variables)
        assert done.returncode == 0, done.stderr
        # A script asks nothing, also at a terminal.
        asked = given.removesuffix(" --dirty") + " --yes" + " --dirty" * given.endswith(" --dirty")
        lines = [f"hubtool {verb}{asked if verb == 'build' else given}" for verb in verbs]
        assert done.stdout.splitlines() == [line for first in lines for line in (first, *environment)]


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"IMAGE_REPOSITORY": "onyxia-vscode"}, "ends with one of code-server, jupyter, rstudio"),
        ({"IMAGE_REGISTRY_HOST": "harbor.lan"}, "IMAGE_NAMESPACE"),
        ({"IMAGE_REGISTRY_HOST": "https://harbor.lan", "IMAGE_NAMESPACE": "team"}, "leave out https://"),
        ({"IMAGE_NAMESPACE": "team"}, "IMAGE_REGISTRY_HOST"),
    ],
)
def test_scripts_refuse_variables_that_say_nothing(scripts: Path, variables: dict[str, str], says: str) -> None:
    done = call(scripts, "build.sh", **variables)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr


# ---- from a build machine to a chart

CHART = """\
apiVersion: v2
name: {name}
version: 0.2.7
appVersion: "{version}"
dependencies:
  - name: vscode-python
    version: 2.4.2
    repository: https://charts.example.org
"""
VALUES = """\
vscode-python:
  # The registry is ours; without a tag of its own nodes keep what they have.
  service:
    image:
      pullPolicy: IfNotPresent
      custom:
        enabled: true
        version: {image}:0.1.2
  extraEnvVars:
    - name: CODE_SERVER_AUTH
      value: none
"""


def schema(image: str) -> str:
    def within(*path: str, **last: object) -> dict[str, object]:
        return {"properties": {path[0]: within(*path[1:], **last) if path[1:] else last}}

    where = ("vscode-python", "service", "image", "custom", "version")
    return json.dumps({"type": "object", **within(*where, type="string", default=f"{image}:0.1.2")}, indent=2) + "\n"


@pytest.fixture
def catalogue(tmp_path: Path, registry: LocalRegistry) -> Path:
    """A bare deployment repository: a chart of Onyxia's wrapped, and another that has nothing to do with it."""
    image = f"{registry.host}/team/onyxia-code-server"
    files = {
        "charts/my-org-code-server/Chart.yaml": CHART.format(name="my-org-code-server", version="0.1.2"),
        "charts/my-org-code-server/values.yaml": VALUES.format(image=image),
        "charts/my-org-code-server/values.schema.json": schema(image),
        "charts/my-org-other/Chart.yaml": CHART.format(name="my-org-other", version="0.1.2"),
        "charts/my-org-other/values.yaml": VALUES.format(image=f"{registry.host}/team/onyxia-other"),
    }
    work = git.Repo.init(write_files(tmp_path / "charts", files), initial_branch="main")
    commit_all(work, "charts")
    work.clone(str(tmp_path / "charts.git"), bare=True).close()
    work.close()
    return tmp_path / "charts.git"


@pytest.fixture
def build_machine(
    registry: LocalRegistry, docker_host: str, base_image: str, ca_bundle: Path | None, catalogue: Path, tmp_path: Path
) -> Iterator[dict[str, str]]:
    """The environment of somebody who is logged in, in tmp_path/onyxia-images: a repository whose code-server is a
    stand-in, and whose deployment is the catalogue."""
    checksums = mirror.stand_ins(tmp_path / "mirror", IDE)
    with mirror.served(tmp_path / "mirror") as addresses:
        answers = [
            f"base_image={base_image}",
            "registry=harbor.example.org/nobody",
            f"deployment_repository={catalogue}",
        ]
        root = make_repository(tmp_path / "onyxia-images", *answers, args={**checksums, **addresses})
        with (root / "hubtool.yaml").open("a") as file:
            file.write(f"  charts: {{charts/my-org-code-server: {registry.host}/team/onyxia-code-server}}\n")
        commit_all(git.Repo(root), "the chart's appVersion is the tag")
        program = Path(sys.executable).parent
        yield {
            **os.environ,
            "PATH": f"{program}:{os.environ['PATH']}",
            "HUBTOOL_CA_BUNDLE": str(ca_bundle or ""),
            "HUBTOOL_ENGINE": "docker",
            "HUBTOOL_REGISTRY_USERNAME": registry.username,
            "HUBTOOL_REGISTRY_PASSWORD": registry.password,
            "GIT_CONFIG_GLOBAL": os.devnull,
            "IMAGE_REGISTRY_HOST": registry.host,
            "IMAGE_NAMESPACE": "team",
            "IMAGE_REPOSITORY": "onyxia-code-server",
            "IMAGE_TAG": "0.1.3",
        }


@pytest.mark.engine
@pytest.mark.slow
def test_an_image_is_built_tested_and_pushed_by_the_script_and_its_chart_bumped(
    build_machine: dict[str, str], registry: LocalRegistry, catalogue: Path, tmp_path: Path
) -> None:
    def run(*words: str) -> str:
        done = subprocess.run(words, cwd=tmp_path / "onyxia-images", env=build_machine, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout

    said = run("./build_and_push.sh")
    image = f"{registry.host}/team/onyxia-code-server"
    assert f"{image}:0.1.3: passed" in said
    assert said.splitlines()[-1].startswith(f"{image}:0.1.3@sha256:")

    readme = (tmp_path / "onyxia-images/README.md").read_text()
    build_machine["HUBTOOL_REGISTRY"] = f"{registry.host}/team"
    run(*re.findall("`(hubtool bump [^`]*)`", readme)[0].split())
    diff = git.Repo(catalogue).git.diff("main", "refs/requests/1/head", unified=0)
    changed = [line[1:].strip() for line in diff.splitlines() if re.match(r"[+-](?![+-])", line)]
    assert changed == [
        "version: 0.2.7",
        'appVersion: "0.1.2"',
        "version: 0.2.8",
        'appVersion: "0.1.3"',
        f'"default": "{image}:0.1.2"',
        f'"default": "{image}:0.1.3"',
        f"version: {image}:0.1.2",
        f"version: {image}:0.1.3",
    ]
    assert "my-org-other" not in diff
