"""How long a container takes to start, of two images with the same files."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import httpx

from hubtool.engines import ContainerSpec, Engine

PORT = 8888
SERVER = ("jupyter", "server", "--ip=0.0.0.0", f"--port={PORT}", "--IdentityProvider.token=")


def seconds_of_both(engine: Engine, original: str, other: str, runs: int) -> dict[str, tuple[float, float]]:
    """Median seconds of each, by what is started: `true`, and a Jupyter server until it answers. They take turns,
    after one start each that warms the disk cache."""
    return {
        "true": _turns(lambda image: _true(engine, image), (original, other), 3 * runs),
        "jupyter server": _turns(lambda image: _server(engine, image), (original, other), runs),
    }


def _turns(start: Callable[[str], float], images: Sequence[str], runs: int) -> tuple[float, float]:
    seconds: dict[str, list[float]] = {image: [] for image in images}
    for turn in range(runs + 1):
        for image in images if turn % 2 else reversed(images):
            taken = start(image)
            if turn:
                seconds[image].append(taken)
    original, other = (statistics.median(seconds[image]) for image in images)
    return original, other


def _true(engine: Engine, image: str) -> float:
    started = time.perf_counter()
    container = engine.run(ContainerSpec(image, ("true",)))
    while container.running():
        time.sleep(0.005)
    seconds = time.perf_counter() - started
    container.remove()
    return seconds


def _server(engine: Engine, image: str) -> float:
    started = time.perf_counter()
    container = engine.run(ContainerSpec(image, SERVER, ports=(PORT,)))
    try:
        host, port = container.address(PORT)
        while not _answers(f"http://{host}:{port}/api"):
            time.sleep(0.02)
        return time.perf_counter() - started
    finally:
        container.remove()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
