"""Images as files, and for every static check one that breaks it and nothing else; nothing is started."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hubtool.config import Parameters
from hubtool.contracts import NO_ENGINE, Result, Settings
from hubtool.contracts.no_engine import no_engine
from hubtool.contracts.runner import run_checks
from tests.contracts.onyxia.conftest import INIT
from tests.image.archives import old_members, write_tar

AMD64 = b"\x7fELF\x02\x01\x01" + bytes(9) + (2).to_bytes(2, "little") + (62).to_bytes(2, "little") + bytes(44)
ARM64 = AMD64[:18] + (183).to_bytes(2, "little") + AMD64[20:]


@dataclass(frozen=True)
class File:
    content: bytes = b""
    mode: int = 0o755
    owner: tuple[int, int] = (0, 0)
    folder: bool = False


def folder(mode: int = 0o750, uid: int = 1000, gid: int = 100) -> File:
    return File(mode=mode, owner=(uid, gid), folder=True)


def text(content: str) -> File:
    return File(content.encode(), 0o644)


TOOLS = ("bash", "curl", "env", "git", "jq", "sha256sum")
FILES: Mapping[str, File] = {
    "bin/sh": File(AMD64),
    **{f"usr/bin/{tool}": File(AMD64) for tool in TOOLS},
    "usr/bin/code-server": File(b"#!/usr/bin/env node\n"),
    "opt/onyxia-init.sh": File(INIT.read_bytes()),
    "etc/passwd": text("root:x:0:0::/root:/bin/sh\nonyxia:x:1000:100::/home/onyxia:/bin/bash\n"),
    "etc/group": text("users:x:100:\n"),
    "home/onyxia": folder(),
    "home/onyxia/.config": folder(),
    "home/onyxia/work": folder(),
}
CONFIG: Mapping[str, Any] = {
    "User": "onyxia",
    "WorkingDir": "/home/onyxia/work",
    "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "HOME=/home/onyxia"],
    "ExposedPorts": {"8080/tcp": {}},
    "Entrypoint": ["/opt/onyxia-init.sh"],
    "Cmd": ["/usr/bin/code-server", "--host", "0.0.0.0", "/home/onyxia/work"],
}


@dataclass(frozen=True)
class Broken:
    """What is other than in the good image (None: not there), the check that shall fail, and words of what it says."""

    fails: str
    says: str
    files: Mapping[str, File | None] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    profile: str = "code-server"
    parameters: Mapping[str, Any] = field(default_factory=dict)


def script(content: str, mode: int = 0o755) -> Mapping[str, File]:
    return {"opt/onyxia-init.sh": File(content.encode(), mode)}


def variables(*more: str) -> Mapping[str, Any]:
    return {"Env": [*CONFIG["Env"], *more]}


BROKEN = {
    "no shell": Broken("S1", "not there: /bin/sh", {"bin/sh": None}),
    "no bash": Broken("S1", "not there: bash on PATH", {"usr/bin/bash": None}),
    "no init script": Broken("S2", "there is no /opt/onyxia-init.sh", {"opt/onyxia-init.sh": None}),
    "empty init script": Broken("S2", "/opt/onyxia-init.sh is empty", script("")),
    "folder for an init script": Broken("S2", "is a folder", {"opt/onyxia-init.sh": folder()}),
    "init script that may not be run": Broken("S2", "mode 644: uid 1000 may not", script('exec "$@"\n', 0o644)),
    "init script for root alone": Broken("S2", "mode 700: uid 1000 may not", script('exec "$@"\n', 0o700)),
    "init script without exec": Broken("S2", 'does not end with exec "$@"', script('#!/bin/bash\n"$@"\n')),
    "root": Broken("S3", "it runs as uid 0 (USER 'root')", config={"User": "root"}),
    "user that is not there": Broken("S3", "/etc/passwd does not hold", config={"User": "ada"}),
    "rstudio that is not root": Broken(
        "S3", "expected 0", {"init": File(AMD64)}, {"ExposedPorts": {"8787/tcp": {}}}, "rstudio"
    ),
    "other uid": Broken(
        "S4",
        "onyxia has uid 1001, expected 1000",
        {"etc/passwd": text("onyxia:x:1001:100::/home/onyxia:/bin/sh\nsomeone:x:1000:100::/:/bin/sh\n")},
        {"User": "1000"},
    ),
    "not in the volume's group": Broken(
        "S4",
        "in the groups 27, 1000, not in 100",
        {
            "etc/passwd": text("onyxia:x:1000:1000::/home/onyxia:/bin/sh\n"),
            "etc/group": text("sudo:x:27:ada,onyxia\n"),
        },
    ),
    "workspace of root": Broken(
        "S5",
        "work belongs to 0:0, mode 755: uid 1000 can't write there",
        {"home/onyxia/work": folder(0o755, 0, 0)},
    ),
    "home for everybody": Broken("S5", "everybody can write there", {"home/onyxia": folder(0o777)}),
    "working directory elsewhere": Broken("S5", "WORKDIR is /home/onyxia", config={"WorkingDir": "/home/onyxia"}),
    "environment in the workspace": Broken(
        "S6", "/home/onyxia/work/venv/pyvenv.cfg", {"home/onyxia/work/venv/pyvenv.cfg": text("home = /usr")}
    ),
    "settings folder of root": Broken("S7", ".config belongs to uid 0", {"home/onyxia/.config": folder(0o755, 0, 0)}),
    "no settings folder": Broken("S7", "there is no folder /home/onyxia/.config", {"home/onyxia/.config": None}),
    "code-server in /usr/local/bin": Broken(
        "S8",
        "no program /usr/bin/code-server",
        {"usr/bin/code-server": None, "usr/local/bin/code-server": File(AMD64)},
    ),
    "jupyter that is not on PATH": Broken(
        "S8",
        "no program jupyter in PATH=/usr/local/bin",
        {"opt/python/bin/jupyter": File(AMD64)},
        {"ExposedPorts": {"8888/tcp": {}}},
        "jupyter",
    ),
    "no locale": Broken("S9", "neither LANG nor LC_ALL", config={"Env": CONFIG["Env"][:1]}),
    "locale of ASCII": Broken("S9", "the locale is POSIX", config=variables("LC_ALL=POSIX")),
    "other home": Broken("S9", "HOME is /root", config=variables("HOME=/root")),
    "variable of the init script that is not set": Broken(
        "S9", "WORKSPACE_DIR is not set", script('cd "$WORKSPACE_DIR"\nexec "$@"\n')
    ),
    "tool of the init script that is not there": Broken("S10", "not there: jq", {"usr/bin/jq": None}),
    "other port": Broken("S11", "EXPOSE names 8443/tcp, not 8080", config={"ExposedPorts": {"8443/tcp": {}}}),
    "another machine's node": Broken("S12", "node is for arm64", {"usr/lib/code-server/lib/node": File(ARM64)}),
    "program that the site wants": Broken("S13", "not there: kubectl", parameters={"programs": ["git", "kubectl"]}),
    "variable in the command": Broken(
        "S14", "Cmd has ${WORKSPACE_DIR}", config={"Cmd": ["/usr/bin/code-server", "${WORKSPACE_DIR}"]}
    ),
}


def layer(files: Mapping[str, File]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, file in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.type = tarfile.DIRTYPE if file.folder else tarfile.REGTYPE
            member.mode, (member.uid, member.gid) = file.mode, file.owner
            member.size = 0 if file.folder else len(file.content)
            tar.addfile(member, io.BytesIO(file.content))
    return stream.getvalue()


def judge(path: Path, broken: Broken) -> list[Result]:
    """What the contract says of an image that is a file."""
    files = {name: file for name, file in {**FILES, **broken.files}.items() if file is not None}
    config = {**CONFIG, **broken.config}
    archive = write_tar(path / "image.tar", old_members([layer(files)], config=config))
    settings = Settings(
        engine=NO_ENGINE,
        image="",
        name="image",
        contract="onyxia",
        log_folder=str(path),
        profile=broken.profile,
        parameters=Parameters(**broken.parameters),
        user="onyxia",
        archive=str(archive),
    )
    return list(run_checks(no_engine(), settings, lambda _: None)[0])


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[Result]]:
    """What the contract says of each image."""
    cases = {"good": Broken("", "", parameters={"programs": ["git", "/bin/sh"]}), **BROKEN}
    with ThreadPoolExecutor(4) as pool:
        found = {name: pool.submit(judge, tmp_path_factory.mktemp("image"), case) for name, case in cases.items()}
        return {name: future.result() for name, future in found.items()}


def test_a_good_image_keeps_every_static_promise(results: Mapping[str, list[Result]]) -> None:
    static = {f"S{number}" for number in range(1, 15)}
    assert {result.check for result in results["good"] if result.outcome == "passed"} == static
    assert not [result for result in results["good"] if result.outcome == "failed"]


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_image_fails_its_one_check(name: str, results: Mapping[str, list[Result]]) -> None:
    (failed,) = [result for result in results[name] if result.outcome == "failed"]
    assert failed.check == BROKEN[name].fails
    assert BROKEN[name].says in failed.message
    assert failed.mend


def test_what_needs_a_started_image_says_why_it_was_not_tested(results: Mapping[str, list[Result]]) -> None:
    skipped = [result for result in results["good"] if result.outcome == "skipped"]
    assert len(skipped) > 20
    assert {result.message[:32] for result in skipped} == {"no container can be started here"}
