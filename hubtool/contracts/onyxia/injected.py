"""The image started with the variables that Onyxia and its regions inject: all of them at once, a personal access
token, and hostile values in each way."""

from __future__ import annotations

import hashlib
import re
import secrets
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path

import certifi
import pytest

from hubtool.contracts.onyxia import hostile
from hubtool.contracts.onyxia.ide import Platform
from hubtool.contracts.onyxia.processes import Process, process
from hubtool.contracts.onyxia.region import BRANCH, PROJECT, RAN, Region, Site
from hubtool.contracts.onyxia.service import Service
from hubtool.contracts.started import Started
from hubtool.engines import MACHINE_NAMES, ContainerSpec, Engine
from hubtool.process import Completed

CA_FOLDER = "/run/hubtool-ca"
CA_BUNDLE = f"{CA_FOLDER}/bundle.crt"
READY = "hubtool-ready"
ENDED = 7  # what the program ends with that is started to say its exit code
SECONDS = 30.0
# Characters that sed, shells and URLs each make something else of.
AWKWARD_PAT = "glpat/a&b+c=%41:@#d?"
# In place of the IDE: says who and where it is, then waits. For a kubelet $$ is a dollar sign.
WAITS = f"/bin/sh -c 'echo {READY} $$$$ $$(id -u); exec sleep 3600'"

# What a user does next: a terminal, git asking for a password, R. Then what has run.
NEXT = """for run in 'bash -ic :' 'bash -lc :' 'Rscript -e 1'; do timeout 20 $run </dev/null >/dev/null 2>&1; done
printf 'protocol=https\\nhost=git.invalid\\n\\n' | GIT_TERMINAL_PROMPT=0 timeout 20 git credential fill >/dev/null 2>&1
ls -a /tmp"""
NEXT_SECONDS = 120.0


def _ends(workspace: str) -> str:
    """In place of the IDE: tries to write into the workspace, says so, and ends with ENDED."""
    tried = f"touch {workspace}/.hubtool && rm {workspace}/.hubtool && echo {READY} can-write"
    return f"/bin/sh -c '{tried}; id; exit {ENDED}'"


class Stand(Started):
    """A container that the chart's init script started, with a program of ours in place of the IDE. ``at`` are the
    program's pid and uid, as it says them after READY."""

    at = (0, 0)

    def __init__(self, engine: Engine, platform: Platform, spec: ContainerSpec) -> None:
        self.platform = platform
        super().__init__(engine, spec)

    def wait(self) -> Stand:
        """Wait until our program runs, as wait_until_up does; keep the logs where it does not."""
        if self.up and not self.seconds:
            self.wait_until_up(self.platform.settings.start_seconds, self._ask)
            if not self.up:
                self.keep_logs(self.platform.settings)
        return self

    def _ask(self) -> str:
        # Not at a line's start: what ran before may have printed half a line.
        found = re.search(rf"{READY} (\d+) (\d+)$", self.logs(), re.M)
        self.at = (int(found[1]), int(found[2])) if found else (0, 0)
        return "" if found else "the init script has not started the program"

    def wait_for_end(self) -> int | None:
        """The code that the container ends with; None where it does not end in time."""

        def ended() -> str:
            return "" if self.container.exit_code() is not None else "it has not ended"

        if self.up:
            self.wait_until_up(self.platform.settings.start_seconds, ended)
        return self.container.exit_code() if self._container is not None else None

    @cached_property
    def process(self) -> Process | None:
        return process(self.container, *self.at)

    def run(self, *argv: str, seconds: float = SECONDS) -> Completed:
        """Run a program as the user of our program, with its variables."""
        at = self.process
        if at is None:
            pytest.skip("the variables of the started program can't be told")
        user = f"{at.uid}:{at.gid}"
        return self.container.exec(argv, user=user, environment=at.environment, timeout=seconds)


