"""The fixtures of the coder contract, for its checks and a repository's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hubtool.contracts import Settings
from hubtool.contracts.coder import programs
from hubtool.contracts.coder.machine import MACHINES
from hubtool.contracts.coder.needs import certificate_bundles
from hubtool.contracts.coder.stub import Authority, CoderStub
from hubtool.contracts.coder.workspace import Workspace, home_of
from hubtool.contracts.early import start_early
from hubtool.contracts.image import ImageUnderTest
from hubtool.engines import MACHINE_NAMES, Engine

INJECTED = "/tmp/hubtool-contract"
SCRIPTS = {"sh.sh": "#!/bin/sh", "bash.sh": "#!/bin/bash", "env.sh": "#!/usr/bin/env sh"}


@pytest.fixture(scope="session", autouse=True)
def early(image: ImageUnderTest, engine: Engine, request: pytest.FixtureRequest) -> None:
    """Lets the workspace that checks ask for start while the layers are read."""
    start_early(request, image, engine, *(["started_workspace"] if image.architecture in MACHINES else []))


@pytest.fixture(scope="session")
def agent(image: ImageUnderTest, settings: Settings) -> bytes:
    """What stands in for Coder's agent."""
    if image.architecture not in MACHINES:
        pytest.skip(f"there is no agent for {image.architecture} here, only for {', '.join(MACHINES)}")
    return programs.agent(image.architecture, home_of(settings))


@pytest.fixture(scope="session")
def started_workspace(
    can_run: None, engine: Engine, settings: Settings, image: ImageUnderTest, agent: bytes
) -> Iterator[Workspace]:
    """The workspace, started and not yet waited for."""
    stub = CoderStub(MACHINE_NAMES[engine.name], image.architecture, agent)
    started = Workspace(engine, settings, stub, image.architecture)
    try:
        yield started
    finally:
        started.remove()
        stub.close()


@pytest.fixture(scope="session")
def workspace(started_workspace: Workspace, settings: Settings) -> Workspace:
    """The workspace, waited for, whether its agent runs or not."""
    started_workspace.wait(settings.start_seconds)
    if not started_workspace.up:
        started_workspace.keep_logs(settings)
    return started_workspace


@pytest.fixture(scope="session")
def container(workspace: Workspace) -> Workspace:
    """The started workspace, its agent running. Skips where none runs: another check says so."""
    if not workspace.up:
        pytest.skip("no agent runs in it: see D1")
    return workspace


@pytest.fixture(scope="session")
def secure_workspace(
    can_run: None,
    engine: Engine,
    settings: Settings,
    image: ImageUnderTest,
    agent: bytes,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Workspace]:
    """A workspace whose Coder speaks TLS, by an authority that the image's certificate bundles were given beside
    their own; waited for."""
    authority = Authority()
    mounts = _trusting(image, authority, tmp_path_factory.mktemp("bundles"))
    stub = CoderStub(MACHINE_NAMES[engine.name], image.architecture, agent, authority)
    started = Workspace(engine, settings, stub, image.architecture, mounts)
    try:
        started.wait(settings.start_seconds)
        if not started.up:
            started.keep_logs(settings)
        yield started
    finally:
        started.remove()
        stub.close()


def _trusting(image: ImageUnderTest, authority: Authority, folder: Path) -> dict[Path, str]:
    """The image's certificate bundles with AUTHORITY added, each with the place that it is for."""
    folder.chmod(0o755)
    mounts = {}
    for number, (place, text) in enumerate(certificate_bundles(image).items()):
        mounts[folder / f"{number}.crt"] = place
        (folder / f"{number}.crt").write_text(f"{text}\n{authority.certificate}", encoding="utf-8")
    return mounts


@pytest.fixture(scope="session")
def injected(
    container: Workspace, image: ImageUnderTest, settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """The folder inside with programs and scripts that were not made for this image."""
    folder = tmp_path_factory.mktemp("injected")
    made = {
        "glibc": programs.glibc_program(image.architecture),
        "cxx": programs.cxx_program(image.architecture),
        "names": programs.names_program(image.architecture, settings.uid),
        "locale": programs.locale_program(image.architecture),
        **{name: f"{first}\necho ran\n".encode() for name, first in SCRIPTS.items()},
    }
    for name, content in made.items():
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o755)
    container.container.copy_in(folder, INJECTED)
    return INJECTED
