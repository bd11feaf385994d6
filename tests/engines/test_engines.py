"""What every engine promises, asked of each of them."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import docker
import pytest

from hubtool.engines import Container, ContainerSpec, Engine, EngineBuild, Unsupported, choose_engine, get_engine
from hubtool.errors import HubtoolError
from hubtool.process import ProcessError, run
from tests.engines.conftest import SMALL, build_of, no_working_container

pytestmark = pytest.mark.engine
MADE = "localhost/hubtool-test:made"
SERVER = (
    "import http.server, signal, sys\n"
    "signal.signal(signal.SIGTERM, lambda *a: sys.exit(7))\n"
    "print('listening', flush=True)\n"
    "http.server.HTTPServer(('', {port}), http.server.SimpleHTTPRequestHandler).serve_forever()\n"
)


@contextmanager
def running(engine: Engine, spec: ContainerSpec) -> Iterator[Container]:
    container = engine.run(spec)
    try:
        yield container
    finally:
        container.remove()


def wait_for(container: Container, text: str) -> None:
    end = time.monotonic() + 20
    while text not in container.logs():
        assert time.monotonic() < end, container.logs()
        time.sleep(0.1)


def test_it_says_what_it_is(engine: Engine) -> None:
    assert engine.check().split()[0].lower() == engine.name
    assert engine.can_run() is None


def test_a_build_is_named_inspected_and_removed(engine: Engine) -> None:
    text = f'FROM {SMALL}\nARG WORD\nRUN echo said $WORD\nENV A=b\nUSER 1000\nENTRYPOINT ["env"]\n'
    lines = list(engine.build(build_of(text, args={"WORD": "x y"}, labels={"org.example.a": 'q" $x'})))
    assert any("said x y" in line for line in lines)
    found = engine.inspect(MADE)
    assert found is not None
    assert found.id.startswith("sha256:")
    assert found.config["User"] == "1000"
    assert "A=b" in found.config["Env"]
    assert found.config["Labels"]["org.example.a"] == 'q" $x'
    assert found.architecture in ("amd64", "arm64")
    assert found.size > 50_000_000
    assert engine.inspect(found.id) == found or engine.inspect(found.id).id == found.id  # type: ignore[union-attr]
    engine.remove_image(MADE)
    engine.remove_image(MADE)
    assert engine.inspect(MADE) is None


def test_a_build_that_fails_leaves_the_tag_where_it_was(engine: Engine) -> None:
    list(engine.build(build_of(f"FROM {SMALL}\nENV V=1\n")))
    before = engine.inspect(MADE)
    with pytest.raises(HubtoolError, match="the build failed") as caught:
        list(engine.build(build_of(f"FROM {SMALL}\nENV V=2\nRUN echo last words; exit 3\n")))
    assert "last words" in caught.value.message
    assert engine.inspect(MADE) == before
    no_working_container(engine)


def test_a_folder_is_a_context_as_well(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "Dockerfile").write_text(f"FROM {SMALL}\nCOPY x /x\nRUN grep -q content /x\n")
    (tmp_path / "x").write_text("content")
    engine.remove_image(MADE)
    list(engine.build(EngineBuild(MADE, tmp_path, "sub/Dockerfile")))
    assert engine.inspect(MADE) is not None


def test_a_stream_cannot_write_outside_its_folder(engine: Engine, tmp_path: Path) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, data in (("Dockerfile", f"FROM {SMALL}\n".encode()), (f"../../{tmp_path}/escaped", b"x")):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    stream.seek(0)
    with suppress(HubtoolError):
        list(engine.build(EngineBuild(MADE, stream)))
    assert not (tmp_path / "escaped").exists()


def test_a_build_that_is_given_up_ends(engine: Engine) -> None:
    mark = f"{time.time()}"
    lines = engine.build(build_of(f"FROM {SMALL}\nRUN echo {mark} && sleep 60\n"))
    for line in lines:
        if line.rstrip().endswith(mark) and "RUN" not in line:
            break
    started = time.monotonic()
    lines.close()  # type: ignore[attr-defined]
    assert time.monotonic() - started < 15
    no_working_container(engine)


def test_a_container_answers_and_stops_when_told(engine: Engine) -> None:
    port = _free_port()
    spec = ContainerSpec(SMALL, entrypoint=["python3", "-c"], command=[SERVER.format(port=port)], ports=[port])
    with running(engine, spec) as container:
        wait_for(container, "listening")
        assert container.running()
        assert container.exit_code() is None
        assert _answers(*container.address(port))
        assert container.stop(10) < 8
        assert not container.running()
        assert container.exit_code() == 7


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(host: str, port: int) -> bool:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            with socket.create_connection((host, port), timeout=2) as connection:
                connection.sendall(b"HEAD / HTTP/1.0\r\n\r\n")
                if connection.recv(100).startswith(b"HTTP/1.0 200"):
                    return True
        except OSError:
            pass  # not yet
        time.sleep(0.1)
    return False


def test_a_program_that_will_not_stop_is_killed(engine: Engine) -> None:
    spec = ContainerSpec(SMALL, command=["sh", "-c", "trap '' TERM; echo up; while :; do sleep 1; done"])
    with running(engine, spec) as container:
        wait_for(container, "up")
        assert 1 <= container.stop(1) < 8
        assert not container.running()


def test_programs_run_inside_as_who_where_and_with_what_is_asked(engine: Engine) -> None:
    spec = ContainerSpec(
        SMALL, command=["sleep", "60"], user="1000:1000", groups=["100"], environment={"A": "spec", "B": "spec"}
    )
    with running(engine, spec) as container:
        script = "echo $(id -u):$(id -G) $A $B $PWD; echo wrong >&2; exit 5"
        done = container.exec(["sh", "-c", script], environment={"B": "exec"}, workdir="/tmp")
        assert (done.returncode, done.stdout, done.stderr) == (5, "1000:1000 100 spec exec /tmp\n", "wrong\n")
        assert container.exec(["id", "-u"], user="0").stdout == "0\n"
        assert container.exec(["true"]).stderr == ""
        started = time.monotonic()
        with pytest.raises(ProcessError, match="ran out of time"):
            container.exec(["sleep", "30"], timeout=1)
        assert time.monotonic() - started < 10


def arguments_of_all_programs() -> bytes:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended meanwhile
            found.append(path.read_bytes())
    return b"\n".join(found)


def test_variables_arrive_as_they_are_and_stand_in_no_program_s_arguments(engine: Engine) -> None:
    hostile = "a secret'; touch /pwned; $(id) `id` \"\\ é\nsecond line"
    spec = ContainerSpec(SMALL, command=["sleep", "60"], user="1000:1000", environment={"HIDDEN": hostile})
    with running(engine, spec) as container:
        assert container.exec(["sh", "-c", 'printf %s "$HIDDEN"']).stdout == hostile
        assert container.exec(["test", "-e", "/pwned"]).returncode != 0
        listed = arguments_of_all_programs()
        assert b"sleep\x0060" in listed
        assert b"a secret" not in listed


def test_an_empty_home_is_writable_by_its_user_and_programs_run_from_it(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "run").write_text("#!/bin/sh\necho ran\n")
    (tmp_path / "folder" / "run").chmod(0o755)
    spec = ContainerSpec(SMALL, command=["sleep", "60"], user="1000:1000", empty={"/home/ann": 1000})
    with running(engine, spec) as container:
        assert container.exec(["sh", "-c", "ls -A /home/ann; stat -c '%u %g %a' /home/ann"]).stdout == "1000 100 2775\n"
        for target in ("/home/ann/copied/deep", "/opt/copied"):
            container.copy_in(tmp_path, target)
            assert container.exec([f"{target}/folder/run"]).stdout == "ran\n"
            assert container.exec(["touch", f"{target}/folder/new"]).returncode == 0


def test_no_program_gets_privileges_where_none_may(engine: Engine) -> None:
    for groups in ([], ["100"]):
        spec = ContainerSpec(SMALL, command=["sleep", "60"], user="1000", groups=groups, new_privileges=False)
        with running(engine, spec) as container:
            assert "NoNewPrivs:\t1" in container.exec(["cat", "/proc/self/status"]).stdout
            assert container.exec(["id", "-u"]).stdout == "1000\n"


# What is asked for, a program that meets it, and the last of what that prints.
ONLY_DOCKER: dict[str, tuple[dict[str, Any], str, str]] = {
    "the network 'none'": ({"network": "none"}, "ls /sys/class/net", "lo"),
    "a limit of processes": ({"processes": 20}, "(for i in $(seq 40); do sleep 9 & done) || echo refused", "refused"),
    "a limit of memory": ({"memory": 64 * 1024**2}, "python3 -c 'bytearray(10**9)' || echo refused", "refused"),
    "a size of /dev/shm": ({"shm": 32 * 1024**2}, "df --output=size /dev/shm", "32768"),
}


@pytest.mark.parametrize("what", ONLY_DOCKER)
def test_what_an_engine_cannot_give_is_said_and_nothing_is_left(
    what: str, docker_engine: Engine, buildah_engine: Engine
) -> None:
    asked, script, said = ONLY_DOCKER[what]
    spec = ContainerSpec(SMALL, command=["sleep", "60"], **asked)
    with running(docker_engine, spec) as container:
        assert container.exec(["sh", "-c", script]).stdout.split()[-1:] == [said]
    with pytest.raises(Unsupported, match=f"buildah cannot give a container {what}"):
        buildah_engine.run(spec)
    no_working_container(buildah_engine)


def test_volumes_and_networks_of_a_run_are_removed_with_it(docker_engine: Engine) -> None:
    client = docker.from_env()
    try:
        labels = {"hubtool.run": "labelled"}
        volume, network = client.volumes.create(labels=labels), client.networks.create("labelled", labels=labels)
        assert docker_engine.clean("labelled") == 0
        for gone in (volume, network):
            with pytest.raises(docker.errors.NotFound):
                gone.reload()
    finally:
        client.close()


def test_volumes_are_what_they_say(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("here")
    spec = ContainerSpec(SMALL, command=["sleep", "60"], volumes={str(tmp_path): ("/mounted", "ro")})
    with running(engine, spec) as container:
        assert container.exec(["cat", "/mounted/x"]).stdout == "here"
        assert container.exec(["touch", "/mounted/y"]).returncode != 0


def test_what_a_run_left_is_found_by_its_id_and_removed(engine: Engine) -> None:
    for _ in range(2):
        engine.run(ContainerSpec(SMALL, command=["sleep", "98765"], labels={"hubtool.run": "leftover"}))
    assert engine.clean("leftover") == 2
    assert engine.clean("leftover") == 0


def test_containers_end_with_the_program_that_started_them(engine: Engine) -> None:
    program = (
        "import sys; from hubtool.engines import get_engine, ContainerSpec\n"
        f"get_engine({engine.name!r}).run(ContainerSpec({SMALL!r}, command=['sleep', '60'],"
        " labels={'hubtool.run': 'ended'}))\nraise KeyboardInterrupt\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=os.environ)
    assert "KeyboardInterrupt" in done.stderr
    assert engine.clean("ended") == 0


def test_a_program_that_is_not_there_is_seen(engine: Engine) -> None:
    spec = ContainerSpec(SMALL, command=["/no/such/program"])
    if engine.name == "docker":
        with pytest.raises(HubtoolError, match="/no/such/program"):
            engine.run(spec)
        return
    with running(engine, spec) as container:
        wait_for(container, "/no/such/program")
        container.stop()
        assert container.exit_code() != 0


def test_an_image_travels_through_an_archive(engine: Engine, tmp_path: Path) -> None:
    list(engine.build(build_of(f"FROM {SMALL}\nRUN echo {time.time()} > /new\n")))
    before = engine.inspect(MADE)
    assert before is not None
    engine.export(MADE, tmp_path / "image.tar")
    assert os.listdir(tmp_path) == ["image.tar"]
    engine.tag(MADE, "localhost/hubtool-test:again")
    engine.remove_image(MADE)
    engine.remove_image("localhost/hubtool-test:again")
    assert engine.inspect(before.id) is None
    assert engine.load(tmp_path / "image.tar") == before.id
    assert engine.inspect(MADE) is not None


def test_an_image_that_is_not_there_is_an_error(engine: Engine, tmp_path: Path) -> None:
    for attempt in (
        lambda: engine.run(ContainerSpec("localhost/no/such:image", command=["true"])),
        lambda: engine.export("localhost/no/such:image", tmp_path / "x.tar"),
        lambda: engine.tag("localhost/no/such:image", "localhost/a:b"),
    ):
        with pytest.raises(HubtoolError):
            attempt()
    assert os.listdir(tmp_path) == []
    (tmp_path / "not.tar").write_text("no tar")
    with pytest.raises(HubtoolError):
        engine.load(tmp_path / "not.tar")


def test_a_taken_port_is_an_error_where_the_network_is_shared(buildah_engine: Engine) -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(HubtoolError, match=f"port {port} is taken"):
            buildah_engine.run(ContainerSpec(SMALL, command=["true"], ports=[port]))


def test_ports_that_others_have_are_passed_over(docker_engine: Engine) -> None:
    spec = ContainerSpec(SMALL, command=["sleep", "60"], ports=[8000])
    with ExitStack() as stack:
        host, port = stack.enter_context(running(docker_engine, spec)).address(8000)
        for other in range(port + 1, port + 26):  # more than a daemon tries by itself
            taken = stack.enter_context(socket.socket())
            with suppress(OSError):
                taken.bind((host, other))
                taken.listen()
        assert stack.enter_context(running(docker_engine, spec)).address(8000)[1] > port


def test_an_engine_that_does_not_answer_is_an_error_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///no/such/docker.sock")
    engine = get_engine("docker")
    with pytest.raises(HubtoolError, match=r"Docker does not answer at unix:///no/such/docker\.sock"):
        engine.check()
    assert engine.can_run() is not None


def test_the_docker_context_in_use_leads_to_its_daemon(
    docker_engine: Engine, docker_host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.delenv("DOCKER_HOST")
    run("docker", "context", "create", "here", "--docker", f"host={docker_host}")
    monkeypatch.setenv("DOCKER_CONTEXT", "here")
    assert docker_host in get_engine("docker").check()
    monkeypatch.setenv("DOCKER_CONTEXT", "nowhere")
    with pytest.raises(HubtoolError, match="nowhere"):
        get_engine("docker").check()


def test_without_any_engine_each_ones_reason_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", "unix:///no/such/docker.sock")
    monkeypatch.delenv("HUBTOOL_ENGINE", raising=False)
    with pytest.raises(HubtoolError, match=r"docker: Docker does not answer.*buildah: buildah is not installed"):
        choose_engine()
    with pytest.raises(HubtoolError, match="no engine called 'podman'"):
        choose_engine("podman")
