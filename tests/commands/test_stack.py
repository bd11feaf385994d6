"""A stack with real parts: five images on two axes, built, tested and released, changed, released again."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker as docker_sdk
import git
import pytest

from hubtool.reference import ImageReference
from hubtool.registries import open_client
from hubtool.sandbox import deployment
from tests.builders.conftest import write_files
from tests.conftest import LocalRegistry

pytestmark = [pytest.mark.engine, pytest.mark.slow]

STACK = """\
registry: {registry}/stack
repository: team-{{image}}
layers: as-built
axes:
  tool: [red, blue]
  device: [cpu, gpu]
defaults:
  builder: dockerfile
  contract: none
images:
  base:
    context: base
    base: scratch
    axes: [device]
    args: {{DEVICE: "{{device}}"}}
    tags: ["latest{{-gpu}}", "{{commit}}{{-gpu}}"]
  lang:
    context: lang
    from: base
    axes: [tool, device]
    args: {{TOOL: "{{tool}}"}}
    tags: ["{{tool}}{{-gpu}}", "{{tool}}{{-gpu}}-{{commit}}"]
  bundle:
    context: bundle
    from: lang
    axes: {{tool: all, device: [cpu]}}
    args: {{TOOL: "{{tool}}"}}
    tags: ["{{tool}}-{{commit}}"]
  app: {{context: app, from: bundle, axes: {{tool: all, device: [cpu]}}, tags: ["{{tool}}-{{commit}}"]}}
  other: {{context: other, from: base, axes: {{device: [cpu]}}, tags: ["{{commit}}"]}}
