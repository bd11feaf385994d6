"""A small stack with real parts, to be built, changed and released: eleven variants of five images on two axes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import git

from hubtool.reference import ImageReference
from hubtool.registries import open_client
from hubtool.sandbox import deployment
from tests.builders.conftest import write_files

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
OURS = ("fingerprint-", "hubtool-newest", "buildcache", "sha256-")  # tags that are no release's
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

    def write(self, settings: str = STACK, declared: Mapping[str, str] = FILES, /, **files: str) -> str:
        """The stack that SETTINGS, a hubtool.yaml, and the files DECLARED make, with other FILES; the commit."""
        self.root.mkdir(exist_ok=True)
        write_files(self.root, {"hubtool.yaml": settings.format(registry=self.host), **declared, **files})
        return self.commit("a stack")

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