class Injected:
    """The starts with variables. Each begins at once; ``wait`` for the one that is asked.

    ``configured`` is the IDE with every variable set, ``site`` what it was served; ``token`` clones with a plain
    personal access token; ``hostile`` has a container for each way, ``ended`` one that shall end with ENDED.
    """

    def __init__(self, engine: Engine, platform: Platform, stack: ExitStack) -> None:
        self._engine, self._platform, self._stack = engine, platform, stack
        self._ran: dict[str, list[str]] = {}
        self.region = Region(MACHINE_NAMES.get(engine.name, "127.0.0.1"))
        stack.callback(self.region.close)
        self.site = Site({"HUBTOOL_SECRET": f"secret of {secrets.token_hex(4)}", "HUBTOOL_OTHER": "another"})
        address = self.region.add(self.site)
        self.variables = configured(self.site, address)
        self.configured = self._service()
        self.ended = self._stand(platform.chart(_ends(platform.workspace), ports=False))
        self.token_site = Site({}, pat=secrets.token_hex(10))
        self.token = self._stand(self._waiting(self._with_token()))
        self.sites = {way: Site(hostile.hostile_secrets(), pat=AWKWARD_PAT) for way in hostile.WAYS}
        self.hostile = {way: self._stand(self._waiting(self._hostile(way))) for way in hostile.WAYS}

    def _service(self) -> Service:
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="hubtool-ca-")))
        folder.chmod(0o755)
        (folder / "bundle.crt").write_bytes(Path(certifi.where()).read_bytes())
        command, volumes = self._platform.command_in_repository, {str(folder): (CA_FOLDER, "ro")}
        service = Service(self._engine, self._platform, self._platform.chart(command, self.variables, volumes=volumes))
        self._stack.callback(service.remove)
        return service

    def _stand(self, spec: ContainerSpec) -> Stand:
        stand = Stand(self._engine, self._platform, spec)
        self._stack.callback(stand.remove)
        return stand

    def _waiting(self, variables: Mapping[str, str]) -> ContainerSpec:
        return self._platform.chart(WAITS, variables, ports=False)

    def _with_token(self) -> dict[str, str]:
        """A token for a private repository, and a region's script with another one's checksum."""
        address = self.region.add(self.token_site)
        changed = {"REGION_INIT_SCRIPT": f"{address}/region.sh", "REGION_INIT_SCRIPT_CHECKSUM": "0" * 64}
        return private(self.token_site, address) | changed

    @cached_property
    def checksum_holds(self) -> bool:
        """Whether a region's script with a wrong checksum was not run."""
        return self.token.wait().up and self.token.run("cat", left("region", self.token_site)).returncode != 0

    def ran(self, way: str) -> list[str]:
        """The variables whose hostile values were run in the container of WAY, which is up: until the IDE would have
        started, and by what a user does next."""
        if way not in self._ran:
            names = self.hostile[way].run("sh", "-c", NEXT, seconds=NEXT_SECONDS).stdout.splitlines()
            mark = hostile.MARK.removeprefix("/tmp/")
            self._ran[way] = [name.removeprefix(mark) for name in names if name.startswith(mark)]
        return self._ran[way]

    def _hostile(self, way: str) -> dict[str, str]:
        """Hostile values in this WAY. What something hostile is fetched from, or given to, must be right itself: the
        Vault and the user's script in two ways, the git repository in one."""
        site = self.sites[way]
        address = self.region.add(site)
        found = hostile.values(way) | {"VAULT_ADDR": address}
        if way != "quotes":
            found |= vault(site, address) | {"PERSONAL_INIT_SCRIPT": f"{address}/personal.sh"}
        return found | (private(site, address) if way == "lines" else {})

    @cached_property
    def reaches_us(self) -> bool:
        """Whether containers here reach this machine; bash tells, with no other tool."""
        asked = any(site.asked for site in (self.site, self.token_site, *self.sites.values()))
        return asked or self._connects()

    def _connects(self) -> bool:
        line = f"exec 3<>/dev/tcp/{self.region.machine}/{self.region.port}"
        stands = [self.token, *self.hostile.values()]
        running = next((stand for stand in stands if stand.wait().up), None)
        return running is not None and running.run("timeout", "5", "bash", "-c", line).returncode == 0


def vault(site: Site, address: str) -> dict[str, str]:
    """The variables that lead to SITE's Vault at ADDRESS."""
    _, mount, _, top, *path = site.secret_path.split("/")
    return {
        "VAULT_ADDR": address,
        "VAULT_TOKEN": site.vault_token,
        "VAULT_MOUNT": mount,
        "VAULT_TOP_DIR": top,
        "VAULT_RELATIVE_PATH": "/".join(path),
    }


def private(site: Site, address: str) -> dict[str, str]:
    """The variables that clone SITE's private repository."""
    return {"GIT_REPOSITORY": f"{address}/private/{PROJECT}.git", "GIT_PERSONAL_ACCESS_TOKEN": site.pat}


def configured(site: Site, address: str) -> dict[str, str]:
    """Every variable that Onyxia or a region may inject, in values that don't disturb each other."""
    key = site.key
    return {
        "PIP_REPOSITORY": f"https://pip-{key}.invalid/simple",
        "CONDA_REPOSITORY": f"https://conda-{key}.invalid/main",
        "R_REPOSITORY": f"https://cran-{key}.invalid/cran",
        "PATH_TO_CA_BUNDLE": CA_BUNDLE,
        "GIT_REPOSITORY": f"{address}/open/{PROJECT}.git",
        "GIT_BRANCH": BRANCH,
        "GIT_USER_NAME": f"Ada of {key}",
        "GIT_USER_MAIL": f"ada@{key}.invalid",
        "GIT_CREDENTIALS_CACHE_DURATION": "3600",
        "AWS_ACCESS_KEY_ID": f"AK{key}".upper(),
        "AWS_SECRET_ACCESS_KEY": f"secret{key}",
        "AWS_SESSION_TOKEN": f"session{key}",
        "AWS_DEFAULT_REGION": "eu-test-1",
        "AWS_S3_ENDPOINT": f"s3-{key}.invalid",
        "AWS_ENDPOINT_URL": f"https://s3-{key}.invalid",
        "S3_ENDPOINT": f"s3-{key}.invalid",
        "AWS_PATH_STYLE_ACCESS": "true",
        "AWS_WORKING_DIRECTORY_PATH": "user-ada/",
        "DARK_MODE": "true",
        "REGION_INIT_SCRIPT": f"{address}/region.sh",
        "REGION_INIT_SCRIPT_CHECKSUM": hashlib.sha256(site.script("region")).hexdigest(),
        "PERSONAL_INIT_SCRIPT": f"{address}/personal.sh",
        "PERSONAL_INIT_ARGS": "first second",
        **vault(site, address),
    }


def left(kind: str, site: Site) -> str:
    """The file that the script KIND of SITE leaves inside a container."""
    return f"{RAN}{kind}-{site.key}"
