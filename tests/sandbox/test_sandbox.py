from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import docker
import httpx
import pytest

from hubtool import process
from hubtool.errors import HubtoolError
from hubtool.sandbox import dockerd, packages
from hubtool.sandbox.bridge import own_bridge
from hubtool.sandbox.registry import local_registry
from hubtool.sandbox.services import end_leftover, free_port, is_free, service
from tests.conftest import LocalRegistry


def test_a_service_that_ends_shows_its_log(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "print('the reason'); raise SystemExit(7)"]
    with (
        pytest.raises(HubtoolError, match=r"ended with code 7:\nthe reason"),
        service(argv, log=tmp_path / "log", ready=lambda: False),
    ):
        pass


def test_a_service_that_is_never_ready_is_ended(tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    code = f"import os, time, pathlib; pathlib.Path({str(pidfile)!r}).write_text(str(os.getpid())); time.sleep(60)"
    with (
        pytest.raises(HubtoolError, match="not ready after 1 s"),
        service([sys.executable, "-c", code], log=tmp_path / "log", ready=lambda: False, seconds=1),
    ):
        pass
    assert not Path(f"/proc/{pidfile.read_text()}").exists()


def test_a_service_ends_with_its_block(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "import time; time.sleep(60)"]
    with service(argv, log=tmp_path / "log", ready=lambda: True) as running:
        assert running.poll() is None
    assert running.poll() is not None


def test_a_foreign_process_with_a_leftovers_number_is_left_alone(tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    pidfile.write_text(str(os.getpid()))
    end_leftover(pidfile, "dockerd")
    assert not pidfile.exists()


LEAVE_A_DAEMON = """
import os, pathlib, sys
from hubtool.sandbox.dockerd import private_dockerd
with private_dockerd(pathlib.Path(sys.argv[1])) as host:
    print(host, flush=True)
    os.kill(os.getpid(), 9)
"""


def test_a_daemon_that_a_killed_run_left_is_ended_and_its_folder_taken_over(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", LEAVE_A_DAEMON, str(tmp_path)]
    killed = subprocess.run(argv, capture_output=True, text=True, check=False)
    left = killed.stdout.strip()
    assert dockerd.answers(left), killed.stderr
    pid = (Path(left.removeprefix("unix://")).parent / "dockerd.pid").read_text()
    with dockerd.private_dockerd(tmp_path) as host:
        assert host == left
        assert dockerd.answers(host)
        assert (Path(host.removeprefix("unix://")).parent / "dockerd.pid").read_text() != pid
    assert not dockerd.answers(host)


def test_two_daemons_at_once_keep_out_of_each_other_s_way(tmp_path: Path) -> None:
    with dockerd.private_dockerd(tmp_path / "docker") as first, dockerd.private_dockerd(tmp_path / "docker") as second:
        assert first != second
        assert dockerd.answers(first)
        assert dockerd.answers(second)


def gateway(host: str) -> str:
    """This machine's address on the network of the daemon at HOST."""
    client = docker.DockerClient(host)
    try:
        return str(client.networks.get("bridge").attrs["IPAM"]["Config"][0]["Gateway"])
    finally:
        client.close()


def test_a_daemon_that_comes_back_does_not_take_an_address_that_is_another_s_by_now(tmp_path: Path) -> None:
    with dockerd.private_dockerd(tmp_path / "docker") as first:
        before = gateway(first)
    with own_bridge("hub-test-taken") as bridge, dockerd.private_dockerd(tmp_path / "docker") as again:
        taken = process.run("ip", "-4", "-brief", "address", "show", "dev", bridge).stdout
        assert f"{gateway(again)}/" not in taken, f"it had {before} before"


def test_no_daemon_answers_at_an_address_without_one(tmp_path: Path) -> None:
    assert not dockerd.answers(f"unix://{tmp_path}/none.sock")
    assert not dockerd.answers(f"tcp://127.0.0.1:{free_port()}")


def test_the_registry_lets_in_only_its_user(registry: LocalRegistry) -> None:
    url = f"http://{registry.host}/v2/"
    assert httpx.get(url, trust_env=False).status_code == 401
    assert httpx.get(url, auth=(registry.username, "wrong"), trust_env=False).status_code == 401
    assert httpx.get(url, auth=(registry.username, registry.password), trust_env=False).status_code == 200


def test_the_registry_ends_with_its_block(tmp_path: Path) -> None:
    with local_registry(tmp_path) as host:
        assert httpx.get(f"http://{host}/v2/", trust_env=False).status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://{host}/v2/", trust_env=False)


LEAVE_A_REGISTRY = """
import os, pathlib, sys
from hubtool.sandbox.registry import local_registry
with local_registry(pathlib.Path(sys.argv[1])) as host:
    print(host, flush=True)
    os.kill(os.getpid(), 9)
"""


def test_a_registry_that_a_killed_run_left_is_ended_and_its_port_taken_over(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", LEAVE_A_REGISTRY, str(tmp_path)]
    # The registry holds the pipe open when its parent is gone: one line is all that comes.
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        port = int(killed.stdout.readline().rpartition(":")[2])
    left = (tmp_path / "registry.pid").read_text()
    with local_registry(tmp_path, port=port) as host:
        assert httpx.get(f"http://{host}/v2/", trust_env=False).status_code == 200
        assert (tmp_path / "registry.pid").read_text() != left
    assert is_free(port)


def test_a_port_that_is_taken_is_one_clear_error(tmp_path: Path, registry: LocalRegistry) -> None:
    port = int(registry.host.rpartition(":")[2])
    with (
        pytest.raises(HubtoolError, match=f"port {port} of the registry is taken"),
        local_registry(tmp_path, port=port),
    ):
        pass


def test_programs_that_cannot_be_installed_are_named_with_their_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no apt-get here
    with pytest.raises(HubtoolError, match="not installed: docker-registry") as caught:
        packages.ensure(["docker-registry"])
    assert "apt-get install docker-registry" in str(caught.value)


def test_a_signal_to_us_still_ends_the_service(tmp_path: Path) -> None:
    pidfile, code = tmp_path / "pid", "import time; time.sleep(60)"
    program = f"""
import pathlib, sys
from hubtool.sandbox.services import service
with service([sys.executable, "-c", {code!r}], log=pathlib.Path({str(tmp_path / "log")!r}), ready=lambda: True) as run:
    pathlib.Path({str(pidfile)!r}).write_text(str(run.pid))
    __import__("time").sleep(60)
"""
    pid = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, "-c", program])
    while not pidfile.exists() or not pidfile.read_text():
        time.sleep(0.05)
    os.kill(pid, signal.SIGINT)
    os.waitpid(pid, 0)
    assert not Path(f"/proc/{pidfile.read_text()}").exists()
