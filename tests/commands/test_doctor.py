from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import git
import pytest

from tests.conftest import LocalRegistry


def doctor(root: Path, **environ: str) -> tuple[int, dict[str, dict[str, Any]], str]:
    argv = [sys.executable, "-m", "hubtool", "doctor", "--json"]
    environment = {**os.environ, "DOCKER_CONFIG": str(root), **environ}
    done = subprocess.run(argv, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, {item["check"]: item for item in json.loads(done.stdout)}, done.stderr


@pytest.fixture
def root(tmp_path: Path, registry: LocalRegistry, docker_host: str) -> Path:
    git.Repo.init(tmp_path / "deployment.git", bare=True)
    (tmp_path / "hubtool.yaml").write_text(
        f"registry: {registry.host}/team\nimages: {{one: }}\n"
        f"deployment: {{repository: {tmp_path / 'deployment.git'}, hubs: [base]}}\n"
    )
    return tmp_path


def logged_in(registry: LocalRegistry) -> dict[str, str]:
    return {"HUBTOOL_REGISTRY_USERNAME": registry.username, "HUBTOOL_REGISTRY_PASSWORD": registry.password}


@pytest.mark.engine
def test_all_is_well_where_everything_works(root: Path, registry: LocalRegistry) -> None:
    code, found, _ = doctor(root, **logged_in(registry))
    assert {name: item["ok"] for name, item in found.items()} == {
        "git": True,
        "engine": True,
        "containers": True,
        "disk": True,
        "hubtool.yaml": True,
        "push one": True,
        "pull request": True,
    }
    assert code == 0
    assert f"{registry.host}/team/one" in found["push one"]["found"]


@pytest.mark.engine
def test_each_thing_that_fails_says_what_mends_it(root: Path) -> None:
    code, found, stderr = doctor(root, DOCKER_HOST=f"unix://{root}/none.sock", HUBTOOL_ENGINE="docker")
    assert code == 1
    assert stderr.strip().endswith("not ready: engine, containers, push one")
    for name in ("engine", "push one"):
        assert not found[name]["ok"]
        assert found[name]["mend"]


@pytest.mark.engine
def test_without_a_hubtool_yaml_only_the_machine_is_looked_at(tmp_path: Path, docker_host: str) -> None:
    code, found, _ = doctor(tmp_path)
    assert code == 0
    assert list(found) == ["git", "engine", "containers", "disk"]


def test_a_broken_hubtool_yaml_is_one_finding(root: Path) -> None:
    (root / "hubtool.yaml").write_text("registry: x.y/z\nimages: {one: {contrat: none}}\n")
    code, found, _ = doctor(root)
    assert code == 1
    assert "hubtool.yaml:2: images.one.contrat" in found["hubtool.yaml"]["found"]
    assert "push one" not in found
