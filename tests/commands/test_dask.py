"""A stack built by two Dask workers, each with an engine of its own and the registry between them."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dask.config
import docker
import git
import pytest
import trustme

from hubtool import __version__
from hubtool.commands.sameness import read_content
from hubtool.reference import ImageReference
from hubtool.registries import open_client
from hubtool.sandbox import dockerd
from tests.builders.conftest import write_files
from tests.commands.dask_cluster import Cluster, cluster
from tests.commands.holding import Holding, holding
from tests.commands.stacks import HEAD, Stack
from tests.conftest import LocalRegistry
from tests.contracts.every import long

pytestmark = [pytest.mark.engine, pytest.mark.slow]


@pytest.fixture(scope="module")
def hosts(docker_host: str) -> list[str]:
    """The DOCKER_HOST of every daemon that was used."""
    return [docker_host]


@pytest.fixture(scope="module")
def second_host(hosts: list[str], cache_dir: Path) -> Iterator[str]:
    """The DOCKER_HOST of another daemon."""
    with dockerd.private_dockerd(cache_dir / "docker-of-another") as host:
        hosts.append(host)
        yield host
        hosts.remove(host)


@pytest.fixture(scope="module")
def login(registry: LocalRegistry, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DOCKER_CONFIG as `docker login` leaves it."""
    auth = base64.b64encode(f"{registry.username}:{registry.password}".encode()).decode()
    folder = tmp_path_factory.mktemp("docker")
    (folder / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": auth}}}))
    return folder


@pytest.fixture(scope="module")
def environment(login: Path, docker_host: str) -> dict[str, str]:
    """What a worker finds on its machine."""
    return {"DOCKER_CONFIG": str(login), "HUBTOOL_ENGINE": "docker", "DOCKER_HOST": docker_host}


@pytest.fixture
def none(tmp_path: Path) -> Iterator[Cluster]:
    """A scheduler without workers."""
    with cluster(tmp_path) as found:
        yield found


@pytest.fixture
def workers(none: Cluster, environment: dict[str, str], second_host: str) -> Cluster:
    """Two workers, one and two."""
    none.add("one", environment)
    none.add("two", {**environment, "DOCKER_HOST": second_host})
    return none


@pytest.fixture
def stack(registry: LocalRegistry, login: Path, hosts: list[str], tmp_path: Path) -> Iterator[Stack]:
    """A stack on a machine that has no engine."""
    nowhere = {"DOCKER_HOST": "unix:///nowhere.sock", "DOCKER_CONFIG": str(login), "GIT_CONFIG_GLOBAL": os.devnull}
    name = f"{registry.host}/{tmp_path.name.replace('_', '-').lower()}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_CONFIG", str(login))
        yield Stack(tmp_path / "stack", name, {**os.environ, **nowhere})
    for client in map(docker.DockerClient, hosts):
        for image in client.images.list(filters={"reference": f"{name}*/stack/*"}):
            client.images.remove(str(image.id), force=True)
        client.close()


@pytest.fixture
def server() -> Iterator[Holding]:
    with holding() as found:
        yield found


def fetching(server: Holding) -> str:
    """A Dockerfile of bundle whose build asks the server."""
    return HEAD + f"ARG TOOL\nADD {server.url}/$TOOL /fetched\nCOPY word.txt /word.txt\n"


def made_by(stderr: str) -> dict[str, list[str]]:
    """The workers that each variant was given to."""
    found: dict[str, list[str]] = {}
    for name, worker in re.findall(r"^(\S+): to (tcp://\S+),", stderr, re.MULTILINE):
        found.setdefault(name, []).append(worker)
    return found


def begin(stack: Stack, *words: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "hubtool", *words]
    return subprocess.Popen(argv, cwd=stack.root, env=stack.environment, stderr=subprocess.PIPE, text=True)


