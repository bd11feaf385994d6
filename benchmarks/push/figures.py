"""The figures, each with its target; what one needs of another is handed over."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from benchmarks.push import images
from benchmarks.push.bench import DOCKER, OURS, WAYS, Bench, Row
from benchmarks.push.images import Built, Repository
from benchmarks.push.meter import Cost
from benchmarks.push.start import seconds_of_both
from hubtool.console import bytes_text, say
from hubtool.engines import ContainerSpec
from hubtool.plan import NEWEST

MB = 1_000_000
STARTS = 5
NOWHERE = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}  # whoever starts the engine fails
T = TypeVar("T")

# The compressed bytes of a package's files, those compiled by Python included.
OWN = """
import gzip, importlib.metadata, io, pathlib, sys, tarfile
listed = [pathlib.Path(path.locate()).resolve() for path in importlib.metadata.files(sys.argv[1])]
compiled = [found for path in listed for found in path.parent.glob(f"__pycache__/{path.stem}.*.pyc")]
stream = io.BytesIO()
with tarfile.open(fileobj=stream, mode="w") as tar:
    for path in sorted({path for path in [*listed, *compiled] if path.is_file()}):
        tar.add(path)
print(len(gzip.compress(stream.getvalue(), 6)))
"""


def first(bench: Bench, packages: list[str], runs: int) -> tuple[Built, list[Row]]:
    """An image that no registry has; what stays is the last push."""
    bench.repository.commit({"requirements.txt": images.requirements(packages)})
    built = build(bench, bench.repository)
    say(f"first push of {bytes_text(built.size)}")
    costs = [bench.push_elsewhere(bench.repository, built.reference) for _ in range(runs - 1)]
    costs.append(bench.push(bench.repository, built.reference))
    middle = {way: sorted((cost[way] for cost in costs), key=lambda cost: cost.seconds)[runs // 2] for way in WAYS}
    ours, theirs = middle[OURS], middle[DOCKER]
    pulls = bench.pulled(built.reference, built.reference)
    growth = pulls[OURS].whole / pulls[DOCKER].whole - 1
    return built, [
        Row.of("first push, s", "half of docker push", _each(middle, lambda cost: f"{cost.seconds:.1f}"),
               2 * ours.seconds <= theirs.seconds),
        Row.of("  s of processors", "", _each(middle, lambda cost: f"{cost.processor:.1f}")),
        Row.of("  peak memory", "1 GB", _each(middle, lambda cost: bytes_text(cost.memory)), ours.memory <= 1e9),
        Row.of("  size, MB", "docker push + 2 %", _each(pulls, lambda pull: f"{pull.whole / MB:.1f}"), growth <= 0.02),
    ]  # fmt: skip


def rebuilt(bench: Bench) -> tuple[Built, list[Row]]:
    """The same files built again with no build cache."""
    bench.forget_builds()
    bench.repository.commit({})
    built = build(bench, bench.repository, "--rebuild")
    say("rebuilt with nothing changed")
    costs = bench.push(bench.repository, built.reference)
    sent = costs[OURS].uploaded
    return built, [
        Row.of("rebuild, MB sent", "1", _each(costs, _megabytes_sent), sent < MB),
        Row.of("  s", "", _each(costs, lambda cost: f"{cost.seconds:.1f}")),
    ]


def changed(bench: Bench, packages: list[str], name: str, before: Built) -> list[Row]:
    """One package in another version, built with no build cache, for a node that has the image BEFORE."""
    bench.forget_builds()
    older = {name: images.OLDER[name]}
    bench.repository.commit({"requirements.txt": images.requirements(packages, older)})
    built = build(bench, bench.repository)
    own = own_bytes(bench, built.reference, name)
    say(f"{name} changed, {own / MB:.2f} MB")
    costs = bench.push(bench.repository, built.reference)
    pulls = bench.pulled(before.reference, built.reference)
    limit = 1.25 * own + MB
    less = costs[DOCKER].uploaded / costs[OURS].uploaded
    return [
        Row.of(f"{name} ({own / MB:.2f} MB) changed, MB sent", f"{limit / MB:.2f}", _each(costs, _megabytes_sent),
               costs[OURS].uploaded <= limit),
        Row("  times less than docker push", "10", f"{less:.0f}", good=less >= 10),
        Row.of("  MB that a node pulls, by digest", f"{limit / MB:.2f}",
               _each(pulls, lambda pull: f"{pull.by_digest / MB:.2f}"), pulls[OURS].by_digest <= limit),
        Row.of("  by chain (dockerd)", "", _each(pulls, lambda pull: f"{pull.by_chain / MB:.2f}")),
        Row.of("  s", "", _each(costs, lambda cost: f"{cost.seconds:.1f}")),
    ]  # fmt: skip


def sibling(bench: Bench, packages: list[str]) -> list[Row]:
    """Another hub's image in another repository of the registry."""
    repository = bench.clone("sibling", "sibling")
    shared = f"{bench.registries[OURS].host}/hub/{bench.repository.name}"
    config = (repository.root / "hubtool.yaml").read_text()
    repository.commit({
        "hubtool.yaml": f"{config}share_layers_with: [{shared}]\n",
        "requirements.txt": images.requirements(packages),
    })  # fmt: skip
    built = build(bench, repository)
    say(f"sibling of {bytes_text(built.size)}")
    costs = bench.push(repository, built.reference)
    pulls = bench.pulled(built.reference, built.reference)
    shares = {way: costs[way].uploaded / pulls[way].whole for way in WAYS}
    return [
        Row.of("sibling, of its size", "30 %", _each(shares, lambda share: f"{share:.0%}"), shares[OURS] <= 0.3),
        Row.of("  MB sent", "", _each(costs, _megabytes_sent)),
        Row.of("  s", "", _each(costs, lambda cost: f"{cost.seconds:.1f}")),
    ]


