"""`python -m benchmarks.contracts [--runs N]`: what it costs to hold an image against its contract.

On a Docker daemon (the one that runs, else a private one): the JupyterHub image of the tests (JupyterLab, jupyterhub,
nbgitpuller, two kernels; 0.6 GB), and the same grown to 1.5 GB of packages. Times are those of the whole command
`hubtool test`, with Python's start. The server's own start is that of one container with nothing else running; the
contract needs two servers, which start side by side. Bytes written are the command's, as the kernel counts them.

Needs about 8 GB of disk, root (Debian's docker.io) and PyPI.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uv
from isal import igzip

from hubtool.console import bytes_text, say, table
from hubtool.contracts import Settings
from hubtool.contracts.jupyterhub.server import Server
from hubtool.engines import Engine, EngineBuild, get_engine
from hubtool.image.archive import Archive
from hubtool.sandbox.base_image import base_image
from hubtool.sandbox.dockerd import answers, private_dockerd
from hubtool.sandbox.network import private_bundle
from hubtool.sandbox.parts import cache_folder

IMAGE = Path(__file__).parents[2] / "tests" / "contracts" / "jupyterhub" / "image"
HUB, LARGE = "localhost/hubtool-benchmark-hub:1", "localhost/hubtool-benchmark-large:1"
# Its packages three times more, in a layer.
GROWN = f"""FROM {HUB}
USER root
RUN for n in 1 2 3; do mkdir -p /srv/copy$n && cp -a /srv/venv/lib /srv/copy$n; done
USER jovyan
"""
CHECKS = 200
BLOCK = 512  # of ru_oublock (getrusage(2))


@dataclass(frozen=True)
class Run:
    """One `hubtool test`: its wall and processor time, what it wrote, and its results."""

    seconds: float
    busy: float
    written: int
    results: Sequence[dict[str, Any]]

    def sum(self, letter: str = "") -> float:
        """The seconds of the checks whose ids start with LETTER."""
        return sum(float(result["seconds"]) for result in self.results if result["check"].startswith(letter))


def main() -> None:
    parser = argparse.ArgumentParser(description="What it costs to hold an image against its contract.")
    parser.add_argument("--runs", type=int, default=3, help="of each; the median is told")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hubtool-benchmark-", dir="/var/tmp")))
        if not answers():
            os.environ["DOCKER_HOST"] = stack.enter_context(private_dockerd(cache_folder() / "benchmark"))
        engine = get_engine("docker")
        build(engine, folder)
        rows = list(measure(engine, folder, options.runs))
    print(f"\n{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}\n")
    print(table(rows, ("figure", "target", "measured", "")))


def build(engine: Engine, folder: Path) -> None:
    """Make the images; the daemon keeps their layers for the next run."""
    context = folder / "context"
    shutil.copytree(IMAGE, context)
    shutil.copy(uv.find_uv_bin(), context / "uv")
    shutil.copy(private_bundle() or "/etc/ssl/certs/ca-certificates.crt", context / "ca.crt")
    base = base_image(engine, cache_folder() / "base")
    held = engine.inspect(base)
    assert held is not None
    say(f"building {HUB}")
    args = {"BASE": base, "BASE_DIGEST": held.id}
    for _ in engine.build(EngineBuild(HUB, context, args=args, network="host")):
        pass
    say(f"building {LARGE}")
    (context / "Dockerfile").write_text(GROWN)
    for _ in engine.build(EngineBuild(LARGE, context)):
        pass


def measure(engine: Engine, folder: Path, runs: int) -> Iterator[tuple[str, str, str, str]]:
    """A row a figure."""
    start = median(lambda: server_start(engine, folder), runs)
    full = best(lambda: test(folder, HUB), runs)
    yield row("jupyterhub contract, the whole command", 60, full.seconds, f"(processor {full.busy:.1f} s)")
    yield row("  its server alone, until it answers", None, start)
    yield row("  checks that start nothing (J), together", None, full.sum("J"))
    yield row("  checks that ask the servers (K), together", None, full.sum("K"))
    size = bytes_text(getattr(engine.inspect(LARGE), "size", 0))
    archive = folder / "large.tar"
    saved = timed(lambda: engine.export(LARGE, archive))
    for form, path in (("docker archive", archive), ("OCI layout, gzip", layout(archive, folder))):
        run = best(lambda subject=path: test(folder, subject), runs)  # type: ignore[misc]
        yield row(
            f"static checks of {size}: {form}",
            5,
            run.seconds,
            f"(processor {run.busy:.1f} s, wrote {bytes_text(run.written)})",
        )
    yield row(f"  docker save of {size}, which an engine's image costs beside", None, saved)
    yield row("overhead per check (processor)", 0.1, overhead(folder, runs))


def row(name: str, target: float | None, seconds: float, more: str = "") -> tuple[str, str, str, str]:
    verdict = "" if target is None else "ok" if seconds < target else "MISSED"
    cells = name, "" if target is None else f"{target:g} s", f"{seconds:.{2 if seconds < 1 else 1}f} s  {more}", verdict
    say("  | " + " | ".join(cells))
    return cells


def median(measured: Callable[[], float], runs: int) -> float:
    return statistics.median(measured() for _ in range(runs))


def best(measured: Callable[[], Run], runs: int) -> Run:
    """The run of median time."""
    return sorted((measured() for _ in range(runs)), key=lambda run: run.seconds)[runs // 2]


def timed(work: Callable[[], object]) -> float:
    begin = time.monotonic()
    work()
    return time.monotonic() - begin


def server_start(engine: Engine, folder: Path) -> float:
    """Seconds until a Jupyter server of the image answers."""
    server = Server(engine, Settings("docker", HUB, "hub", "jupyterhub", str(folder)), "/home/jovyan")
    try:
        server.wait(120)
        assert server.up, server.problem
        return server.seconds
    finally:
        server.remove()


def test(folder: Path, subject: str | Path, *options: str) -> Run:
    """Run `hubtool test`."""
    command = [sys.executable, "-m", "hubtool", "test", str(subject), "--json", "--root", str(folder), *options]
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - begin
    if not done.stdout.startswith("["):
        raise SystemExit(done.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    (report,) = json.loads(done.stdout[: done.stdout.rindex("]") + 1])
    wrong = [result for result in report["results"] if result["outcome"] == "failed"]
    if wrong:
        say(f"  failed: {[(result['check'], result['message'][:200]) for result in wrong]}")
    return Run(seconds, busy, (after.ru_oublock - before.ru_oublock) * BLOCK, report["results"])


def layout(archive: Path, folder: Path) -> Path:
    """The image of a docker archive as an OCI layout with compressed layers, as registries have them."""
    target = folder / "layout"
    if not target.exists():
        with Archive(archive) as found:
            write_layout(found, target)
    return target


def write_layout(archive: Archive, target: Path) -> None:
    blobs = target / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(data: bytes, media: str) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": f"application/vnd.oci.image.{media}", "digest": f"sha256:{digest}", "size": len(data)}

    layers = []
    for layer in archive.layers:
        with layer.open_tar() as tar:
            layers.append(put(igzip.compress(tar.read(), 1), "layer.v1.tar+gzip"))
    config = put(archive.config_bytes, "config.v1+json")
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json"}
    entry = put(json.dumps({**manifest, "config": config, "layers": layers}).encode(), "manifest.v1+json")
    (target / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (target / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


def overhead(folder: Path, runs: int) -> float:
    """Seconds that a check costs beside what it does: empty own checks, many less one."""
    (folder / "hubtool.yaml").write_text("registry: r.example/x\nimages:\n  hub: {contract: none}\n")
    tests = folder / "tests"
    tests.mkdir()

    def seconds(count: int) -> float:
        lines = [f"def test_{number}(settings, image): assert settings.name" for number in range(count)]
        (tests / "test_empty.py").write_text("\n".join(lines) + "\n")
        return best(lambda: test(folder, HUB, "--image", "hub"), runs).busy

    return (seconds(CHECKS) - seconds(1)) / (CHECKS - 1)


if __name__ == "__main__":
    main()
