"""The buildah engine: builds and runs with no daemon, in chroot isolation where containers can't be nested."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from hubtool.engines import Container, ContainerSpec, EngineBuild, EngineImage, failures
from hubtool.engines.buildah_container import BuildahContainer, another_build_runs, end_leftover
from hubtool.engines.leftovers import LABEL, RUN_ID, keep
from hubtool.errors import HubtoolError
from hubtool.process import ProcessError, run, stream, which

if sys.version_info >= (3, 12):
    import tarfile
else:
    from backports import tarfile

LOCAL = "localhost/"
CACHE_REFUSED = "Error: failed pushing cache to "


class BuildahEngine:
    """buildah on PATH, with the storage driver that works: the configured one, else vfs."""

    name = "buildah"
    bounded_cache = False  # a tag for each step that ever was; 1.28 (Debian 12) does not even use them

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._builds = 0  # that run now
        self._before: set[str] = set()  # the working containers there when the first of them began
        self._left = False

    @cached_property
    def _program(self) -> tuple[str | Path, ...]:
        path = which("buildah")
        if path is None:
            raise HubtoolError("buildah is not installed", hint="Debian, Ubuntu: apt-get install buildah")
        reasons = []
        for driver in ([], ["--storage-driver", "vfs"]):
            told = run(path, *driver, "info", check=False, timeout=60)
            if told.returncode == 0:
                return (path, *driver)
            reasons.append(told.stderr.strip())
        raise HubtoolError(
            f"buildah does not work here: {reasons[0]}",
            hint="run as root, or set up user namespaces for this user: see `man buildah`, Rootless",
        )

    @cached_property
    def isolation(self) -> str:
        """oci where an OCI runtime may start containers here, else chroot; $BUILDAH_ISOLATION wins."""
        return os.environ.get("BUILDAH_ISOLATION") or ("oci" if self._nests() else "chroot")

    def _nests(self) -> bool:
        # A runtime that works gets as far as missing the program; one that doesn't fails before, at cgroups or mounts.
        name = f"hubtool-{RUN_ID}-probe-{uuid.uuid4().hex[:6]}"
        if run(*self._program, "from", "--name", name, "scratch", check=False).returncode != 0:
            return False
        try:
            told = run(*self._program, "run", "--isolation", "oci", name, "--", "/probe", check=False, timeout=60)
        finally:
            run(*self._program, "rm", name, check=False)
        return "/probe" in told.stderr and any(
            text in told.stderr for text in ("no such file or directory", "not found in $PATH")
        )

    def check(self) -> str:
        """Version and manner of the engine; raises HubtoolError with a hint where unusable."""
        version = run(*self._program, "--version").stdout.split()
        driver = json.loads(run(*self._program, "info").stdout)["store"]["GraphDriverName"]
        return f"buildah {version[2]}, {self.isolation} isolation, storage driver {driver}"

    def build(self, build: EngineBuild) -> Iterator[str]:
        """Build, yielding output lines as they come. The tag names the image only if all went well."""
        with _folder(build.context) as context, self._working_removed():
            try:
                yield from self._build(build, context)
            except ProcessError as error:
                raise failures.explain(error, prune="buildah rmi --prune") from error

    def _build(self, build: EngineBuild, context: Path) -> Iterator[str]:
        """Build; where only the build cache could not be written, without it."""
        words = [*self._program, *build_arguments(build, context, self.isolation)]
        try:
            yield from stream(*words, env={"BUILDAH_ISOLATION": self.isolation})
        except ProcessError as error:
            if CACHE_REFUSED not in error.output:
                raise
            self._left = True
            yield f"build cache not written: {failures.last_lines(error.output)}"
            yield from self._build(replace(build, cache=None, cache_write=False), context)

    def _containers(self) -> set[str]:
        listed = json.loads(run(*self._program, "containers", "--json").stdout or "[]") or []
        return {str(container["containername"]) for container in listed}

    def _working(self) -> set[str]:
        return {name for name in self._containers() if re.search(r"(^|-)working-container(-\d+)?$", name)}

    @contextmanager
    def _working_removed(self) -> Iterator[None]:
        """Remove the working containers that failed or interrupted builds left, when the last of those at once ends.
        Their names don't tell whose they are, so while anyone else builds in the same storage they stay."""
        with self._lock:
            self._before = self._before if self._builds else self._working()
            self._builds += 1
        try:
            yield
        except BaseException:
            self._left = True
            raise
        finally:
            with self._lock:
                self._builds -= 1
                if self._left and not self._builds:
                    self._left = False
                    for name in self._working() - self._before if not another_build_runs() else ():
                        run(*self._program, "rm", name, check=False)

    def inspect(self, image: str) -> EngineImage | None:
        """The image by tag or id; None where the engine has none. ``size`` is the sum of its layers as stored."""
        told = run(*self._program, "inspect", "--type", "image", image.removeprefix("sha256:"), check=False)
        if told.returncode != 0:
            return None
        data = json.loads(told.stdout)
        layers = json.loads(data["Manifest"]).get("layers", [])
        config: Mapping[str, Any] = json.loads(data["Config"] or "{}").get("config") or data["OCIv1"]["config"]
        name, digest = str(data.get("FromImage") or ""), str(data.get("FromImageDigest") or "")
        known = name and digest and not name.startswith(LOCAL)
        return EngineImage(
            f"sha256:{data['FromImageID']}",
            config,
            data["OCIv1"]["architecture"],
            sum(layer["size"] for layer in layers),
            (f"{name.rpartition(':')[0]}@{digest}",) if known else (),
        )

    def registry_digest(self, image: str) -> str | None:
        """The digest that IMAGE's registry gives for it, by pulling it; None where it can't be had."""
        if run(*self._program, "pull", "--quiet", image, check=False).returncode != 0:
            return None
        found = self.inspect(image)
        return found.digests[0].partition("@")[2] if found and found.digests else None

    def can_run(self) -> str | None:
        """None where it can start containers, else why it can't."""
        try:
            self.check()
        except HubtoolError as error:
            return error.message
        return None

    def run(self, spec: ContainerSpec) -> Container:
        """Start a container and return at once. It is removed when the program ends, if not before."""
        image = self.inspect(spec.image)
        if image is None:
            raise HubtoolError(f"buildah has no image {spec.image}", hint="build it first: hubtool build")
        name = f"hubtool-{spec.labels.get(LABEL, RUN_ID)}-{uuid.uuid4().hex[:8]}"
        run(*self._program, "from", "--pull-never", "--name", name, image.id.removeprefix("sha256:"))
        container = BuildahContainer(self._program, name, spec, self.isolation)
        keep(container)
        try:
            container.start(_argv(spec, image.config))
        except BaseException:
            container.remove()
            raise
        return container

    def clean(self, run_id: str) -> int:
        """Remove every container of the run RUN_ID, and end what still runs in it; returns how many."""
        names = [name for name in self._containers() if name.startswith(f"hubtool-{run_id}-")]
        for name in names:
            end_leftover(name)
            run(*self._program, "rm", name, check=False)
        return len(names)

    def export(self, image: str, target: Path) -> None:
        """Write the image as a docker archive to the file TARGET: whole, or not at all."""
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        part.unlink(missing_ok=True)
        reference = "" if image.startswith("sha256:") else f":{image}"
        try:
            run(*self._program, "push", "--quiet", image.removeprefix("sha256:"), f"docker-archive:{part}{reference}")
            part.replace(target)
        except ProcessError as error:
            raise failures.explain(error, prune="buildah rmi --prune", what=f"buildah push {image}") from error
        finally:
            part.unlink(missing_ok=True)

    def load(self, archive: Path) -> str:
        """Load a docker archive; returns the image's id."""
        told = run(*self._program, "pull", "--quiet", f"docker-archive:{archive}")
        return f"sha256:{told.stdout.split()[-1]}"

    def tag(self, image: str, reference: str) -> None:
        run(*self._program, "tag", image.removeprefix("sha256:"), reference)

    def remove_image(self, image: str) -> None:
        """Remove a tag or image; one that is not there is no error."""
        if self.inspect(image) is not None:
            run(*self._program, "rmi", image.removeprefix("sha256:"))


