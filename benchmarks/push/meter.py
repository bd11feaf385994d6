"""What a command cost: time, processor and memory, its own and a daemon's, and what a registry has more afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

TICKS = os.sysconf("SC_CLK_TCK")
MANIFESTS = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"


@dataclass(frozen=True)
class Cost:
    """Seconds of the clock and of processors; peak memory in bytes, of the command or the daemon, whichever is more;
    bytes of the blobs that the registry has more; what the command said."""

    seconds: float
    processor: float
    memory: int
    uploaded: int
    said: str = ""


@dataclass(frozen=True)
class Registry:
    """A registry on loopback at HOST with its files in FOLDER."""

    host: str
    folder: Path

    def blobs(self) -> dict[str, int]:
        """Sizes of all blobs by digest; manifests are some of them."""
        found = self.folder.glob("blobs/docker/registry/v2/blobs/sha256/*/*/data")
        return {f"sha256:{data.parent.name}": data.stat().st_size for data in found}

    def document(self, repository: str, name: str) -> Any:
        """A manifest by tag or digest, or a blob by digest."""
        url = f"http://{self.host}/v2/{repository}"
        answer = httpx.get(f"{url}/manifests/{name}", headers={"Accept": MANIFESTS}, trust_env=False)
        if answer.status_code == 404:
            answer = httpx.get(f"{url}/blobs/{name}", trust_env=False)
        return json.loads(answer.raise_for_status().content)


@dataclass(frozen=True)
class Pulled:
    """What a node fetches that has another image: bytes, keeping layers by digest (containerd, CRI-O) or by chain
    (dockerd); ``whole`` is the image as it travels."""

    by_digest: int
    by_chain: int
    whole: int


def pulled(registry: Registry, repository: str, old: str, new: str) -> Pulled:
    """What a node that has the image at the tag OLD fetches for the one at NEW."""
    before, after = (layers(registry, repository, tag) for tag in (old, new))
    there = {digest for digest, _ in before}
    same = 0
    while same < min(len(before), len(after)) and before[same] == after[same]:
        same += 1
    return Pulled(
        sum(size for digest, size in after if digest not in there),
        sum(size for _, size in after[same:]),
        sum(size for _, size in after),
    )


def layers(registry: Registry, repository: str, tag: str) -> list[tuple[str, int]]:
    manifest = registry.document(repository, tag)
    return [(layer["digest"], layer["size"]) for layer in manifest["layers"]]


def measure(argv: Sequence[str], registry: Registry, daemon: int, environment: Mapping[str, str] | None = None) -> Cost:
    """Run ARGV, which pushes to REGISTRY; DAEMON is the number of the process that works for it. It must go well."""
    before, blobs = processor(daemon), registry.blobs()
    Path(f"/proc/{daemon}/clear_refs").write_text("5")  # forgets the peak
    started = time.perf_counter()
    with subprocess.Popen(
        argv, env={**os.environ, **(environment or {})}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stderr is not None
        said = running.stderr.read()
        _, status, usage = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    if running.returncode:
        raise SystemExit(f"{' '.join(argv)}: exit code {running.returncode}\n{said[-4000:]}")
    new = registry.blobs()
    return Cost(
        seconds,
        usage.ru_utime + usage.ru_stime + processor(daemon) - before,
        max(usage.ru_maxrss * 1024, peak(daemon)),
        sum(size for digest, size in new.items() if digest not in blobs),
        said,
    )


def processor(process: int) -> float:
    """The seconds of processor that PROCESS took so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak(process: int) -> int:
    """The most memory that PROCESS had, in bytes."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