def test_what_a_dead_worker_was_building_goes_to_another(
    stack: Stack, workers: Cluster, server: Holding, environment: dict[str, str]
) -> None:
    stack.write(**{"bundle/Dockerfile": fetching(server)})
    settings = (stack.root / "hubtool.yaml").read_text()
    (stack.root / "hubtool.yaml").write_text(settings.replace("layers: as-built\n", ""))
    stack.commit("layers that have no times")
    server.held = {"/red"}
    running = begin(stack, "release", "--scheduler", workers.address)
    assert running.stderr
    assert server.asked.wait(120)
    until: list[str] = []
    while "bundle[red]" not in made_by("".join(until)):
        until.append(running.stderr.readline())
    given = made_by("".join(until))
    assert {one for found in given.values() for one in found} == set(workers.workers.values())
    victim = given["bundle[red]"][0]
    name, another = sorted(workers.workers, key=lambda one: workers.workers[one] != victim)
    workers.kill(name)
    rest = running.communicate(timeout=300)[1]
    assert running.returncode == 0, rest
    assert f"{victim}: gone; bundle[red] goes to another" in rest
    assert made_by(rest)["bundle[red]"] == [workers.workers[another]]
    assert set(stack.plan().values()) == {("reuse", "unchanged")}
    assert server.left.wait(60), "its build went on"
    commit = git.Repo(stack.root).head.commit.hexsha[:12]
    assert (stack.root / ".hubtool" / "logs" / f"app[red]-red-{commit}.log").is_file()
    assert not workers.left_by(another)
    # One machine alone makes the same.
    alone = replace(stack, host=f"{stack.host}-alone")
    here = {"DOCKER_HOST": environment["DOCKER_HOST"], "HUBTOOL_REGISTRY": f"{alone.host}/stack"}
    done = alone.run("release", "app", "--jobs", "3", **here)
    assert done.returncode == 0, done.stderr
    for image in ("base", "lang", "bundle", "app"):
        names = alone.tags(image)
        assert names <= stack.tags(image)
        assert {one: layers(stack, image, one) for one in names} == {one: layers(alone, image, one) for one in names}


def layers(stack: Stack, image: str, tag: str) -> tuple[str, ...]:
    with open_client(ImageReference.parse(f"{stack.host}/stack/team-{image}")) as client:
        manifest = client.get_manifest(tag)
        found = manifest and read_content(client, manifest)
    assert found
    return found.layers


def test_a_variant_that_fails_takes_only_what_is_built_on_it_and_its_log_is_here(
    stack: Stack, none: Cluster, environment: dict[str, str]
) -> None:
    worker = none.add("one", environment)
    stack.write(**{"bundle/Dockerfile": HEAD + "ARG TOOL\nCOPY only-$TOOL.txt /\n", "bundle/only-red.txt": ""})
    done = stack.run("build", "app", "--scheduler", none.address, "--jobs", "2")
    assert done.returncode == 1
    assert "1 of 7 failed" in done.stderr
    assert "app[blue] is left out: bundle[blue] failed" in done.stderr
    assert f"on {worker}" in done.stderr
    commit = git.Repo(stack.root).head.commit.hexsha[:12]
    log = f".hubtool/logs/bundle[blue]-blue-{commit}.log"
    assert f"the whole log: {log}\n" in done.stderr
    assert "only-blue.txt" in (stack.root / log).read_text()
    assert len(done.stdout.splitlines()) == 5
    assert all("@sha256:" in line for line in done.stdout.splitlines())
    assert not stack.tags("base"), "build sets no tag"


def test_ctrl_c_ends_the_builds_of_the_workers(
    stack: Stack, none: Cluster, environment: dict[str, str], server: Holding
) -> None:
    none.add("one", environment)
    stack.write(**{"base/Dockerfile": HEAD + f"ADD {server.url}/x /fetched\n"})
    server.held = {"/x"}
    running = begin(stack, "build", "--scheduler", none.address)
    assert server.asked.wait(120)
    running.send_signal(signal.SIGINT)
    stderr = running.communicate(timeout=60)[1]
    assert running.returncode == 130
    assert "Traceback" not in stderr
    assert server.left.wait(60), "the build went on"
    # The worker is there for the next one.
    done = stack.run("build", "base[cpu]", "--scheduler", none.address)
    assert done.returncode == 0, done.stderr
    assert none.left_by("one") == []


def test_a_scheduler_that_is_lost_ends_the_run(
    stack: Stack, none: Cluster, environment: dict[str, str], server: Holding
) -> None:
    none.add("one", environment)
    stack.write(**{"base/Dockerfile": HEAD + f"ADD {server.url}/x /fetched\n"})
    server.held = {"/x"}
    running = begin(stack, "build", "--scheduler", none.address)
    assert server.asked.wait(120)
    none.scheduler.kill()
    stderr = running.communicate(timeout=120)[1]
    assert running.returncode == 1
    assert f"hubtool: {none.address}: the connection to the scheduler was lost" in stderr
    assert "Traceback" not in stderr
    assert server.left.wait(60), "the build went on"


@long
def test_a_worker_without_an_engine_gets_nothing_more(stack: Stack, none: Cluster, environment: dict[str, str]) -> None:
    stack.write()
    broken = none.add("broken", {**environment, "DOCKER_HOST": "unix:///nowhere.sock"})
    done = stack.run("build", "base", "--scheduler", none.address)
    assert done.returncode == 1
    why = "Docker does not answer at unix:///nowhere.sock"
    assert f"hubtool: {none.address}: no worker is left; {broken}: {why}\n" in done.stderr
    fine = none.add("fine", environment)
    done = stack.run("build", "base", "--scheduler", none.address)
    assert done.returncode == 0, done.stderr
    assert f"warning: {broken} gets nothing more: {why}\n" in done.stderr
    assert all(found[-1] == fine for found in made_by(done.stderr).values())
    assert sum(broken in found for found in made_by(done.stderr).values()) == 1


