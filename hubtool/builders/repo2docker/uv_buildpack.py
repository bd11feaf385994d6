"""The uv build pack: a repository with uv.lock, or with requirements.txt where hubtool.yaml says
``environment: uv``, as one virtual environment at ${APP_BASE}/venv that belongs to the run user."""

from __future__ import annotations

import os
import re
import shlex
import sys
import tempfile
import tomllib
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from repo2docker.buildpacks import BaseImage
from repo2docker.utils import get_platform, is_local_pip_requirement

from hubtool.process import run

HERE = Path(__file__).parent
# What uv prints for a lock that does not fit; the second where it may not ask an index to make a new one.
LOCK_IS_OLD = (
    "The lockfile at `uv.lock` needs to be updated",
    "Packages were unavailable because the network was disabled",
)
TARGETS = {"linux/amd64": "x86_64-unknown-linux-gnu", "linux/arm64": "aarch64-unknown-linux-gnu"}
# uv's own names of Python requests (docs.astral.sh/uv/concepts/python-versions).
_PYTHON = re.compile(r"[A-Za-z0-9.@+_<>=!~,* -]+\Z")
_NO_TRACES = "--no-cache --link-mode copy --compile-bytecode"
_LINE = " && \\\n                "


class UvBuildPack(BaseImage):  # type: ignore[misc]
    """Packages from uv.lock: exactly those, checked by hash, compiled to bytecode."""

    requirements_too = False
    setting: Any = None

    def detect(self) -> bool:
        """uv.lock beside pyproject.toml; with ``requirements_too`` also requirements.txt."""
        if os.path.exists(self.binder_path("uv.lock")):
            if not os.path.exists(self.binder_path("pyproject.toml")):
                raise RuntimeError("uv.lock is there, but no pyproject.toml beside it")
            return True
        if not self.requirements_too:
            return False
        if os.path.exists(self.binder_path("requirements.txt")):
            return True
        if os.path.exists(self.binder_path("pyproject.toml")):
            raise RuntimeError("environment: uv needs a uv.lock: run `uv lock` and commit it")
        raise RuntimeError("environment: uv needs a uv.lock with pyproject.toml, or a requirements.txt")

    # What the files say

    @property
    def _locked(self) -> bool:
        return os.path.exists(self.binder_path("uv.lock"))

    @property
    def _mirror(self) -> bool:
        return bool(self.setting and self.setting.site.site.pip_index)

    @lru_cache  # noqa: B019 - as repo2docker's own build packs: one instance for one build
    def _toml(self, name: str) -> dict[str, Any]:
        path = self.binder_path(name)
        if not os.path.exists(path):
            return {}
        try:
            return tomllib.loads(Path(path).read_text())
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    def _local_packages(self) -> list[str]:
        """Sources in uv.lock that are files of the repository, the project itself (``.``) included."""
        sources = [package.get("source", {}) for package in self._toml("uv.lock").get("package", [])]
        return [str(s[kind]) for s in sources for kind in ("editable", "directory", "path") if kind in s]

    def _needs_repository(self) -> bool:
        """Whether packages can only be installed once the repository's files are there."""
        if self._locked:
            dynamic = self._toml("pyproject.toml").get("project", {}).get("dynamic", [])
            return any(source != "." for source in self._local_packages()) or set(dynamic) - {"version"} != set()
        return any(is_local_pip_requirement(line) for line in self._requirements())

    def _requirements(self) -> list[str]:
        return Path(self.binder_path("requirements.txt")).read_text().splitlines()

    @property
    def python_request(self) -> str:
        """The Python to use, as uv names it: .python-version, else runtime.txt, else requires-python."""
        wanted = ">=3.9"
        pinned = Path(self.binder_path(".python-version"))
        name, release, _ = self.runtime
        required = self._toml("pyproject.toml").get("project", {}).get("requires-python")
        if pinned.is_file():
            lines = [line.strip() for line in pinned.read_text().splitlines()]
            wanted = next((line for line in lines if line and not line.startswith("#")), wanted)
        elif name == "python" and release:
            wanted = release
        elif required:
            wanted = str(required)
        if not _PYTHON.match(wanted):
            raise ValueError(f"not a version of Python: {wanted!r}")
        return wanted

    # What repo2docker asks

    @lru_cache  # noqa: B019
    def get_build_env(self) -> list[tuple[str, str]]:
        return [
            *super().get_build_env(),
            ("VIRTUAL_ENV", "${APP_BASE}/venv"),
            ("NB_PYTHON_PREFIX", "${VIRTUAL_ENV}"),
            ("KERNEL_PYTHON_PREFIX", "${VIRTUAL_ENV}"),
            ("UV_PROJECT_ENVIRONMENT", "${VIRTUAL_ENV}"),
            ("UV_PYTHON_INSTALL_DIR", "${APP_BASE}/python"),
        ]

    @lru_cache  # noqa: B019
    def get_path(self) -> list[str]:
        return ["${VIRTUAL_ENV}/bin", *super().get_path()]

    @lru_cache  # noqa: B019
    def get_build_script_files(self) -> dict[str, str]:
        return {
            str(self._uv()): "/usr/local/bin/uv",
            str(HERE / "activate-venv.sh"): "/etc/profile.d/activate-venv.sh",
            **super().get_build_script_files(),
        }

    def _uv(self) -> Path:
        """A uv program for the image's platform: this machine's own where it fits, else from the package index."""
        import uv

        if sys.platform == "linux" and self.platform == get_platform():
            return Path(uv.find_uv_bin())
        scratch = self.setting.scratch if self.setting else Path(tempfile.mkdtemp(prefix="hubtool-uv-"))
        words = ["--target", scratch / "uv", "--python-platform", TARGETS[self.platform], "--python-version", "3.11"]
        index = {"UV_DEFAULT_INDEX": self.setting.site.site.pip_index} if self._mirror else None
        wheel = f"uv=={version('uv')}"
        run(uv.find_uv_bin(), "pip", "install", *words, "--only-binary", ":all:", "--no-deps", wheel, env=index)
        return Path(scratch) / "uv" / "bin" / "uv"

    @lru_cache  # noqa: B019
    def get_build_scripts(self) -> list[tuple[str, str]]:
        folders = "install -d -o ${NB_USER} -g ${NB_USER} ${VIRTUAL_ENV} ${UV_PYTHON_INSTALL_DIR}"
        # The base image's own Python where it fits, else one that uv installs; --seed gives students pip.
        request = shlex.quote(self.python_request)
        venv = f"uv venv --no-cache --seed --python {request} --python-preference system ${{VIRTUAL_ENV}}"
        return [*super().get_build_scripts(), ("root", folders), ("${NB_USER}", venv)]

    @lru_cache  # noqa: B019
    def get_preassemble_script_files(self) -> dict[str, str]:
        files: dict[str, str] = dict(super().get_preassemble_script_files())
        names = ("pyproject.toml", "uv.lock", ".python-version") if self._locked else ("requirements.txt",)
        for path in [self.binder_path(name) for name in names] if not self._needs_repository() else []:
            if os.path.exists(path):
                files[path] = path
        return files

    @lru_cache  # noqa: B019
    def get_preassemble_scripts(self) -> list[tuple[str, str]]:
        scripts = list(super().get_preassemble_scripts())
        return scripts if self._needs_repository() else [*scripts, ("${NB_USER}", self._install())]

    @lru_cache  # noqa: B019
    def get_assemble_scripts(self) -> list[tuple[str, str]]:
        scripts = list(super().get_assemble_scripts())
        if self._needs_repository():
            scripts.append(("${NB_USER}", self._install()))
        if self._locked and self._local_packages():
            scripts.append(("${NB_USER}", self._install_project()))
        return scripts

    # The steps

    def _install(self) -> str:
        if not self._locked:
            return self._install_requirements()
        if self._mirror:
            return self._install_from_mirror()
        return f"{self._sync()} --no-install-workspace"

    def _sync(self) -> str:
        words = f"uv sync --locked --no-dev --no-editable {_NO_TRACES} --no-python-downloads"
        return f"{words} --project {shlex.quote(self.binder_dir or '.')}"

    def _install_from_mirror(self) -> str:
        """uv.lock names the index it was made with, and `uv sync` would ask that one: so by way of a list of
        versions and hashes."""
        project = shlex.quote(self.binder_dir or ".")
        git = any("git" in package.get("source", {}) for package in self._toml("uv.lock").get("package", []))
        export = (
            "env -u UV_DEFAULT_INDEX uv export --quiet --no-cache --no-header --no-dev --no-emit-workspace "
            f"--format requirements-txt {'--frozen' if git else '--locked --offline'} --no-python-downloads "
            f"--project {project} --output-file /tmp/uv-lock.txt > /dev/null"
        )
        return _LINE.join([export, self._pip_sync("/tmp/uv-lock.txt", hashes=not git), "rm /tmp/uv-lock.txt"])

    def _install_project(self) -> str:
        """The repository's own packages, without what they depend on: that is there already."""
        if not self._mirror:
            return self._sync()
        project = shlex.quote(f"./{self.binder_dir}" if self.binder_dir else ".")
        return f"uv pip install --no-config --no-deps {_NO_TRACES} {project}"

    def _install_requirements(self) -> str:
        path = shlex.quote(self.binder_path("requirements.txt"))
        lines = self._requirements()
        if any("--hash=" in line for line in lines):
            return self._pip_sync(path, hashes=True)
        self.log.info("requirements.txt has no hashes: the build locks it, to /srv/venv/requirements.lock\n")
        compiled = "${VIRTUAL_ENV}/requirements.lock"
        lock = f"uv pip compile --quiet --no-cache --generate-hashes {path} --output-file {compiled} > /dev/null"
        return _LINE.join([lock, self._pip_sync(compiled, hashes=not any(_has_no_hash(line) for line in lines))])

    def _pip_sync(self, path: str, *, hashes: bool) -> str:
        config = "--no-config " if self._mirror else ""
        return f"uv pip sync {config}{'--require-hashes ' if hashes else ''}{_NO_TRACES} {path}"


def _has_no_hash(line: str) -> bool:
    """Whether a requirement is a folder or a version-control URL, which no hash can be given for."""
    text = line.partition(" #")[0].strip()
    return text.startswith(("-e", "--editable", ".", "/", "file:")) or "git+" in text or " @ file:" in text


def requirements_pack() -> type[UvBuildPack]:
    """The build pack that also takes requirements.txt."""
    return type("UvBuildPack", (UvBuildPack,), {"requirements_too": True})
