from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import pytest

from hubtool.builders.repo2docker.reading import prepare
from hubtool.errors import HubtoolError
from tests.builders.conftest import make_job, write_files


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"environment.yml": "a: [1\n"}, "environment.yml|flow sequence"),
        ({"environment.yml": "- a\n"}, "should contain a dictionary"),
        ({"environment.yml": "dependencies:\n"}, "cannot read"),
        ({"environment.yml": "dependencies:\n- python=3.99\n"}, "3.99"),
        ({"environment.yml": b"\xff\xfe\x00binary"}, "cannot read"),
        ({"runtime.txt": "python"}, "Invalid runtime.txt"),
        ({"runtime.txt": "r-2026-13-45"}, "cannot read"),
        ({"apt.txt": "tree; rm -rf /\n$(id)\n"}, "invalid package name"),
        ({"binder/x": "", ".binder/x": ""}, "both a 'binder' and a '.binder'"),
        ({"Dockerfile": "FROM andrewosh/binder-base\n"}, "legacy buildpack has been removed"),
        ({"pyproject.toml": "[[["}, "cannot read"),
        ({"Project.toml": "[[["}, "cannot read"),
        ({"Pipfile.lock": "{"}, "cannot read"),
        ({"uv.lock": "version = 1\n"}, "no pyproject.toml"),
        ({"uv.lock": "[[[", "pyproject.toml": ""}, "uv.lock"),
        ({"uv.lock": "", "pyproject.toml": "", ".python-version": "3.12; rm -rf /"}, "not a version of Python"),
        ({".dockerignore": b"\xff\xfe", "requirements.txt": ""}, "cannot read"),
    ],
)
def test_what_is_wrong_with_a_repository_is_an_error_that_says_so(
    tmp_path: Path, files: Mapping[str, str | bytes], said: str
) -> None:
    here, log = Path.cwd(), logging.getLogger("repo2docker")
    before = (log.handlers[:], log.level, log.propagate)
    with pytest.raises(HubtoolError, match=said), prepare(make_job(write_files(tmp_path, files))):
        pass
    assert Path.cwd() == here
    assert (log.handlers, log.level, log.propagate) == before


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, r"needs a uv\.lock with pyproject\.toml, or a requirements\.txt"),
        ({"pyproject.toml": "[project]\nname='x'\nversion='1'\n"}, "run `uv lock`"),
    ],
)
def test_an_environment_of_uv_without_its_files_is_an_error(
    tmp_path: Path, files: Mapping[str, str], said: str
) -> None:
    job = make_job(write_files(tmp_path, files), environment="uv")
    with pytest.raises(HubtoolError, match=said), prepare(job):
        pass


def test_what_repo2docker_says_is_kept_and_not_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with prepare(make_job(write_files(tmp_path, {"requirements.txt": "six\n"}))) as prepared:
        assert any("PythonBuildPack" in note for note in prepared.notes)
    assert capsys.readouterr() == ("", "")


def test_files_made_for_the_context_are_gone_afterwards(tmp_path: Path) -> None:
    with prepare(make_job(tmp_path)) as prepared:
        made = [
            e.source
            for e in prepared.context.entries
            if isinstance(e.source, Path) and "hubtool-build" in str(e.source)
        ]
    assert not any(path.exists() for path in made)