def build_arguments(build: EngineBuild, context: Path, isolation: str) -> list[str]:
    """The arguments after the program's name that run BUILD on the folder CONTEXT."""
    words = ["bud", "--layers", "--format", "docker", "--isolation", isolation]
    words += ["--tag", build.tag, "--file", str(context / build.dockerfile)]
    for key, value in build.args.items():
        words += ["--build-arg", f"{key}={value}"]
    for key, value in build.labels.items():
        words += ["--label", f"{key}={value}"]
    words += ["--platform", build.platform] if build.platform else []
    network = "host" if isolation == "chroot" else build.network
    words += ["--network", network] if network else []
    if build.cache:
        repository = _repository(build.cache)
        words += ["--cache-from", repository] if build.cache_read else []
        words += ["--cache-to", repository] if build.cache_write else []
    return [*words, *build.extra, str(context)]


def _repository(reference: str) -> str:
    """buildah wants the cache's repository without a tag."""
    head, colon, tag = reference.rpartition(":")
    return head if colon and "/" not in tag else reference


def _argv(spec: ContainerSpec, config: Mapping[str, Any]) -> list[str]:
    """Entrypoint and command, as a container of Docker would have them."""
    if spec.entrypoint is not None:
        return [*spec.entrypoint, *(spec.command or ())]
    command = spec.command if spec.command is not None else config.get("Cmd") or ()
    return [*(config.get("Entrypoint") or ()), *command]


@contextmanager
def _folder(context: IO[bytes] | Path) -> Iterator[Path]:
    """CONTEXT as a folder; a stream is unpacked into a temporary one, which nothing in it can lead out of."""
    if isinstance(context, Path):
        yield context
        return
    with tempfile.TemporaryDirectory(prefix="hubtool-context-") as name:
        with tarfile.open(fileobj=context, mode="r|") as tar:
            # "tar" and not "data": a repository may hold absolute links; none is followed while unpacking.
            try:
                tar.extractall(name, filter="tar")
            except (tarfile.TarError, OSError) as error:
                raise HubtoolError(f"the build context cannot be unpacked: {error}") from error
        yield Path(name)
