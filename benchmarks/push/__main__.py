"""What a push costs, beside `docker push` and `skopeo copy` of the same images in the same run:
`python -m benchmarks.push [--quick] [--runs N] [--figures decisions,…] [--grow 0.5,1.5,3,6]`.

An image (2.1 GB), the same with one package in another version, a sibling that shares four fifths of it, and a rebuild
with nothing changed (no build cache) are built on a private Docker daemon and pushed, each way to a registry of its
own that starts empty. The images are made by `hubtool build`, the times are those of the whole command, `hubtool push`
with Python's start and the export included. Bytes are counted in the registry's storage: layers, configs, manifests
and the SBOM. Processor and memory are the command's and the daemon's; the registry's are not counted.

Needs about 30 GB of disk, root (Debian's docker.io, docker-registry, skopeo) and PyPI.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.push import figures, images
from benchmarks.push.bench import WAYS, Bench, Row
from benchmarks.push.stages import STAGES, stages
from hubtool.console import bytes_text, say, table

FIGURES = ("decisions", "starts", "rebuild", *images.OLDER, "sibling")
HEAD = ("figure", "target", *WAYS, "")


def main() -> None:
    parser = argparse.ArgumentParser(description="What a push costs, beside docker push and skopeo copy.")
    parser.add_argument("--quick", action="store_true", help="a small image")
    parser.add_argument("--runs", type=int, default=3, help="of the first push")
    parser.add_argument("--figures", default=",".join(FIGURES), help="those beside the first push")
    parser.add_argument("--grow", default="0.5,1.5,3,6", help="GB of the images that show how time grows")
    options = parser.parse_args()
    sizes = [float(size) for size in options.grow.split(",") if size]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hubtool-benchmark-", dir="/var/tmp")))
        bench = Bench(stack, folder)
        rows = list(told(measure(bench, options.quick, options.runs, options.figures.split(","))))
        print(f"\n{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}\n")
        print(table([row.cells() for row in rows], HEAD), flush=True)
        if sizes:
            grown = list(growth(bench, sizes))
            print("\n" + table(grown, ("seconds of", *STAGES, *WAYS)))


def told(rows: Iterable[Row]) -> Iterator[Row]:
    """ROWS, each told when it is there."""
    for row in rows:
        say("  | " + " | ".join(row.cells()))
        yield row


def measure(bench: Bench, quick: bool, runs: int, chosen: Sequence[str]) -> Iterator[Row]:
    """The figures that are CHOSEN; the first push is needed for all."""
    packages, siblings = (images.SMALL, images.SMALL_SIBLING) if quick else (images.STACK, images.SIBLING)
    original, rows = figures.first(bench, packages, runs)
    yield from rows
    if "decisions" in chosen:
        yield from figures.decisions(bench, packages)
    if "starts" in chosen:
        yield from figures.starts(bench, original)
    if "rebuild" in chosen:
        original, rows = figures.rebuilt(bench)
        yield from rows
    for name in images.OLDER:
        if name in packages and name in chosen:
            yield from figures.changed(bench, packages, name, original)
    if "sibling" in chosen:
        yield from figures.sibling(bench, siblings)


def growth(bench: Bench, sizes: Sequence[float]) -> Iterator[tuple[str, ...]]:
    """Seconds of the stages and ways for images of SIZES in GB, a first push each."""
    base = bench.engine.inspect(bench.base)
    assert base is not None
    for size in sizes:
        repository = bench.clone(f"grown-{size}", "grown")
        repository.commit({"requirements.txt": f"# {size}\n"})
        images.grown(
            bench.docker, repository.reference, bench.base, bench.repository.reference, int(size * 1e9) - base.size
        )
        found = bench.engine.inspect(repository.reference)
        assert found is not None
        taken = stages(bench.engine, repository.reference, bench.folder)
        costs = bench.push_elsewhere(repository, repository.reference)
        seconds = [*taken.values(), *(costs[way].seconds for way in WAYS)]
        row = (bytes_text(found.size), *(f"{each:.1f}" for each in seconds))
        say("  ".join(row))
        yield row
        bench.engine.remove_image(repository.reference)


if __name__ == "__main__":
    main()
