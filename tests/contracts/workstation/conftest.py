"""Workstation images that keep their contract, and images that break one promise of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hubtool.commands.new import new
from hubtool.config import Parameters
from hubtool.contracts import TestReport
from hubtool.engines import Engine, EngineBuild
from tests.contracts.conftest import RunContract

AT_ONCE = 3
ROOT = "USER root\n"
RUN_USER = "USER 1000:1000\n"
# What no check of the contract needs: the images are made of Debian's packages alone.
LESS = {"DESKTOP_PACKAGES": "", "BROWSER": ""}
# The good image made light, since many are made of it and each is exported: without what no check needs, in one layer;
# and PAM, which lets whoever has a wrong password wait for seconds, refuses at once.
LIGHT = """\
FROM {parent} AS whole
USER root
RUN sed -i 's/pam_unix.so nullok/& nodelay/' /etc/pam.d/common-auth \\
 && cd /usr/lib/*-linux-gnu && rm -rf libLLVM* libz3* dri libgs.* libx265* libaom* perl perl5 \\
 && rm -rf /opt/workstation/conf.d \\
 && cd /usr && rm -rf lib/git-core share/perl share/doc share/man share/fonts share/poppler share/i18n share/locale
FROM scratch
COPY --from=whole / /
ENV PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LABEL name={profile} version=1.0
USER chaimeleon:chaimeleon
WORKDIR /home/chaimeleon
{entrypoint}
"""
ENTRYPOINTS = {
    "batch": 'ENTRYPOINT ["/usr/bin/tini", "--", "/opt/workstation/start"]',
    "desktop": 'EXPOSE 2222 5900\nENTRYPOINT ["/opt/workstation/start-desktop"]',
}
Good = Callable[..., str]


@dataclass(frozen=True)
class Broken:
    """An image: what is added to a good one, the checks that shall fail, words of what the first says, and what else
    it is built or tested with."""

    lines: str
    fails: str
    says: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


def as_root(script: str) -> str:
    """Dockerfile lines that run SCRIPT, of one line, as root."""
    return f"{ROOT}RUN {script}\n{RUN_USER}"


def in_script(name: str, line: str, after: str = "^set -e") -> str:
    """Dockerfile lines that put LINE into the script NAME of /opt/workstation, after the line that matches AFTER."""
    quoted = line.replace("\\", "\\\\").replace("'", "'\\''")
    return as_root(f"sed -i '/{after}/a {quoted}' /opt/workstation/{name}")


def replaced(name: str, old: str, new: str) -> str:
    """Dockerfile lines that replace what matches OLD in the file NAME of /opt/workstation; it must be there."""
    file = f"/opt/workstation/{name}"
    return as_root(f"grep -q -e '{old}' {file} && sed -i 's~{old}~{new}~' {file}")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of the template workstation, whose images need nothing of PyPI."""
    root = tmp_path_factory.mktemp("template") / "workstation-images"
    new(root, template="workstation", settings=["ai_tool=none", "desktop=yes"], no_input=True)
    (root / "batch" / "requirements.txt").write_text("")
    return root


@pytest.fixture(scope="session")
def good(engine: Engine, base_image: str, template: Path) -> Good:
    """Builds a good image, by its kind (batch or desktop), for the run user USER; the daemon keeps it."""

    def build(kind: str, user: str = "chaimeleon") -> str:
        if kind == "batch":
            args = {"BASE_IMAGE": base_image, "RUN_USER": user}
        else:
            args = {"BASE_IMAGE": build("batch", user), **LESS}
        tag, labels = f"hubtool-test-{kind}:good-{user}", {"name": kind, "version": "1.0"}
        for _ in engine.build(EngineBuild(tag=tag, context=template / kind, args=args, labels=labels, network="host")):
            pass
        return tag

    return build


@pytest.fixture(scope="session")
def hold(run_contract: RunContract) -> RunContract:
    """Holds an image against the workstation contract."""

    def run(tag: str, profile: str, parameters: Mapping[str, Any] | None = None, **settings: Any) -> TestReport:
        said = {"user": "chaimeleon", "start_seconds": 60, **settings}
        return run_contract(
            tag, contract="workstation", profile=profile, parameters=Parameters(**(parameters or {})), **said
        )

    return run


@dataclass(frozen=True)
class Reports:
    """The reports of many images, which are built and tested a few at a time, from the start on."""

    futures: Mapping[str, Future[TestReport]]

    def every(self) -> list[TestReport]:
        return [future.result() for future in self.futures.values()]

    def of(self, name: str) -> TestReport:
        return self.futures[name].result()


@pytest.fixture(scope="session")
def pool() -> Iterator[ThreadPoolExecutor]:
    """Where images are built and tested."""
    made = ThreadPoolExecutor(AT_ONCE)
    yield made
    made.shutdown(cancel_futures=True)


def report_all(
    request: pytest.FixtureRequest,
    pool: ThreadPoolExecutor,
    profile: str,
    broken: Mapping[str, Broken],
    parent: Callable[[], str],
    **parts: Any,
) -> Reports:
    """Begin to build and test the BROKEN images that tests of REQUEST's session are about, on the one that PARENT
    builds; PARTS are build_image and hold."""
    chosen = {item.callspec.params.get("name") for item in request.session.items if hasattr(item, "callspec")}

    def light() -> str:
        dockerfile = LIGHT.format(parent=parent(), profile=profile, entrypoint=ENTRYPOINTS[profile])
        return str(parts["build_image"](f"{profile}-light", dockerfile, keep=True))

    base = pool.submit(light)

    def make(name: str, one: Broken) -> TestReport:
        safe = "".join(char if char.isalnum() else "-" for char in name.lower())
        tag = parts["build_image"](f"{profile}-{safe}", f"FROM {base.result()}\n{one.lines}")
        report: TestReport = parts["hold"](tag, profile, one.parameters, **{"start_seconds": 40, **one.settings})
        return report

    return Reports({name: pool.submit(make, name, one) for name, one in broken.items() if name in chosen})


def found(report: TestReport) -> tuple[set[str], str]:
    """The checks that failed, and what all of them say."""
    return {result.check for result in report.failed}, "\n".join(result.message for result in report.failed)
