"""A stack built by stages, with the scripts of the GitHub workflows: every variant in a clone of its own and with an
engine that holds nothing of the others. Between them stands the registry."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import docker
import git
import pytest

from tests.builders.conftest import write_files
from tests.commands.stacks import HEAD, STACK, Stack
from tests.templates.workflows import script_of

pytestmark = [pytest.mark.engine, pytest.mark.slow]

LEG = ["Is what it is built on there?", "Build", "Test", "Push for those that are built on it, and for the release"]


@dataclass
class Runners:
    """Fresh machines, as GitHub gives one to every job."""

    stack: Stack
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    jobs: int = 0
    sent: list[str] = field(default_factory=list)  # the layers that legs sent

    def __post_init__(self) -> None:
        write_files(self.folder, {"bin/hubtool": f'#!/bin/sh\nexec "{sys.executable}" -m hubtool "$@"\n'})
        (self.folder / "bin" / "hubtool").chmod(0o755)
        self.environment = {
            **self.stack.environment,
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "HUBTOOL_DATE": "2026.03.01",
            "CACHE": "",
            "REBUILD": "",
        }

    def job(self) -> Path:
        """The workspace of a new job, with a clone of the repository; the engine forgets the images of others."""
        self.jobs += 1
        workspace = self.folder / f"job{self.jobs}"
        git.Repo.clone_from(self.stack.root, workspace / "image")
        with contextlib.closing(docker.from_env()) as client:
            for image in client.images.list(filters={"reference": f"{self.stack.host}/stack/*"}):
                client.images.remove(image.tags[0], force=True)
        return workspace

    def run(self, workspace: Path, script: str, **environment: str) -> dict[str, str]:
        """Run a step's SCRIPT as GitHub does; its outputs, and what it wrote."""
        output = workspace / "output"
        output.write_text("")
        env = {**self.environment, "RUNNER_TEMP": str(workspace), "GITHUB_OUTPUT": str(output), **environment}
        argv = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
        done = subprocess.run(argv, cwd=workspace, env=env, capture_output=True, text=True, timeout=300)
        told = {"code": str(done.returncode), "said": done.stdout + done.stderr}
        pattern = r"(\w[\w-]*)(?:=(.*)|<<(\S+)\n(?s:(.*?))\n\3)\n"
        return {key: line or text for key, line, _, text in re.findall(pattern, output.read_text())} | told

    def plan(self, **environment: str) -> list[list[dict[str, str]]]:
        """The legs of each stage."""
        workspace = self.job()
        told = self.run(workspace, script_of("stack-build.yaml", "plan", "Plan"), **environment)
        assert told["code"] == "0", told["said"]
        stages = json.loads((workspace / "plan.json").read_text())
        for number, name in enumerate(stages, 1):
            assert json.loads(told[f"stage{number}"]) == stages[name]
        return [stage["include"] for stage in stages.values()]

    def leg(self, leg: dict[str, str], **environment: str) -> str:
        """What becomes of a leg: "pushed", "left out" or "failed"."""
        workspace = self.job()
        for step in LEG:
            script = script_of("stack-stage.yaml", "variant", step)
            told = self.run(workspace, script, VARIANT=leg["variant"], PARENT=leg["parent"], **environment)
            self.sent += re.findall(r"layer (\w+) \(\d+ of \d+\) sent", told["said"])
            if told["code"] != "0":
                return "failed"
            if told.get("ready") == "false":
                return "left out"
        return "pushed"

    def build(self, **environment: str) -> dict[str, str]:
        """What becomes of every variant that the plan builds."""
        return {leg["variant"]: self.leg(leg, **environment) for stage in self.plan(**environment) for leg in stage}

    def release(self) -> dict[str, str]:
        return self.run(self.job(), script_of("stack-release.yaml", "release", "Set tags and bump"), BUMPS="false")


@pytest.fixture
def runners(stack: Stack, tmp_path: Path) -> Runners:
    return Runners(stack, tmp_path / "runners")


def test_a_leg_that_fails_takes_only_what_is_built_on_it_and_the_rest_is_released(runners: Runners) -> None:
    stack = runners.stack
    stack.write(**{"bundle/Dockerfile": HEAD + "ARG TOOL\nCOPY only-$TOOL.txt /\n", "bundle/only-red.txt": ""})
    on_one = STACK.format(registry=stack.host).replace("[cpu, gpu]", "[cpu]").replace("{-gpu}", "")
    (stack.root / "hubtool.yaml").write_text(on_one)
    first = stack.commit("on one device")
    assert runners.build() == {
        **dict.fromkeys(["base", "other", "lang[red]", "lang[blue]", "bundle[red]", "app[red]"], "pushed"),
        "bundle[blue]": "failed",
        "app[blue]": "left out",
    }
    assert stack.tags("app") == stack.tags("base") == set()
    assert runners.sent
    assert len(runners.sent) == len(set(runners.sent))  # a child's layers come from its parent

    done = runners.release()
    assert done["code"] == "1"
    assert "bundle[blue] failed: " in done["said"]
    assert "app[blue] is left out: bundle[blue] failed" in done["said"]
    assert "building" not in done["said"]
    assert stack.tags("app") == stack.tags("bundle") == {f"red-{first}"}
    parent = stack.labels("lang", f"red-{first}")
    assert stack.labels("bundle", f"red-{first}")[1]["org.opencontainers.image.base.digest"] == parent[0]

    write_files(stack.root, {"bundle/only-blue.txt": ""})
    stack.commit("what was missing")
    reached = ["bundle[red]", "bundle[blue]", "app[red]", "app[blue]"]
    assert [[leg["variant"] for leg in stage] for stage in runners.plan()] == [[], [], reached[:2], reached[2:]]
    assert [len(stage) for stage in runners.plan(REBUILD="true")] == [1, 3, 2, 2]