def test_what_nobody_tested_is_not_published(stack: Stack, none: Cluster, environment: dict[str, str]) -> None:
    none.add("one", environment)
    stack.write()
    text = (stack.root / "hubtool.yaml").read_text()
    (stack.root / "hubtool.yaml").write_text(text.replace("contract: none", "contract: jupyterhub"))
    stack.commit("with a contract")
    done = stack.run("build", "base[cpu]", "--scheduler", none.address)
    assert done.returncode == 0, done.stderr
    done = stack.run("push", "base[cpu]")
    assert done.returncode == 1
    assert "did not pass its contract (jupyterhub)" in done.stderr
    done = stack.run("release", "base[cpu]", "--scheduler", none.address)
    assert done.returncode == 1
    assert "not passed: base[cpu] (J1" in done.stderr
    assert "J1" in done.stderr.partition("not passed")[0], "the report is shown"
    assert not stack.tags("base")


def test_a_worker_of_another_version_is_named(
    stack: Stack, none: Cluster, environment: dict[str, str], tmp_path: Path
) -> None:
    stack.write()
    done = stack.run("build", "--scheduler", none.address)
    assert done.returncode == 1
    assert "hubtool: no workers are there\n" in done.stderr
    write_files(
        tmp_path / "lib", {"hubtool-0.0.1.dist-info/METADATA": "Metadata-Version: 2.1\nName: hubtool\nVersion: 0.0.1\n"}
    )
    worker = none.add("old", {**environment, "PYTHONPATH": str(tmp_path / "lib")})
    done = stack.run("build", "--scheduler", none.address)
    assert done.returncode == 1
    ours = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert f"{worker} has hubtool 0.0.1 with Python {ours}, and this machine hubtool {__version__}" in done.stderr


@long
def test_over_tls_with_workers_that_have_nannies(
    stack: Stack, environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, files = trustme.CA(), {"ca": tmp_path / "ca.pem", "both": tmp_path / "both.pem"}
    authority.cert_pem.write_to_path(str(files["ca"]))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(files["both"]))
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TLS__CA_FILE", str(files["ca"]))
    for who in ("SCHEDULER", "WORKER", "CLIENT"):
        monkeypatch.setenv(f"DASK_DISTRIBUTED__COMM__TLS__{who}__CERT", str(files["both"]))
    dask.config.refresh()
    stack.write()
    with cluster(tmp_path, "tls") as found:
        found.add("one", environment, nanny=True)
        names = ("CA_FILE", "CLIENT__CERT")
        certificates = {name: os.environ[name] for name in (f"DASK_DISTRIBUTED__COMM__TLS__{one}" for one in names)}
        done = stack.run("build", "lang[red,cpu]", "--scheduler", found.address, **certificates)
        assert done.returncode == 0, done.stderr
        assert len(done.stdout.splitlines()) == 2
        assert found.left_by("one") == []
    monkeypatch.undo()
    dask.config.refresh()


@pytest.mark.parametrize(
    ("scheduler", "words"),
    [
        ("tcp://127.0.0.1:1", "no Dask scheduler at tcp://127.0.0.1:1: "),
        ("carrier://pigeon:1", "no Dask scheduler at carrier://pigeon:1: not such an address"),
        ("tcp://host:1 --", "no Dask scheduler at tcp://host:1 --: not such an address"),
        ("tls://127.0.0.1:1", "no Dask scheduler at tls://127.0.0.1:1: Dask's settings name no certificates"),
    ],
)
def test_where_no_scheduler_is_one_error_says_so(stack: Stack, scheduler: str, words: str) -> None:
    stack.write()
    done = stack.run("build", "--scheduler", scheduler)
    assert done.returncode == 1
    assert words in done.stderr
    assert "certificates" in done.stderr


def test_without_dask_the_error_says_what_to_install(stack: Stack, tmp_path: Path) -> None:
    stack.write()
    write_files(tmp_path / "without", {"distributed.py": "raise ModuleNotFoundError('distributed')\n"})
    done = stack.run("build", "--scheduler", "tcp://127.0.0.1:1", PYTHONPATH=str(tmp_path / "without"))
    assert done.returncode == 1
    assert "pip install 'hubtool[dask]'" in done.stderr
    assert stack.run("plan", "--offline", PYTHONPATH=str(tmp_path / "without")).returncode == 0


def test_a_dry_run_goes_not_with_workers(stack: Stack) -> None:
    stack.write()
    done = stack.run("release", "--dry-run", "--scheduler", "tcp://127.0.0.1:1")
    assert done.returncode == 1
    assert "--dry-run goes not with --scheduler" in done.stderr
