"""What a stack costs to build, beside `docker build` of the same files one after the other, and to plan:
`python -m benchmarks.stack [--runs N] [--jobs N] [--variants 50,500,5000]`.

Eleven variants of five images, with packages from PyPI, on a private Docker daemon (BuildKit). Cold is with an empty
build cache and no image but the base. Then a requirement of one image changes, which reaches four variants: hubtool
builds these, `docker build` goes through all and finds most in its cache, and without a cache builds all. Times are
those of whole commands, with Python's start. Planning is `hubtool plan --offline`, in a repository of that many
variants.

Needs about 8 GB of disk, root (Debian's docker.io) and PyPI.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any

import git

from benchmarks.push.images import WHO, run
from benchmarks.stack import files
from hubtool.console import say, table
from hubtool.engines import get_engine
from hubtool.engines.docker_cli import find_cli
from hubtool.sandbox.base_image import base_image
from hubtool.sandbox.dockerd import private_dockerd
from hubtool.sandbox.network import private_bundle
from hubtool.sandbox.parts import cache_folder

BASE = "localhost/hubtool-benchmark-base:1"
OURS = "localhost/benchmark/"


def main() -> None:
    parser = argparse.ArgumentParser(description="What a stack costs to build and to plan, beside docker build.")
    parser.add_argument("--runs", type=int, default=1, help="of each; the median is told")
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--jobs", type=int, default=cores, help="variants that hubtool builds at once")
    parser.add_argument("--variants", default="10,100,1000,5000", help="of the graphs that are planned")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hubtool-benchmark-", dir="/var/tmp")))
        planned = [plan(folder, int(size)) for size in options.variants.split(",") if size]
        os.environ["DOCKER_HOST"] = stack.enter_context(private_dockerd(folder / "docker"))
        bench = Bench(folder)
        rows = bench.measure(options.runs, options.jobs)
    print(f"\n{cores} cores, load {os.getloadavg()[0]:.1f}\n")
    head = ("seconds", f"hubtool --jobs {options.jobs}", "hubtool", "docker build", "docker build --no-cache", "ratio")
    print(table(rows, head))
    print("\n" + table(planned, ("variants", "images: plan, s", "axes: plan, s")))


class Bench:
    """A daemon with the base image, and the stack's repository."""

    def __init__(self, folder: Path) -> None:
        self.docker, self.root = str(find_cli().path), folder / "repository"
        engine = get_engine("docker")
        context = folder / "base"
        context.mkdir()
        shutil.copy(private_bundle() or "/etc/ssl/certs/ca-certificates.crt", context / "bundle.pem")
        text = files.TRUSTING.format(base=base_image(engine, cache_folder() / "base"))
        (context / "Dockerfile").write_text(text)
        run([self.docker, "build", "--quiet", "--tag", BASE, str(context)], {"DOCKER_BUILDKIT": "1"})
        commit(self.root, {"hubtool.yaml": files.STACK.replace("BASE", BASE), **files.FILES})

    def measure(self, runs: int, jobs: int) -> list[tuple[str, ...]]:
        """A row for the cold build, one after a change, one with nothing changed."""
        ways: dict[str, Callable[[], None]] = {
            "together": lambda: self.hubtool(jobs),
            "alone": lambda: self.hubtool(1),
            "docker": self.docker_build,
        }
        figures: dict[tuple[str, str], list[float]] = {}
        for number in range(runs):
            for way, build in ways.items():
                self.forget()
                commit(self.root, {**files.FILES, "web/run": f"{number}{way}"})
                figures.setdefault(("cold", way), []).append(timed(build, f"cold, {way}"))
                commit(self.root, files.CHANGED)
                figures.setdefault(("one change", way), []).append(timed(build, f"one change, {way}"))
                figures.setdefault(("nothing changed", way), []).append(timed(build, f"nothing changed, {way}"))
            whole = timed(lambda: self.docker_build("--no-cache"), "all, without a cache")
            figures.setdefault(("one change", "all"), []).append(whole)
        return [row(name, figures, ways) for name in ("cold", "one change", "nothing changed")]

    def hubtool(self, jobs: int) -> None:
        run([sys.executable, "-m", "hubtool", "build", "--root", str(self.root), "--jobs", str(jobs)])

    def docker_build(self, *options: str) -> None:
        """Each variant after the other, as a script of a team's own does it."""
        for one in self.variants:
            base = self.name(one["parent"]) if one["parent"] else one["base"]
            words = [self.docker, "build", "--quiet", *options, "--tag", self.name(one["variant"])]
            for name, value in {"BASE_IMAGE": base, **one["args"]}.items():
                words += ["--build-arg", f"{name}={value}"]
            run([*words, str(self.root / one["context"])], {"DOCKER_BUILDKIT": "1"})

    @cached_property
    def variants(self) -> list[dict[str, Any]]:
        """Every variant as the plan tells it, parents first."""
        argv = [sys.executable, "-m", "hubtool", "plan", "--offline", "--json", "--root", str(self.root)]
        return list(json.loads(run(argv)))

    def name(self, variant: str) -> str:
        return "localhost/by-hand:" + variant.replace("[", "-").replace("]", "").replace(",", "-")

    def forget(self) -> None:
        """Empty the build cache, and remove what was built."""
        for pattern in (f"{OURS}*", "localhost/by-hand"):
            found = run([self.docker, "images", "--quiet", "--filter", f"reference={pattern}"]).split()
            if found:
                run([self.docker, "rmi", "--force", *dict.fromkeys(found)])
        run([self.docker, "builder", "prune", "--all", "--force"])
        shutil.rmtree(self.root / ".hubtool", ignore_errors=True)


def row(name: str, figures: Mapping[tuple[str, str], Sequence[float]], ways: Mapping[str, object]) -> tuple[str, ...]:
    found = {way: statistics.median(figures[name, way]) for way in [*ways, "all"] if (name, way) in figures}
    shown = [f"{found[way]:.1f}" if way in found else "" for way in [*ways, "all"]]
    return (name, *shown, f"{found['together'] / found['docker']:.2f}")


def timed(act: Callable[[], None], what: str) -> float:
    started = time.monotonic()
    act()
    seconds = time.monotonic() - started
    say(f"  {what}: {seconds:.1f} s")
    return seconds


def commit(root: Path, changed: Mapping[str, str]) -> None:
    """Write the files CHANGED into the repository ROOT and commit them."""
    for name, text in {".gitignore": ".hubtool/\n", **changed}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    repository = git.Repo.init(root, initial_branch="main")
    repository.git.add("--all")
    repository.git.execute(["git", *WHO, "commit", "--quiet", "--allow-empty", "--message=x"])


def plan(folder: Path, variants: int) -> tuple[str, ...]:
    """How long it takes to plan VARIANTS: of as many images, and of five images on two axes."""
    told = [str(variants)]
    for name, text in {"images": files.graph(variants), "axes": files.axes(variants)}.items():
        root = folder / f"{name}-{variants}"
        commit(root, {"hubtool.yaml": text, **files.FILES})
        argv = [sys.executable, "-m", "hubtool", "plan", "--offline", "--root", str(root)]
        started = time.monotonic()
        done = subprocess.run(argv, check=True, capture_output=True, text=True)
        told.append(f"{time.monotonic() - started:.2f}")
        assert f"{variants} variants" in done.stdout
    return tuple(told)


if __name__ == "__main__":
    main()
