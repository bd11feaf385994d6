"""A container that buildah runs: a working container, and one `buildah run` for each program in it.

There is no daemon. A container shares this machine's network, so a port inside is the same port outside.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import IO

from hubtool.engines import ContainerSpec, Unsupported
from hubtool.engines.leftovers import forget
from hubtool.errors import HubtoolError
from hubtool.process import Completed, ProcessError, end_group, run

# What `buildah run` adds to a program's standard error when the program did not end with 0.
_ADDED = re.compile(
    r"(?:subprocess exited (?:with status \d+|on [\w ]+)\n?)*"
    r"(?:Error: (?:exit status \d+|signal: [\w ]+|while running runtime: .*)\n?)?\Z"
)
HOME_GROUP = 100
LOG_BYTES = 32 * 1024 * 1024
# What says where buildah stores: containers-storage.conf(5).
STORAGE = (b"CONTAINERS_STORAGE_CONF", b"HOME", b"XDG_CONFIG_HOME", b"XDG_DATA_HOME", b"XDG_RUNTIME_DIR")
VARIABLES = "/run/hubtool-variables"  # the file inside that holds the container's variables


class BuildahContainer:
    """A started container. ``name`` holds the run's id, by which it is found again after a kill."""

    def __init__(self, program: Sequence[str | Path], name: str, spec: ContainerSpec, isolation: str) -> None:
        self._program = tuple(str(word) for word in program)
        self._spec = spec
        self._isolation = isolation
        self._folder = Path(tempfile.mkdtemp(prefix="hubtool-container-"))
        self._volumes = {target: (source, mode) for source, (target, mode) in spec.volumes.items()}
        self._process: subprocess.Popen[bytes] | None = None
        self._homes: dict[str, str] = {}
        self.id = name

    def start(self, argv: Sequence[str]) -> None:
        """Start ARGV (entrypoint and command) as the container's own program."""
        refuse(self._spec)
        for target, uid in self._spec.empty.items():
            self._volumes[target] = (str(self._empty(uid)), "rw")
        for port in self._spec.ports:
            _is_free(port)
        user, argv = self._as_user(self._spec.user, argv)
        words = self._run_words(user, self._spec.environment, self._spec.workdir)
        self._process = subprocess.Popen(
            [*words, *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._log = (self._folder / "log").open("wb")
        self._keeper = threading.Thread(target=self._keep, args=(self._process.stdout,), daemon=True)
        self._keeper.start()

    def _keep(self, output: IO[bytes]) -> None:
        """Keep the first of what it prints; the rest is read too, so that it goes on."""
        with output, self._log as log:
            while piece := os.read(output.fileno(), 65536):
                log.write(piece[: max(0, LOG_BYTES - log.tell())])
                log.flush()

    def _empty(self, uid: int) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="empty-", dir=self._folder))
        if os.geteuid() == 0:
            os.chown(folder, uid, HOME_GROUP)
        folder.chmod(0o2775)
        self._folder.chmod(0o755)
        return folder

    def _run_words(self, user: str | None, environment: Mapping[str, str], workdir: str | None) -> tuple[str, ...]:
        """The words before those of the program inside. Variables travel in a file that a shell reads there: what
        stands in a program's arguments, every user of this machine can see."""
        words = ["run", "--isolation", self._isolation, "--network", "host"]
        words += ["--user", user] if user else []
        for target, (source, mode) in self._volumes.items():
            words += ["--volume", f"{source}:{target}:{mode}"]
        words += ["--workingdir", workdir] if workdir else []
        if not environment:
            return (*self._program, *words, self.id, "--")
        words += ["--volume", f"{self._environment_file(user, environment)}:{VARIABLES}:ro"]
        return (*self._program, *words, self.id, "--", "sh", "-c", f'. {VARIABLES}; exec "$@"', "sh")

    def _environment_file(self, user: str | None, environment: Mapping[str, str]) -> Path:
        lines = [f"export {key}={shlex.quote(value)}\n" for key, value in environment.items()]
        handle, name = tempfile.mkstemp(prefix="variables-", dir=self._folder)
        with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.writelines(lines)
        uid = (user or "").partition(":")[0]
        if uid.isdigit() and os.geteuid() == 0:
            os.chown(name, int(uid), -1)
        elif not uid.isdigit():
            Path(name).chmod(0o644)  # whom a name means, only the image knows
        return Path(name)

    def _as_user(self, user: str | None, argv: Sequence[str]) -> tuple[str | None, list[str]]:
        """USER and ARGV, by way of setpriv (util-linux) where that user has supplementary groups or shall get no
        privileges: buildah has no option for them."""
        if (not self._spec.groups and self._spec.new_privileges) or user != self._spec.user:
            return user, list(argv)
        name, _, group = (user or "").partition(":")
        home = self._home_where_setpriv_works(name) if name.isdigit() else None
        if home is None:
            raise Unsupported(
                "buildah cannot set a container's supplementary groups, or no-new-privileges, here",
                hint="name the user by number, and have util-linux in the image; or use --engine docker",
            )
        groups = f"--groups={','.join(self._spec.groups)}" if self._spec.groups else "--clear-groups"
        ids = [f"--reuid={name}", f"--regid={group or name}", groups]
        ids += [] if self._spec.new_privileges else ["--no-new-privs"]
        # setpriv leaves HOME as it is for root; buildah itself sets the user's.
        return "0", ["env", f"HOME={home}", "setpriv", *ids, "--", *argv]

    def _home_where_setpriv_works(self, user: str) -> str | None:
        """The HOME that buildah gives USER, asked once; None where setpriv is not in the image."""
        if user not in self._homes:
            words = (*self._run_words("0", {}, None), "setpriv", "-V")
            if run(*words, check=False).returncode != 0:
                return None
            told = run(*self._run_words(user, {}, None), "env", check=False).stdout.splitlines()
            self._homes[user] = next((line[5:] for line in told if line.startswith("HOME=")), "/")
        return self._homes[user]

    def exec(
        self,
        argv: Sequence[str],
        *,
        user: str | None = None,
        environment: Mapping[str, str] | None = None,
        workdir: str | None = None,
        timeout: float | None = None,
    ) -> Completed:
        """Run a program inside; never raises for its exit code. Past TIMEOUT (seconds) it is ended and
        ProcessError raised."""
        chosen, words = self._as_user(user or self._spec.user, argv)
        try:
            together = {**self._spec.environment, **(environment or {})}
            done = run(*self._run_words(chosen, together, workdir), *words, check=False, timeout=timeout)
        except ProcessError as error:
            raise ProcessError(tuple(argv), None, error.output) from error
        return Completed(tuple(argv), done.returncode, done.stdout, _ADDED.sub("", done.stderr))

    def copy_in(self, source: Path, target: str) -> None:
        """Copy a folder's content to the folder TARGET inside, owned by the container's user."""
        told = self.exec(["id", "-u"]).stdout.strip()
        owner = int(told) if told.isdigit() else 0
        outside = self._outside(target)
        if outside is None:
            run(*self._program, "copy", "--quiet", "--chown", f"{owner}:{owner}", self.id, f"{source}/.", target)
            return
        shutil.copytree(source, outside, dirs_exist_ok=True, symlinks=True)
        for path in [outside, *outside.rglob("*")] if os.geteuid() == 0 else []:
            os.chown(path, owner, owner, follow_symlinks=False)

    def _outside(self, target: str) -> Path | None:
        """The folder on this machine that TARGET is, where a volume covers it."""
        for mount, (source, _mode) in self._volumes.items():
            if PurePosixPath(target).is_relative_to(mount):
                return Path(source) / PurePosixPath(target).relative_to(mount)
        return None

    def address(self, port: int) -> tuple[str, int]:
        """Host and port on this machine that lead to PORT inside: the same port, since the network is shared."""
        return "127.0.0.1", port

    def running(self) -> bool:
        return self.exit_code() is None

    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll() if self._process is not None else 0

    def out_of_memory(self) -> bool:
        """Not told by buildah."""
        return False

    def logs(self) -> str:
        """What it printed; of more than 32 MB the first."""
        if self._process is not None and self._process.poll() is not None:
            self._keeper.join(2)  # it reads what the program said last
        try:
            return _ADDED.sub("", (self._folder / "log").read_text(errors="replace"))
        except FileNotFoundError:
            return ""

    def stop(self, timeout: float = 10) -> float:
        """SIGTERM, then after TIMEOUT seconds SIGKILL; returns the seconds it took."""
        started = time.monotonic()
        if self._process is not None and self._process.poll() is None:
            for pid in _programs(self._process.pid):
                _signal(pid, signal.SIGTERM)
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self._kill()
        return time.monotonic() - started

    def _kill(self) -> None:
        assert self._process is not None
        for pid in _descendants(self._process.pid):
            _signal(pid, signal.SIGKILL)
        end_group(self._process, grace=2)

    def remove(self) -> None:
        """Stop and remove it, with its volumes. Twice is no error."""
        if self._process is not None and self._process.poll() is None:
            self._kill()
        run(*self._program, "rm", self.id, check=False)
        shutil.rmtree(self._folder, ignore_errors=True)
        forget(self)


