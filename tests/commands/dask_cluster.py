"""A Dask scheduler and workers as a site has them: processes of their own, each worker with an engine of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from distributed import Client

from hubtool.sandbox.services import free_port, service


@dataclass
class Cluster:
    """``address`` is the scheduler's; ``workers`` are theirs, by the name that they were started with."""

    address: str
    folder: Path
    client: Client
    scheduler: subprocess.Popen[bytes]
    stack: ExitStack
    workers: dict[str, str] = field(default_factory=dict)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def add(self, name: str, environment: Mapping[str, str], *, nanny: bool = False) -> str:
        """Start the worker NAME with ENVIRONMENT, with a NANNY, which starts it again, or without; its address."""
        folder = self.folder / name
        folder.mkdir()
        alias = f"{name}-{uuid.uuid4().hex[:6]}"  # a worker that died keeps its name for a while
        words = [
            self.address,
            "--name",
            alias,
            "--nthreads",
            "1",
            "--no-dashboard",
            "--nanny" if nanny else "--no-nanny",
        ]
        argv = [sys.executable, "-m", "distributed.cli.dask_worker", *words, "--local-directory", str(folder)]
        env = {**environment, "TMPDIR": str(folder)}
        self.running[name] = self.stack.enter_context(
            service(argv, log=folder / "log", ready=lambda: alias in self._named(), env=env)
        )
        self.workers[name] = self._named()[alias]
        return self.workers[name]

    def _named(self) -> dict[str, str]:
        found = self.client.scheduler_info(n_workers=-1)["workers"]
        return {str(worker["name"]): address for address, worker in found.items()}

    def kill(self, name: str) -> None:
        """As a machine that loses power."""
        os.kill(self.running[name].pid, signal.SIGKILL)

    def left_by(self, name: str) -> list[str]:
        """What the worker has left of ours in its temporary folder."""
        return [path.name for path in (self.folder / name).glob("hubtool-*")]


@contextmanager
def cluster(folder: Path, scheme: str = "tcp") -> Iterator[Cluster]:
    """A scheduler without workers, which work in folders below FOLDER. All ends with the block."""
    port = free_port()
    address = f"{scheme}://127.0.0.1:{port}"
    argv = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", address]
    log = folder / "scheduler.log"

    def ready() -> bool:
        return log.exists() and address in log.read_text() and "Scheduler at" in log.read_text()

    with ExitStack() as stack:
        running = stack.enter_context(service([*argv, "--no-dashboard"], log=log, ready=ready))
        client = Client(address, set_as_default=False)
        stack.callback(client.close)
        with ExitStack() as workers:
            yield Cluster(address, folder, client, running, workers)
