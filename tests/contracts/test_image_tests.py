"""image-tests/ of an image repository, run inside a real container."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from hubtool.contracts import Result, TestReport
from tests.contracts.conftest import BuildImage, RunContract, containers_of

PYTEST_FILE = """\
import os, pathlib, pytest

def test_that_passes():
    assert os.getuid() == 1000

def test_runs_in_the_repository_folder():
    assert os.getcwd() == "/srv/repo"
    assert pathlib.Path("image-tests/data.txt").read_text() == "some data"

def test_sees_what_the_entrypoint_sets():
    assert os.environ["SET_BY_START"] == "yes"

def test_may_write_beside_itself(tmp_path):
    pathlib.Path("image-tests/written.txt").write_text("x")

def test_uses_requirements():
    import tiny
    assert tiny.answer == 42

def test_the_images_own_copy_is_not_used():
    assert not pathlib.Path("image-tests/old.py").exists()

def test_that_fails():
    assert 1 + 1 == 3, "sums are <wrong> & $bad"

@pytest.mark.skip(reason="not today")
def test_that_is_skipped():
    pass
"""


def notebook(*cells: str) -> str:
    code: list[dict[str, object]] = [
        {"cell_type": "code", "id": f"c{i}", "metadata": {}, "source": text, "outputs": [], "execution_count": None}
        for i, text in enumerate(cells)
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return json.dumps({"cells": code, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5})


def write_wheel(folder: Path) -> str:
    """A package of one line, as a wheel: installed with no index."""
    name = "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(folder / name, "w") as wheel:
        wheel.writestr("tiny.py", "answer = 42\n")
        wheel.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        tags = "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr("tiny-1.0.dist-info/WHEEL", tags)
        wheel.writestr("tiny-1.0.dist-info/RECORD", "")
    return name


@pytest.fixture(scope="module")
def image(good_image: str, build_image: BuildImage) -> str:
    """The good image with a start script as entrypoint, and an older image-tests folder in it."""
    script = '#!/bin/bash\\nexport SET_BY_START=yes\\necho started >&2\\nexec "$@"\\n'
    lines = [
        f"FROM {good_image}",
        "USER root",
        f"RUN printf '{script}' > /srv/start && chmod +x /srv/start && mkdir image-tests && touch image-tests/old.py",
        "USER jovyan",
        'ENTRYPOINT ["/srv/start"]',
    ]
    return build_image("image-tests", "\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def report(image: str, run_contract: RunContract, tmp_path_factory: pytest.TempPathFactory) -> TestReport:
    """What came of a folder with tests and notebooks, good and bad."""
    folder = tmp_path_factory.mktemp("repo") / "image-tests"
    (folder / "sub" / ".ipynb_checkpoints").mkdir(parents=True)
    (folder / "test_things.py").write_text(PYTEST_FILE)
    (folder / "test_broken.py").write_text("import nothing_of_that_name\n")
    (folder / "data.txt").write_text("some data")
    (folder / "requirements.txt").write_text(f"--no-index\n./image-tests/{write_wheel(folder)}\n")
    (folder / "good.ipynb").write_text(notebook("x = 6", "assert x * 7 == 42"))
    (folder / "sub" / "bad name.ipynb").write_text(notebook("1/0"))
    (folder / "sub" / ".ipynb_checkpoints" / "copy.ipynb").write_text(notebook("1/0"))
    for path in folder.rglob("*"):
        path.chmod(0o700)
    return run_contract(image, contract="none", image_tests=str(folder), repo_dir="/srv/repo")


EXPECTED = {
    "image-tests/test_things::test_that_passes": "passed",
    "image-tests/test_things::test_runs_in_the_repository_folder": "passed",
    "image-tests/test_things::test_sees_what_the_entrypoint_sets": "passed",
    "image-tests/test_things::test_may_write_beside_itself": "passed",
    "image-tests/test_things::test_uses_requirements": "passed",
    "image-tests/test_things::test_the_images_own_copy_is_not_used": "passed",
    "image-tests/test_things::test_that_fails": "failed",
    "image-tests/test_things::test_that_is_skipped": "skipped",
    "image-tests/good.ipynb": "passed",
    "image-tests/sub/bad name.ipynb": "failed",
}


@pytest.mark.parametrize(("check", "outcome"), EXPECTED.items(), ids=EXPECTED)
def test_each_test_of_the_repository_is_a_result(check: str, outcome: str, report: TestReport) -> None:
    found = result(report, check)
    assert found.outcome == outcome, found.message


def result(report: TestReport, check: str) -> Result:
    (found,) = [item for item in report.results if item.check == check]
    return found


def test_results_say_what_was_wrong(report: TestReport) -> None:
    assert "sums are <wrong> & $bad" in result(report, "image-tests/test_things::test_that_fails").message
    assert "ZeroDivisionError" in result(report, "image-tests/sub/bad name.ipynb").message
    assert "not today" in result(report, "image-tests/test_things::test_that_is_skipped").message


def test_a_file_that_does_not_load_fails(report: TestReport) -> None:
    (broken,) = [item for item in report.results if "test_broken" in item.check]
    assert broken.outcome == "failed"
    assert len(report.results) == len(EXPECTED) + 1


def test_the_output_is_kept(report: TestReport) -> None:
    mend = result(report, "image-tests/test_things::test_that_fails").mend
    assert "test_that_fails" in Path(mend.removeprefix("see ")).read_text()


def test_an_image_without_python_fails_them(
    base_image: str, build_image: BuildImage, run_contract: RunContract, tmp_path: Path
) -> None:
    folder = tmp_path / "image-tests"
    folder.mkdir()
    (folder / "test_x.py").write_text("def test_x(): pass\n")
    image = build_image("no-python", f"FROM {base_image}\nRUN rm /usr/bin/python3*\nUSER 1000\nWORKDIR /tmp\n")
    report = run_contract(image, contract="none", image_tests=str(folder))
    (failed,) = report.results
    assert failed.outcome == "failed"
    assert "needs python3 in the image" in failed.message
    assert containers_of(image) == {}


def test_requirements_that_cannot_be_installed_say_so(image: str, run_contract: RunContract, tmp_path: Path) -> None:
    folder = tmp_path / "image-tests"
    folder.mkdir()
    (folder / "test_x.py").write_text("def test_x(): pass\n")
    (folder / "requirements.txt").write_text("--no-index\nno-such-package==1.0\n")
    (failed,) = run_contract(image, contract="none", image_tests=str(folder), repo_dir="/srv/repo").results
    assert "image-tests/requirements.txt can't be installed" in failed.message
    assert "no-such-package" in failed.message
