"""An image repository whose images are put into a real engine rather than built, and the program that pushes them."""

from __future__ import annotations

import io
import sys
import tarfile
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

import docker
import docker.errors
import git
import pytest

from hubtool import main
from hubtool.plan.records import Record, write_record
from hubtool.reference import ImageReference
from tests.registries.parts import noise

WHO = ["-c", "user.name=Tests", "-c", "user.email=tests@example.org"]
MB = 1_000_000


@dataclass(frozen=True)
class Ended:
    returncode: int
    stdout: str
    stderr: str


def run_hubtool(*words: str) -> Ended:
    """The program in this process, which saves its start-up."""
    out, err = io.StringIO(), io.StringIO()
    before = sys.argv
    sys.argv = ["hubtool", *words]
    try:
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main.run()
    finally:
        sys.argv = before
    assert "Traceback" not in err.getvalue(), err.getvalue()
    return Ended(int(ended.value.code or 0), out.getvalue(), err.getvalue())


@dataclass
class Repository:
    """An image repository whose images are imported into a real engine rather than built."""

    root: Path
    host: str
    client: docker.DockerClient
    name: str
    made: list[str] = field(default_factory=list)

    @property
    def tag(self) -> str:
        return str(git.Repo(self.root).head.commit.hexsha[:12])

    @property
    def reference(self) -> ImageReference:
        return ImageReference.parse(f"{self.host}/{self.name}:{self.tag}")

    def write(self, contract: str = "jupyterhub", more: str = "") -> None:
        registry, _, image = f"{self.host}/{self.name}".rpartition("/")
        (self.root / "hubtool.yaml").write_text(
            f"registry: {registry}\nimages:\n  {image}:\n    contract: {contract}\n{more}"
        )
        repo = git.Repo.init(self.root)
        repo.git.execute(["git", "-C", str(self.root), "add", "-A"])
        repo.git.execute(["git", "-C", str(self.root), *WHO, "commit", "-q", "--allow-empty", "-m", "x"])

    @property
    def image(self) -> str:
        return self.name.rpartition("/")[2]

    def make_image(
        self,
        size: int = MB,
        seed: int = 0,
        tag: str | None = None,
        files: Mapping[str, bytes] | None = None,
        base: str = "",
    ) -> str:
        """Put an image with one layer, of noise or FILES, into the engine; returns its id. BASE is what its label
        says that it was built on."""
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as tar:
            for name, content in (files or {"noise": noise(size, seed)}).items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        labels = [f"LABEL org.opencontainers.image.revision={git.Repo(self.root).head.commit.hexsha}"]
        labels += [f"LABEL org.opencontainers.image.base.name={base}"] if base else []
        name = f"{self.host}/{self.name}"
        self.client.api.import_image_from_data(stream.getvalue(), repository=name, tag=tag or self.tag, changes=labels)
        self.made.append(f"{name}:{tag or self.tag}")
        return str(self.client.images.get(self.made[-1]).id)

    def passed(self, image_id: str, contract: str | None = "jupyterhub") -> None:
        write_record(self.root, self.image, Record(str(self.reference), image_id, "docker", tested=contract))

    def push(self, *words: str, check: bool = False) -> Ended:
        done = run_hubtool("push", *words, "--root", str(self.root))
        if check:
            assert done.returncode == 0, done.stderr
        return done