def decisions(bench: Bench, packages: list[str]) -> list[Row]:
    """A merge of what the registry has; no engine can be started."""
    repository = bench.clone("merged")
    repository.commit({"requirements.txt": images.requirements(packages)})
    unchanged = [_seconds(repository, "build") for _ in range(5)]
    promotions = []
    for _ in range(5):
        repository.commit({})
        promotions.append(_seconds(repository, "build") + _seconds(repository, "push"))
    decided, promoted = statistics.median(unchanged), statistics.median(promotions)
    return [
        Row("unchanged, s to decide", "2", f"{decided:.2f}", good=decided < 2),
        Row("promotion on merge, s (build and push)", "5", f"{promoted:.2f}", good=promoted < 5),
    ]


def starts(bench: Bench, original: Built) -> list[Row]:
    """Containers of the image as it was built, and of the one that a node pulls."""
    newest = f"{original.reference.rpartition(':')[0]}:{NEWEST}"
    images.run([bench.docker, "pull", "--quiet", newest])
    found = seconds_of_both(bench.engine, original.reference, newest, STARTS)
    rows = [
        Row(f"start of {what}, s (as built: {before:.3f})", f"{1.05 * before:.3f}", f"{after:.3f}",
            good=after <= 1.05 * before)
        for what, (before, after) in found.items()
    ]  # fmt: skip
    bench.engine.remove_image(newest)
    return rows


def build(bench: Bench, repository: Repository, *options: str) -> Built:
    built = repository.build(*options)
    say(f"built {built.reference}, {bytes_text(built.size)}, in {built.seconds:.0f} s")
    return built


def own_bytes(bench: Bench, image: str, package: str) -> int:
    """The compressed bytes of PACKAGE's files in IMAGE."""
    container = bench.engine.run(ContainerSpec(image, ("python", "-c", OWN, package)))
    try:
        while container.running():
            time.sleep(0.1)
        return int(container.logs().split()[-1])
    finally:
        container.remove()


def _seconds(repository: Repository, verb: str) -> float:
    started = time.perf_counter()
    images.run(repository.command(verb), {**repository.environment, **NOWHERE})
    return time.perf_counter() - started


def _each(values: Mapping[str, T], text: Callable[[T], str]) -> list[str]:
    return [text(values[way]) for way in WAYS]


def _megabytes_sent(cost: Cost) -> str:
    return f"{cost.uploaded / MB:.2f}"
