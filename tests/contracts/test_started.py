"""Containers that do what they shall, and each way in which one does not: one clear reason, in bounded time."""

from __future__ import annotations

import hashlib
import io
import json
import socket
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from hubtool.contracts import Settings
from hubtool.contracts.started import Started
from hubtool.engines import ContainerSpec, Engine

FOREIGN = "hubtool-test-foreign:1"
PORT = 8888
# The start of a program for 64-bit ARM, and nothing after it.
ARM_PROGRAM = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xb7\x00\x01\x00\x00\x00" + bytes(40)


@pytest.fixture(scope="module")
def foreign_image(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An image for another machine, with one program and nothing else: no shell, no Python."""
    layer = tar_of({"program": ARM_PROGRAM}, mode=0o755)
    config = {
        "architecture": "arm64",
        "os": "linux",
        "config": {"Entrypoint": ["/program"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [FOREIGN], "Layers": ["layer.tar"]}]
    path = tmp_path_factory.mktemp("foreign") / "image.tar"
    files = {
        "config.json": json.dumps(config).encode(),
        "layer.tar": layer,
        "manifest.json": json.dumps(manifest).encode(),
    }
    path.write_bytes(tar_of(files))
    engine.load(path)
    yield FOREIGN
    engine.remove_image(FOREIGN)


def tar_of(files: dict[str, bytes], mode: int = 0o644) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), mode
            tar.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def shell(script: str) -> ContainerSpec:
    return ContainerSpec(image="BASE", command=("sh", "-c", script), ports=(PORT,))


def server(address: str) -> ContainerSpec:
    return shell(f"exec python3 -m http.server {PORT} --bind {address}")


# What is started; how long it has; and what is wrong with it then, in words ("" for nothing).
CASES: dict[str, tuple[ContainerSpec, float, str]] = {
    "listens on all addresses": (server("0.0.0.0"), 30, ""),
    "listens on all addresses of IPv6": (server("::"), 30, ""),
    "listens on 127.0.0.1 only": (server("127.0.0.1"), 6, "port 8888 is open on 127.0.0.1 only: it has to listen on"),
    "hangs": (shell("exec sleep 300"), 2, "no answer within 2 s: nothing said; nothing listens on port 8888 inside"),
    "ends at once": (shell("echo so it is >&2; exit 7"), 30, "the container ended with code 7 after"),
    "is for another machine": (
        ContainerSpec("FOREIGN"),
        30,
        "(the image is for arm64, this machine is amd64)",
    ),
    "has no shell": (ContainerSpec("FOREIGN", entrypoint=("/bin/sh",)), 30, "the engine can't start it: docker run"),
    "is not there": (ContainerSpec("localhost/no/such:image"), 30, "No such image: localhost/no/such:image"),
    "forks without end": (
        replace(shell("while :; do sleep 300 & done"), processes=40),
        30,
        "the container ended with code 2",
    ),
    "takes all memory": (
        replace(shell("exec python3 -c 'x = bytearray(10**9)'"), memory=64 * 1024**2),
        30,
        "it had no memory left",
    ),
}


@pytest.fixture(scope="module")
def outcomes(
    engine: Engine, base_image: str, foreign_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], str]]:
    """What is wrong with each case's container, with its log; four of them at once."""
    logs = tmp_path_factory.mktemp("logs")
    images = {"BASE": base_image, "FOREIGN": foreign_image}

    def watch(name: str) -> str:
        spec, seconds, _ = CASES[name]
        started = Started(engine, replace(spec, image=images.get(spec.image, spec.image)))
        try:
            started.wait_until_up(seconds, lambda: answer(started))
            if started.problem:
                started.keep_logs(Settings("docker", "", name, "none", str(logs)))
            return started.problem
        finally:
            started.remove()

    with ThreadPoolExecutor(4) as pool:
        futures: dict[str, Future[str]] = {name: pool.submit(watch, name) for name in CASES}
        yield lambda name: futures[name].result()


def answer(started: Started) -> str:
    """Whether a program behind the port sends anything: the engine takes connections for it in any case."""
    try:
        with socket.create_connection(started.container.address(PORT), timeout=2) as connection:
            connection.sendall(b"HEAD / HTTP/1.0\r\n\r\n")
            return "" if connection.recv(10) else "nothing said"
    except OSError:
        return "nothing said"


@pytest.mark.parametrize("name", CASES)
def test_this_is_what_is_wrong_with_a_container_that(name: str, outcomes: Callable[[str], str]) -> None:
    said = CASES[name][2]
    assert said in outcomes(name)
    assert bool(said) == bool(outcomes(name))


def test_what_it_said_is_kept_and_shown(outcomes: Callable[[str], str]) -> None:
    problem = outcomes("ends at once")
    assert problem.endswith("\n  | so it is")
    path = problem.partition("all of it: ")[2].partition(")")[0]
    assert Path(path).read_text() == "so it is\n"


def test_a_container_has_limits_of_processes_and_memory_that_nobody_asked_for(engine: Engine, base_image: str) -> None:
    started = Started(engine, ContainerSpec(base_image, command=("sleep", "60")))
    client = docker.from_env()
    try:
        limits = client.api.inspect_container(started.container.id)["HostConfig"]
        assert 0 < limits["PidsLimit"] < 10_000
        assert 0 < limits["Memory"] <= 8 * 1024**3
    finally:
        client.close()
        started.remove()


def test_of_what_a_container_prints_without_end_a_bounded_part_is_kept(engine: Engine, base_image: str) -> None:
    script = "yes $(printf %04000d 7) | head -c 200000000; echo the end; exec sleep 60"
    started = Started(engine, ContainerSpec(base_image, command=("sh", "-c", script)))
    client = docker.from_env()
    try:
        started.wait_until_up(60, lambda: "" if started.logs().endswith("the end\n") else "it prints")
        assert started.problem == ""
        assert len(started.logs()) < 40_000_000
        log = Path(client.api.inspect_container(started.container.id)["LogPath"])
        assert sum(path.stat().st_size for path in log.parent.glob("*.log*")) < 40_000_000
    finally:
        client.close()
        started.remove()


def test_of_what_a_program_inside_prints_a_bounded_part_is_kept(engine: Engine, base_image: str) -> None:
    started = Started(engine, ContainerSpec(base_image, command=("sleep", "60")))
    try:
        done = started.container.exec(["head", "-c", "100000000", "/dev/zero"])
        assert done.returncode == 0
        assert len(done.stdout) == 64 * 1024 * 1024
    finally:
        started.remove()


def test_a_container_that_ignores_sigterm_is_removed_at_once(engine: Engine, base_image: str) -> None:
    started = Started(
        engine, ContainerSpec(base_image, command=("sh", "-c", "trap '' TERM; while :; do sleep 1; done"))
    )
    container = started.container.id
    remover = threading.Thread(target=started.remove)
    remover.start()
    remover.join(30)
    assert not remover.is_alive()
    client = docker.from_env()
    try:
        with pytest.raises(docker.errors.NotFound):
            client.api.inspect_container(container)
    finally:
        client.close()


def test_where_a_check_failed_each_container_leaves_its_log(
    engine: Engine, base_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Started, "keep", Settings("docker", "", "team/image:1", "none", str(tmp_path)))
    both = [Started(engine, ContainerSpec(base_image, command=("echo", word))) for word in ("one", "two")]
    for started, word in zip(both, ("one", "two"), strict=True):
        while started.logs() != f"{word}\n":
            time.sleep(0.1)
        started.remove()
        started.remove()
    assert {path.read_text() for path in tmp_path.glob("team-image-1-container*.log")} == {"one\n", "two\n"}
