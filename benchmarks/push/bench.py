"""One run's daemon, registries and image repository, and the ways to push."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.push import images
from benchmarks.push.meter import Cost, Pulled, Registry, measure, pulled
from hubtool.console import bytes_text, say
from hubtool.engines import get_engine
from hubtool.engines.docker_cli import find_cli
from hubtool.sandbox import packages
from hubtool.sandbox.base_image import base_image
from hubtool.sandbox.dockerd import private_dockerd
from hubtool.sandbox.network import private_bundle
from hubtool.sandbox.parts import cache_folder
from hubtool.sandbox.registry import local_registry

NAME = "stack"
WAYS = OURS, DOCKER, SKOPEO = "hubtool", "docker push", "skopeo copy"
MB = 1_000_000

Registries = Mapping[str, Registry]


@dataclass(frozen=True)
class Row:
    """A figure: texts for each way, and whether the target is met; None for a figure without one."""

    figure: str
    target: str
    ours: str
    docker: str = ""
    skopeo: str = ""
    good: bool | None = None

    @classmethod
    def of(cls, figure: str, target: str, texts: Sequence[str], good: bool | None = None) -> Row:
        ours, docker, skopeo = texts
        return cls(figure, target, ours, docker, skopeo, good)

    def cells(self) -> tuple[str, ...]:
        verdict = "" if self.good is None else "ok" if self.good else "MISSED"
        return self.figure, self.target, self.ours, self.docker, self.skopeo, verdict


class Bench:
    """The daemon, a registry for each way, and the image repository of one run."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        packages.ensure(["dockerd", "docker-registry", "skopeo"])
        self.folder = folder
        host = stack.enter_context(private_dockerd(folder / "docker"))
        os.environ |= {"DOCKER_HOST": host, "DOCKER_CONFIG": str(folder), "DOCKER_CLI_HINTS": "false"}
        self.daemon = int((Path(host.removeprefix("unix://")).parent / "dockerd.pid").read_text())
        self.engine, self.docker = get_engine("docker"), str(find_cli().path)
        bundle = private_bundle()
        self.environment = {"HUBTOOL_CA_BUNDLE": str(bundle)} if bundle else {}
        self.registries = self.new_registries(stack)
        self.base = f"{self.registries[OURS].host}/base/debian:bookworm"
        self.engine.tag(base_image(self.engine, cache_folder() / "base"), self.base)
        images.run([self.docker, "push", "--quiet", self.base])
        self.repository = self.clone("repository")

    def new_registries(self, stack: ExitStack) -> Registries:
        """An empty registry for each way."""
        found = {}
        for way in WAYS:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=self.folder)))
            found[way] = Registry(stack.enter_context(local_registry(folder)), folder)
        return found

    def clone(self, folder: str, image: str = NAME) -> images.Repository:
        """A new image repository."""
        host = self.registries[OURS].host
        return images.Repository(self.folder / folder, host, image, self.base, self.environment)

    def forget_builds(self) -> None:
        """Empty the build cache."""
        images.run([self.docker, "builder", "prune", "--all", "--force"])

    def push(
        self, repository: images.Repository, reference: str, registries: Registries | None = None
    ) -> dict[str, Cost]:
        """Push what REPOSITORY built as REFERENCE, every way."""
        registries = registries or self.registries
        named = {way: f"{registries[way].host}/{reference.partition('/')[2]}" for way in WAYS}
        for name in named.values():
            self.engine.tag(reference, name)
        daemon = f"--src-daemon-host={os.environ['DOCKER_HOST']}"
        copy = ["skopeo", "copy", "--quiet", "--dest-tls-verify=false", daemon]
        commands = {
            OURS: repository.command("push"),
            DOCKER: [self.docker, "push", "--quiet", named[DOCKER]],
            SKOPEO: [*copy, f"docker-daemon:{reference}", f"docker://{named[SKOPEO]}"],
        }
        environment = {**self.environment, "HUBTOOL_REGISTRY": f"{registries[OURS].host}/hub"}
        found = {way: measure(command, registries[way], self.daemon, environment) for way, command in commands.items()}
        tell(found)
        return found

    def push_elsewhere(self, repository: images.Repository, reference: str) -> dict[str, Cost]:
        """The same to registries that are empty, and gone afterwards."""
        with ExitStack() as stack:
            return self.push(repository, reference, self.new_registries(stack))

    def pulled(self, old: str, new: str) -> dict[str, Pulled]:
        """What a node that has the image OLD fetches for NEW, each way."""
        name, _, tag = new.partition("/")[2].rpartition(":")
        before = old.rpartition(":")[2]
        return {way: pulled(registry, name, before, tag) for way, registry in self.registries.items()}


def tell(found: Mapping[str, Cost]) -> None:
    for way, cost in found.items():
        seconds = f"{cost.seconds:.1f} s, {cost.processor:.1f} s of processors"
        say(f"    {way}: {seconds}, peak {bytes_text(cost.memory)}, {cost.uploaded / MB:.2f} MB sent")
    for line in re.findall(r".*done in.*", found[OURS].said):
        say(f"      {line}")
