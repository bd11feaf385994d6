from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from hubtool.builders.repo2docker.reading import prepare
from hubtool.config import EnvironmentName, Site
from tests.builders.conftest import make_job, write_files

PYPROJECT = "[project]\nname = 'x'\nversion = '1'\nrequires-python = '>=3.10'\n"
LOCK = "version = 1\n[[package]]\nname = 'x'\nsource = { virtual = '.' }\n"
PACKAGE = LOCK.replace("virtual", "editable")
MEMBER = PACKAGE + "[[package]]\nname = 'y'\nsource = { editable = 'packages/y' }\n"
LOCKED = {"pyproject.toml": PYPROJECT, "uv.lock": LOCK}


def steps(root: Path, environment: EnvironmentName = "auto", site: Site | None = None) -> list[str]:
    """The RUN and COPY lines that install packages, in order."""
    with prepare(make_job(root, environment=environment, site=site)) as prepared:
        text = prepared.dockerfile.replace("\\\n", "")
        wanted = ((line.startswith("RUN") and "uv " in line) or " src/" in line for line in text.splitlines())
        return [line for line, keep in zip(text.splitlines(), wanted, strict=True) if keep]


@pytest.mark.parametrize(
    ("files", "environment", "pack"),
    [
        (LOCKED, "auto", "UvBuildPack"),
        ({**LOCKED, "environment.yml": "", "Project.toml": "", "runtime.txt": "r-2026-01-01"}, "auto", "UvBuildPack"),
        ({"binder/uv.lock": LOCK, "binder/pyproject.toml": PYPROJECT}, "auto", "UvBuildPack"),
        ({**LOCKED, "Dockerfile": "FROM x\n"}, "auto", "DockerBuildPack"),
        ({**LOCKED, "binder/requirements.txt": ""}, "auto", "PythonBuildPack"),
        ({"requirements.txt": ""}, "auto", "PythonBuildPack"),
        ({"requirements.txt": ""}, "uv", "UvBuildPack"),
        ({"environment.yml": ""}, "auto", "CondaBuildPack"),
    ],
)
def test_the_files_decide(tmp_path: Path, files: Mapping[str, str], environment: EnvironmentName, pack: str) -> None:
    with prepare(make_job(write_files(tmp_path, files), environment=environment)) as prepared:
        assert f"Using {pack} builder" in prepared.notes


@pytest.mark.parametrize(
    ("files", "request_"),
    [
        (LOCKED, "'>=3.10'"),
        ({**LOCKED, ".python-version": "# note\n3.12.4\n3.11\n"}, "3.12.4"),
        ({**LOCKED, ".python-version": "\n"}, "'>=3.9'"),
        ({**LOCKED, "runtime.txt": "python-3.11"}, "3.11"),
        ({"requirements.txt": "six"}, "'>=3.9'"),
    ],
)
def test_python_is_the_one_asked_for(tmp_path: Path, files: Mapping[str, str], request_: str) -> None:
    made = steps(write_files(tmp_path, files), "uv")
    assert any(f"--seed --python {request_} --python-preference system" in line for line in made)


def test_packages_are_installed_before_the_repository_is_copied(tmp_path: Path) -> None:
    made = steps(write_files(tmp_path, LOCKED))
    order = ["uv venv", "src/pyproject.toml", "src/uv.lock", "uv sync --locked", "src/ "]
    assert [next(text for text in order if text in line) for line in made] == order
    assert "--compile-bytecode" in made[3]


def test_the_repositorys_own_package_comes_after_the_copy(tmp_path: Path) -> None:
    made = steps(write_files(tmp_path, {**LOCKED, "uv.lock": PACKAGE}))
    assert "--no-install-workspace" in made[3]
    assert made[-1].startswith("RUN uv sync --locked")
    assert "--no-install-workspace" not in made[-1]


@pytest.mark.parametrize(
    "files",
    [
        {**LOCKED, "uv.lock": MEMBER},
        {**LOCKED, "pyproject.toml": PYPROJECT + "dynamic = ['dependencies']\n"},
    ],
)
def test_a_lock_that_needs_the_repository_waits_for_it(tmp_path: Path, files: Mapping[str, str]) -> None:
    made = steps(write_files(tmp_path, files))
    copied = next(index for index, line in enumerate(made) if " src/ " in line)
    assert all("uv sync" in line for line in made[copied + 1 :])
    assert not any("uv sync" in line for line in made[:copied])


@pytest.mark.parametrize(
    ("requirements", "compiled", "hashes"),
    [
        ("six\n", True, True),
        ("six==1.17.0 --hash=sha256:4721f391\n", False, True),
        ("-r more.txt\n", True, True),
        ("-e .\nsix\n", True, False),
        ("x @ git+https://example.org/x\n", True, False),
    ],
)
def test_requirements_are_locked_with_hashes_where_there_can_be_some(
    tmp_path: Path, requirements: str, compiled: bool, hashes: bool
) -> None:
    made = steps(write_files(tmp_path, {"requirements.txt": requirements}), "uv")
    install = next(line for line in made if "uv pip sync" in line)
    assert ("uv pip compile" in install) == compiled
    assert ("--require-hashes" in install) == hashes


def test_with_a_mirror_the_lock_is_exported_and_no_other_index_is_read(tmp_path: Path) -> None:
    made = steps(write_files(tmp_path, LOCKED), site=Site(pip_index="https://mirror.example/simple"))
    install = next(line for line in made if "uv export" in line)
    assert "env -u UV_DEFAULT_INDEX uv export" in install
    assert "--locked --offline" in install
    assert "uv pip sync --no-config --require-hashes" in install
    assert not any("uv sync" in line for line in made)


def test_uv_for_another_platform_is_that_platforms(tmp_path: Path) -> None:
    job = make_job(write_files(tmp_path, LOCKED), platform="linux/arm64")
    with prepare(job) as prepared:
        program = next(e.source for e in prepared.context.entries if e.name.endswith("/hubtool-uv"))
        assert isinstance(program, Path)
        # ELF header: machine 183 is AArch64 (elf.h, EM_AARCH64).
        assert program.read_bytes()[:20][18] == 183
