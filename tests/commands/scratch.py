"""A tiny image repository, and the program run in it by somebody who is logged in at the registry."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import git
import pytest

from hubtool.reference import ImageReference
from hubtool.registries import Credentials
from hubtool.sandbox import deployment
from tests.commands.pushing import Ended, run_hubtool
from tests.registries.parts import client_for

NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere.sock", "HUBTOOL_ENGINE": "docker"}
NOBODY = {"HUBTOOL_REGISTRY_USERNAME": "", "HUBTOOL_REGISTRY_PASSWORD": ""}


@dataclass(frozen=True)
class Scratch:
    """An image repository whose one image, small, stands on nothing; ``login`` is the registry's."""

    root: Path
    environment: Mapping[str, str]
    login: Credentials

    def run(self, *words: str, cwd: Path | None = None, env: Mapping[str, str] = {}) -> Ended:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {**self.environment, **env}.items():
                patch.setenv(name, value)
            patch.chdir(cwd or self.root)
            return run_hubtool(*words)

    def json(self, *words: str, cwd: Path | None = None, env: Mapping[str, str] = {}) -> dict[str, Any]:
        """The first item of what a verb prints with --json; a release's first release."""
        done = self.run(*words, "--json", cwd=cwd, env=env)
        assert done.returncode == 0, done.stderr
        data = json.loads(done.stdout)
        found: dict[str, Any] = data["releases"][0] if isinstance(data, dict) else data[0]
        return found

    def stage(self) -> dict[str, Any]:
        """Build, and publish for a merge to promote."""
        assert self.run("build").returncode == 0
        return self.json("push", "--staged")

    def write(self, name: str, text: str) -> str:
        """Write a file and commit it; the first digits of the commit, which are its tag."""
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text)
        return commit(self.root)

    @property
    def settings(self) -> str:
        return (self.root / "hubtool.yaml").read_text()

    @property
    def reference(self) -> ImageReference:
        registry = self.settings.splitlines()[0].removeprefix("registry: ")
        return ImageReference.parse(f"{registry}/small")

    def tags(self) -> list[str]:
        """The tags in the registry, but for those that list what is attached."""
        with client_for(self.reference, self.login) as client:
            return [tag for tag in client.list_tags() if not tag.startswith("sha256-")]

    def digest(self, tag: str) -> str | None:
        with client_for(self.reference, self.login) as client:
            found = client.head_manifest(tag)
        return found.digest if found else None


def commit(root: Path) -> str:
    repo = git.Repo(root)
    deployment.commit_all(repo, "x")
    return str(repo.head.commit.hexsha[:12])