def refuse(spec: ContainerSpec) -> None:
    """Raise Unsupported for what SPEC asks for and buildah can't give: it has no container that goes on, into whose
    network and control group a further program could be put."""
    asked = {
        f"the network '{spec.network}'": spec.network not in (None, "host"),
        "a size of /dev/shm": spec.shm is not None,
        "a limit of processes": spec.processes is not None,
        "a limit of memory": spec.memory is not None,
    }
    wanted = [what for what, is_asked in asked.items() if is_asked]
    if wanted:
        raise Unsupported(f"buildah cannot give a container {', '.join(wanted)}", hint="use --engine docker")


def _is_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError as error:
            raise HubtoolError(
                f"port {port} is taken on this machine, and a container of buildah shares its network",
                hint="stop what listens there, or use --engine docker",
            ) from error


def _descendants(pid: int) -> list[int]:
    """The processes below PID, nearest first."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, level = [], [pid]
    while level:
        level = [child for parent in level for child in parents.get(parent, [])]
        found += level
    return found


def _programs(pid: int) -> list[int]:
    """The container's own program below PID: the first process that is not buildah."""
    for child in _descendants(pid):
        try:
            name = Path(os.readlink(f"/proc/{child}/exe")).name
        except OSError:
            continue
        # buildah runs copies of itself from memory: memfd:buildah-chroot-exec
        if not name.removeprefix("memfd:").startswith("buildah"):
            return [child]
    return _descendants(pid)[-1:]


def _signal(pid: int, sign: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # it ended by itself
        os.kill(pid, sign)


def end_leftover(name: str) -> None:
    """End what still runs in the container called NAME after its hubtool was killed."""
    for pid, words in _command_lines():
        if name.encode() in words and b"run" in words:
            for one in [*_descendants(pid), pid]:
                _signal(one, signal.SIGKILL)


def another_build_runs() -> bool:
    """Whether any buildah on this machine is building in the storage that this process uses, or may be."""
    building = [pid for pid, words in _command_lines() if words[0].endswith(b"buildah") and b"bud" in words]
    return any(_same_storage(pid) for pid in building)


def _same_storage(pid: int) -> bool:
    try:
        entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except FileNotFoundError:
        return False  # it ended meanwhile
    except OSError:
        return True
    theirs = dict(entry.partition(b"=")[::2] for entry in entries)
    return all(theirs.get(name) == os.environb.get(name) for name in STORAGE)


def _command_lines() -> Iterator[tuple[int, list[bytes]]]:
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            yield int(entry.name), (entry / "cmdline").read_bytes().split(b"\0")
