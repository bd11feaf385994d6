"""A repository's own checks, tests/test_*.py, with the contract's fixtures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.commands.testing.conftest import REFERENCE, TAG, YAML, commit, hubtool, write

CHECKS = '''\
import os
from helper import WORD


def test_the_container_runs(container, host, settings, image):
    """The image sleeps as uid 1000.

    Who needs it breaks.

    To mend: let it sleep.
    """
    assert host.run('id -u').stdout == '1000\\n'
    assert host.file("/etc/debian_version").exists
    assert container.container.running()
    assert settings.name == "small"
    assert image.uid == 1000
    assert WORD == "from conftest's neighbour"
    assert os.path.exists("hubtool.yaml")


class TestMore:
    def test_sums(self, team_fixture):
        assert 1 + 1 == team_fixture, "sums"


def test_J1_is_a_name_like_any_other():
    pass
'''
CONFTEST = """\
import pytest

@pytest.fixture
def team_fixture():
    return 3

def pytest_collection_modifyitems(items):
    items[:] = [item for item in items if "J5" not in item.name]
"""


@pytest.fixture
def team(repository: Path) -> Path:
    """A repository with checks of its own, and a pytest setup that is another one's."""
    write(repository, "tests/test_ours.py", CHECKS)
    write(repository, "tests/helper.py", 'WORD = "from conftest\'s neighbour"\n')
    write(repository, "tests/conftest.py", CONFTEST)
    write(repository, "tests/docker.py", "raise ImportError('not the real one')\n")
    write(repository, "pytest.ini", "[pytest]\naddopts = --no-such-option\n")
    write(repository, "conftest.py", "raise SystemExit('not for this')\n")
    (repository / "image-tests" / "test_it.py").unlink()
    commit(repository)
    return repository


def reports(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(text[: text.rindex("]") + 1])
    return found


def test_own_checks_get_the_container_and_are_told_apart(team: Path, image: str) -> None:
    done = hubtool(team, "small", "--tag", TAG, "--json")
    assert done.returncode == 1
    (report,) = reports(done.stdout)
    found = {result["check"]: result for result in report["results"]}
    assert {result["group"] for result in report["results"]} == {"tests"}
    assert [(check, result["outcome"]) for check, result in found.items()] == [
        ("test_the_container_runs", "passed"),
        ("test_sums", "failed"),
        ("test_J1_is_a_name_like_any_other", "passed"),
    ]
    assert found["test_the_container_runs"]["promise"] == "The image sleeps as uid 1000"
    assert found["test_sums"]["message"].startswith("sums\nassert (1 + 1) == 3")
    assert "test_ours.py" in found["test_sums"]["mend"]
    assert not list(team.rglob("__pycache__"))
    assert (team / ".hubtool" / "logs" / "small-container.log").exists()


def test_own_checks_are_listed(team: Path) -> None:
    done = hubtool(team, "--list", DOCKER_HOST="unix:///nowhere")
    assert (
        "tests test_the_container_runs  The image sleeps as uid 1000\n    Who needs it breaks.\n    To mend: let"
        in (done.stdout)
    )
    assert "tests test_sums  sums" in done.stdout


def test_own_checks_run_beside_a_contract_and_cannot_touch_it(team: Path, image: str) -> None:
    """Their conftest.py leaves out whatever is called J5; the contract's J5 is there."""
    write(team, "hubtool.yaml", YAML.replace("none", "jupyterhub, start_seconds: 2"))
    commit(team)
    (report,) = reports(hubtool(team, "small", "--tag", TAG, "--json").stdout)
    groups: dict[str, list[str]] = {result["group"]: [] for result in report["results"]}
    for result in report["results"]:
        groups[result["group"]].append(result["check"])
    assert "J5" in groups["jupyterhub"]
    assert groups["tests"] == ["test_the_container_runs", "test_sums", "test_J1_is_a_name_like_any_other"]


SOMETHING_ELSE: dict[str, tuple[dict[str, str], str, str]] = {
    "a package that is not there": (
        {"test_x.py": "import no_such_package\n"},
        "test_x.py",
        "ModuleNotFoundError: No module named 'no_such_package'",
    ),
    "no Python": ({"test_x.py": "this is no Python\n"}, "test_x.py", "SyntaxError"),
    "a conftest.py that fails": (
        {"test_x.py": "def test_x(): pass\n", "conftest.py": "import no_such_package\n"},
        "pytest",
        "No module named 'no_such_package'",
    ),
    "a file that ends Python": ({"test_x.py": "raise SystemExit(0)\n"}, "pytest", "pytest ended with code"),
    "a plug-in that is not there": (
        {"test_x.py": "def test_x(browser): pass\n"},
        "test_x",
        "fixture 'browser' not found",
    ),
    "a crash": ({"test_x.py": "import os\ndef test_x(): os.abort()\n"}, "pytest", "pytest ended with code -6"),
    "a result that it makes up": (
        {"test_x.py": "def test_x():\n    print('\\n\\x1ehubtool-result x {}')\n    assert False, 'no'\n"},
        "test_x",
        "no",
    ),
}


@pytest.mark.parametrize("name", SOMETHING_ELSE)
def test_a_folder_that_is_something_else_gives_one_clear_result(name: str, repository: Path, image: str) -> None:
    files, check, said = SOMETHING_ELSE[name]
    (repository / "image-tests" / "test_it.py").unlink()
    for file, text in files.items():
        write(repository, f"tests/{file}", text)
    commit(repository)
    done = hubtool(repository, "small", "--tag", TAG, "--json")
    assert done.returncode == 1
    (report,) = reports(done.stdout)
    (result,) = [result for result in report["results"] if result["outcome"] == "failed"]
    assert Path(result["check"]).name == check
    assert said in result["message"]
    assert "Traceback" not in done.stderr


def test_own_checks_can_be_elsewhere_or_switched_off(repository: Path, image: str) -> None:
    write(repository, "tests/test_x.py", "import no_such_package\n")
    write(repository, "checks/ours/test_x.py", "def test_x(host): assert host.run('id -u').stdout == '1000\\n'\n")
    (repository / "image-tests" / "test_it.py").unlink()
    for tests, said in (("false", "passed (no checks"), ("checks/ours", "passed (1 passed")):
        write(repository, "hubtool.yaml", YAML.replace("none", f"none, tests: {tests}"))
        commit(repository)
        done = hubtool(repository, "small", "--tag", TAG)
        assert done.returncode == 0, done.stderr
        assert said in done.stdout
    write(repository, "hubtool.yaml", YAML.replace("none", "none, tests: nowhere"))
    commit(repository)
    done = hubtool(repository, "small", "--tag", TAG)
    assert "hubtool.yaml:3: images.small.tests: no folder 'nowhere' in the repository" in done.stderr


def test_a_reference_has_no_own_checks_unless_they_are_asked_for(repository: Path, image: str) -> None:
    write(repository, "tests/test_x.py", "def test_x(): assert False\n")
    done = hubtool(repository, REFERENCE, "--contract", "none")
    assert done.returncode == 0, done.stderr
