"""Versions of a stack, raised for what changed and all that is built on it."""

from __future__ import annotations

import json

import pytest

from tests.builders.conftest import write_files
from tests.commands.stacks import HEAD, Stack

pytestmark = [pytest.mark.engine, pytest.mark.slow]

STACK = """\
registry: {registry}/stack
repository: team-{{image}}
layers: as-built
axes:
  device: [cpu, cuda11]
defaults: {{builder: dockerfile, contract: none, axes: [device], tags: ["{{version}}{{cuda11}}"]}}
images:
  base: {{context: base, base: scratch, args: {{DEVICE: "{{device}}"}}, version: "3.9"}}  # the root
  tool: {{context: tool, from: base, version: 3.19}}
  desktop: {{context: desktop, from: tool, version: "1.0"}}
  other: {{context: other, from: base, version: "7"}}
"""
FILES = {
    "base/Dockerfile": HEAD + "ARG DEVICE\nCOPY $DEVICE.txt /base.txt\n",
    "base/cpu.txt": "cpu\n",
    "base/cuda11.txt": "cuda\n",
    **{f"{name}/Dockerfile": HEAD + f"COPY word.txt /{name}.txt\n" for name in ("tool", "desktop", "other")},
    **{f"{name}/word.txt": "one\n" for name in ("tool", "desktop", "other")},
}


@pytest.fixture
def versions(stack: Stack) -> Stack:
    """A stack that was released."""
    stack.write(STACK, FILES)
    done = stack.run("release", "--jobs", "2")
    assert done.returncode == 0, done.stderr
    return stack


def test_a_change_raises_the_versions_that_it_reaches(versions: Stack) -> None:
    before = (versions.root / "hubtool.yaml").read_text()
    assert "nothing to raise" in versions.run("plan", "--raise-versions").stderr
    write_files(versions.root, {"tool/word.txt": "two\n"})

    said = versions.run("plan", "--dirty")
    assert "versions that name another image already" in said.stderr
    assert "team-tool:3.19" in said.stderr
    refused = versions.run("plan", "--github-matrix", "--dirty")
    assert refused.returncode == 1
    assert "hubtool plan --raise-versions, then commit" in refused.stderr
    versions.commit("another word, and no other version")
    forgotten = versions.run("release")
    assert forgotten.returncode == 1
    assert "team-tool:3.19" in forgotten.stderr
    assert "building" not in forgotten.stderr

    raised = versions.run("plan", "--raise-versions")
    assert raised.stdout.splitlines() == ["tool: version 3.19 → 3.20", "desktop: version 1.0 → 1.1"]
    after = (versions.root / "hubtool.yaml").read_text()
    assert after == before.replace("version: 3.19", 'version: "3.20"').replace('"1.0"', '"1.1"')
    assert "nothing to raise" in versions.run("plan", "--raise-versions").stderr

    versions.commit("another word")
    assert versions.run("plan", "--github-matrix").returncode == 0
    done = versions.run("release")
    assert done.returncode == 0, done.stderr
    assert versions.tags("tool") == {"3.19", "3.19cuda11", "3.20", "3.20cuda11"}
    assert versions.tags("desktop") == {"1.0", "1.0cuda11", "1.1", "1.1cuda11"}
    assert versions.tags("base") == {"3.9", "3.9cuda11"}
    assert set(versions.plan().values()) == {("reuse", "unchanged")}


def test_other_settings_raise_a_version_and_a_taken_one_is_passed_over(versions: Stack) -> None:
    file = versions.root / "hubtool.yaml"
    file.write_text(file.read_text().replace('version: "7"', 'version: "7", labels: {colour: red}'))
    versions.commit("another label")
    assert dict(versions.plan())["other[cpu]"] == ("build", "changed: hubtool.yaml")
    raised = versions.run("plan", "--raise-versions", "--json")
    assert raised.returncode == 0, raised.stderr
    assert json.loads(raised.stdout) == [{"image": "other", "old": "7", "new": "8"}]
    versions.commit("raised")
    assert versions.run("release", "other").returncode == 0
    file.write_text(file.read_text().replace('"8"', '"7"').replace("red", "blue"))
    versions.commit("back")
    assert versions.run("plan", "--raise-versions").stdout == "other: version 7 → 9\n"


def test_where_no_registry_answers_a_plan_is_made_and_no_version_raised(stack: Stack) -> None:
    stack.host = "127.0.0.1:1/nowhere"
    stack.write(STACK, FILES)
    before = (stack.root / "hubtool.yaml").read_text()
    assert stack.plan()["base[cpu]"] == ("build", "no answer from its registry")
    refused = stack.run("plan", "--raise-versions")
    assert refused.returncode == 1
    assert "127.0.0.1:1" in refused.stderr
    assert (stack.root / "hubtool.yaml").read_text() == before