"""
HEAD = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n"
FILES = {
    "base/Dockerfile": HEAD + "ARG DEVICE\nCOPY $DEVICE.txt /base.txt\n",
    "base/cpu.txt": "cpu\n",
    "base/gpu.txt": "gpu\n",
    "lang/Dockerfile": HEAD + "ARG TOOL\nCOPY $TOOL.txt /lang.txt\n",
    "lang/red.txt": "red\n",
    "lang/blue.txt": "blue\n",
    "bundle/Dockerfile": HEAD + "COPY word.txt /word.txt\n",
    "bundle/word.txt": "one\n",
    "app/Dockerfile": HEAD + "COPY app.txt /app.txt\n",
    "app/app.txt": "app\n",
    "other/Dockerfile": HEAD + "COPY other.txt /other.txt\n",
    "other/other.txt": "other\n",
}
OURS = ("fingerprint-", "hubtool-newest", "buildcache-", "sha256-")  # tags that are no release's
VARIANTS = [
    "base[cpu]",
    "base[gpu]",
    "lang[red,cpu]",
    "lang[red,gpu]",
    "lang[blue,cpu]",
    "lang[blue,gpu]",
    "bundle[red]",
    "bundle[blue]",
    "app[red]",
    "app[blue]",
    "other",
]


@dataclass
class Stack:
    """A repository with a stack, and the program run in it."""

    root: Path
    host: str
    environment: dict[str, str]

    def write(self, **files: str) -> None:
        self.root.mkdir(exist_ok=True)
        (self.root / "hubtool.yaml").write_text(STACK.format(registry=self.host))
        write_files(self.root, {**FILES, **files})
        self.commit("a stack")

    def commit(self, message: str) -> str:
        repo = git.Repo.init(self.root, initial_branch="main")
        deployment.commit_all(repo, message)
        return repo.head.commit.hexsha[:12]

    def run(self, *words: str, **changes: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "hubtool", *words]
        done = subprocess.run(
            argv, capture_output=True, text=True, cwd=self.root, env={**self.environment, **changes}, timeout=500
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def plan(self, *words: str, **changes: str) -> dict[str, tuple[str, str]]:
        done = self.run("plan", "--json", *words, **changes)
        assert done.returncode == 0, done.stderr
        return {one["variant"]: (one["action"], one["why"]) for one in json.loads(done.stdout)}

    def tags(self, image: str) -> set[str]:
        with open_client(ImageReference.parse(f"{self.host}/stack/team-{image}")) as client:
            return {tag for tag in client.list_tags() if not tag.startswith(OURS)}

    def labels(self, image: str, tag: str) -> tuple[str, dict[str, str]]:
        """The digest behind a tag, and the labels of its config."""
        with open_client(ImageReference.parse(f"{self.host}/stack/team-{image}")) as client:
            manifest = client.get_manifest(tag)
            assert manifest is not None
            config = json.loads(client.get_blob(json.loads(manifest.content)["config"]["digest"]))
        return manifest.digest, config["config"]["Labels"]


@pytest.fixture
def stack(
    registry: LocalRegistry, docker_host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stack]:
    # As `docker login` leaves it: the engine pulls parents with it, too.
    auth = base64.b64encode(f"{registry.username}:{registry.password}".encode()).decode()
    write_files(tmp_path / "docker", {"config.json": json.dumps({"auths": {registry.host: {"auth": auth}}})})
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    environment = {**os.environ, "DOCKER_HOST": docker_host, "GIT_CONFIG_GLOBAL": os.devnull}
    found = Stack(tmp_path / "stack", f"{registry.host}/{tmp_path.name.replace('_', '-').lower()}", environment)
    yield found
    client = docker_sdk.from_env()
    for image in client.images.list(filters={"reference": f"{found.host}/stack/*"}):
        client.images.remove(image.tags[0], force=True)
    client.close()


def built_in(done: subprocess.CompletedProcess[str]) -> set[str]:
    """The references that a run built."""
    return {line.split()[1] for line in done.stderr.splitlines() if line.startswith("building ")}


def test_a_stack_is_built_once_and_then_only_what_a_change_reaches(stack: Stack) -> None:
    stack.write()
    first = git.Repo(stack.root).head.commit.hexsha[:12]
    assert stack.plan() == {
        name: ("build", "not in the registry") if name.startswith("base") else ("build", f"built on {parent_of(name)}")
        for name in VARIANTS
    }
    done = stack.run("release", "--jobs", "3")
    assert done.returncode == 0, done.stderr
    assert len(built_in(done)) == 11
    assert len(done.stdout.splitlines()) == 11
    assert stack.tags("lang") == {
        *("red", "blue", "red-gpu", "blue-gpu"),
        *(f"{tool}-{first}" for tool in ("red", "blue", "red-gpu", "blue-gpu")),
    }

    assert set(stack.plan().values()) == {("reuse", "unchanged")}

    write_files(stack.root, {"bundle/word.txt": "two\n"})
    second = stack.commit("another word")
    expected = dict.fromkeys(VARIANTS, ("reuse", "unchanged"))
    expected |= {f"bundle[{tool}]": ("build", "changed: word.txt") for tool in ("red", "blue")}
    expected |= {f"app[{tool}]": ("build", f"built on bundle[{tool}]") for tool in ("red", "blue")}
    assert stack.plan() == expected

    done = stack.run("release")
    assert done.returncode == 0, done.stderr
    assert built_in(done) == {
        f"{stack.host}/stack/team-{image}:{tool}-{second}" for image in ("bundle", "app") for tool in ("red", "blue")
    }
    # What did not change has the new commit's tags, and the very digest of the first release.
    assert stack.labels("other", second)[0] == stack.labels("other", first)[0]
    assert stack.labels("lang", "red")[0] == stack.labels("lang", f"red-{first}")[0]
    assert stack.labels("app", f"red-{second}")[0] != stack.labels("app", f"red-{first}")[0]
    # A child was built on the very parent: on the engine's, or on the registry's by its digest.
    assert (
        stack.labels("bundle", f"blue-{second}")[1]["org.opencontainers.image.base.digest"]
        == (stack.labels("lang", "blue")[0])
    )
    assert set(stack.plan().values()) == {("reuse", "unchanged")}


def parent_of(name: str) -> str:
    image, _, values = name.partition("[")
    values = values.removesuffix("]")
    return {
        "lang": f"base[{values.rpartition(',')[2]}]",
        "bundle": f"lang[{values},cpu]",
        "app": f"bundle[{values}]",
        "other": "base[cpu]",
    }[image]


def test_a_variant_that_fails_takes_only_what_is_built_on_it(stack: Stack) -> None:
    stack.write(**{"bundle/Dockerfile": HEAD + "ARG TOOL\nCOPY only-$TOOL.txt /\n", "bundle/only-red.txt": ""})
    done = stack.run("release", "--jobs", "2")
    assert done.returncode == 1
    assert "bundle[blue] failed: " in done.stderr
    assert "app[blue] is left out: bundle[blue] failed" in done.stderr
    assert "1 of 11 failed" in done.stderr
    commit = git.Repo(stack.root).head.commit.hexsha[:12]
    assert stack.tags("bundle") == {f"red-{commit}"}
    assert stack.tags("app") == {f"red-{commit}"}
    assert len(stack.tags("lang")) == 8


def test_one_variant_is_built_with_what_it_stands_on(stack: Stack) -> None:
    stack.write()
    done = stack.run("build", "app[red]")
    assert done.returncode == 0, done.stderr
    commit = git.Repo(stack.root).head.commit.hexsha[:12]
    names = ["base:" + commit, f"lang:red-{commit}", f"bundle:red-{commit}", f"app:red-{commit}"]
    assert done.stdout.split() == [f"{stack.host}/stack/team-{name}" for name in names]
    again = stack.run("build", "app[red]")
    assert not built_in(again)
    said = stack.run("build", "app[green]")
    assert said.returncode == 1
    assert "no variant 'app[green]'" in said.stderr
    assert "variants of app: app[red], app[blue]" in said.stderr
