"""Every build pack of repo2docker makes here what it makes there."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from hubtool.builders import BuildJob, BuildOptions
from hubtool.builders.repo2docker import Repo2DockerBuilder
from hubtool.builders.repo2docker.reading import prepare
from hubtool.config import Site
from hubtool.engines import get_engine
from hubtool.process import run
from tests.builders.conftest import make_job, write_files
from tests.builders.repo2docker.services import running_services

SITE = Site(
    pip_index="https://mirror.example/pypi/simple",
    conda_channel="https://mirror.example/conda/conda-forge",
    cran="https://mirror.example/cran",
    apt_mirror="https://mirror.example/ubuntu",
)
CONDA = "channels:\n- conda-forge\ndependencies:\n- python=3.12\n- numpy\n"
REPOSITORIES: Mapping[str, Mapping[str, str]] = {
    "nothing": {"README.md": "hello"},
    "conda": {"environment.yml": CONDA},
    "conda with local requirements": {"environment.yml": CONDA + "- pip:\n  - -e .\n", "setup.py": ""},
    "conda with R": {"environment.yml": CONDA + "- r-base=4.4.1\n"},
    "a kernel of its own": {"runtime.txt": "python-3.6", "requirements.txt": "six\n", "requirements3.txt": "six\n"},
    "pip": {"requirements.txt": "six==1.17.0\n"},
    "a python package": {
        "pyproject.toml": "[build-system]\nrequires=[]\n[project]\nname='x'\nrequires-python='>=3.12'\n"
    },
    "pipfile": {"Pipfile": "[packages]\nsix='*'\n[requires]\npython_version='3.11'\n"},
    "R": {"runtime.txt": "r-4.4-2026-01-02", "install.R": "install.packages('x')\n", "requirements.txt": "six\n"},
    "R description": {"DESCRIPTION": "Package: x\n", "runtime.txt": "r-2026-01-02"},
    "julia": {"Project.toml": "[deps]\n[compat]\njulia = '1.10'\n"},
    "nix": {"default.nix": "{}"},
    "dockerfile": {"Dockerfile": "FROM debian:12\nRUN true\n", "requirements.txt": "six\n"},
    "scripts": {"postBuild": "#!/bin/sh\n", "start": "#!/bin/sh\n", "apt.txt": "tree\n# no\nvim-tiny # yes\n"},
    "binder folder": {"binder/environment.yml": CONDA, "binder/postBuild": "", "binder/start": "", "apt.txt": "tree"},
    "dot binder folder": {".binder/requirements.txt": "six\n", ".binder/Dockerfile": "FROM debian:12\n"},
}


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    with running_services(tmp_path_factory.mktemp("services")) as environment:
        yield environment


@pytest.fixture
def reached(services: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    for key, value in services.items():
        monkeypatch.setenv(key, value)
    return services


def dockerfile_of(job: BuildJob) -> str:
    with Repo2DockerBuilder().prepare(job) as prepared:
        return prepared.dockerfile()


def theirs(context: Path) -> list[str]:
    """What the program jupyter-repo2docker says it would build."""
    words = ["--no-build", "--user-id", "1000", "--user-name", "jovyan", "--target-repo-dir", "/srv/repo"]
    done = run(Path(sys.executable).parent / "jupyter-repo2docker", *words, context)
    return done.stdout.rstrip("\n").splitlines()


@pytest.mark.parametrize("name", REPOSITORIES)
@pytest.mark.usefixtures("reached")
def test_the_dockerfile_is_repo2dockers_own(tmp_path: Path, name: str) -> None:
    write_files(tmp_path, REPOSITORIES[name])
    here = Path.cwd()
    ours = dockerfile_of(make_job(tmp_path))
    assert Path.cwd() == here
    assert ours.rstrip("\n").splitlines() == theirs(tmp_path)


@pytest.mark.parametrize("name", [name for name in REPOSITORIES if "dockerfile" not in name and name != "nix"])
def test_with_a_mirror_no_public_conda_host_is_left(tmp_path: Path, name: str, reached: Mapping[str, str]) -> None:
    write_files(tmp_path, REPOSITORIES[name])
    with prepare(make_job(tmp_path, site=SITE)) as prepared:
        texts = {"Dockerfile": prepared.dockerfile}
        for entry in prepared.context.entries:
            if entry.name.startswith("build_script_files/") and isinstance(entry.source, Path):
                texts[entry.name] = entry.source.read_text()
    for file, text in texts.items():
        code = "\n".join(line.partition("#")[0] for line in text.splitlines())
        for host in ("anaconda.org", "micro.mamba.pm", "anaconda.com", "packagemanager.posit.co"):
            assert host not in code, file


def test_with_a_cran_mirror_no_snapshot_service_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    write_files(tmp_path, REPOSITORIES["R"])
    text = dockerfile_of(make_job(tmp_path, site=SITE))
    assert text.count("https://mirror.example/cran") >= 2


@pytest.mark.usefixtures("reached")
def test_a_repository_is_read_once_for_its_fingerprint_and_its_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Repo2DockerBuilder().prepare(make_job(write_files(tmp_path, REPOSITORIES["R"]))) as prepared:
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # the snapshot service does not answer twice
        assert prepared.ingredients().bases
        assert "2026-01-02" in prepared.dockerfile()
        assert next(prepared.build(get_engine("docker"), BuildOptions()))


def test_the_dockerfile_does_not_change_from_run_to_run(tmp_path: Path) -> None:
    job = make_job(write_files(tmp_path, REPOSITORIES["conda"]), site=SITE)
    assert dockerfile_of(job) == dockerfile_of(job)


def test_settings_reach_the_dockerfile(tmp_path: Path) -> None:
    job = make_job(tmp_path, base="debian:12", repo_dir="/opt/x", appendix="RUN echo last", user="ann", uid=1234)
    with prepare(job) as prepared:
        assert prepared.dockerfile.lstrip().startswith("FROM debian:12\n")
        assert prepared.dockerfile.rstrip().endswith("RUN echo last")
        assert prepared.args == {"NB_USER": "ann", "NB_UID": "1234", "REPO_DIR": "/opt/x"}
        assert "COPY --chown=1234:1234 src/" in prepared.dockerfile
