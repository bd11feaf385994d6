"""A batch image that keeps the contract, and for every promise an image that breaks it and nothing else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.contracts.conftest import BuildImage, RunContract, containers_of
from tests.contracts.every import some
from tests.contracts.workstation.conftest import (
    RUN_USER,
    Broken,
    Good,
    Reports,
    as_root,
    found,
    in_script,
    replaced,
    report_all,
)

HOME = "/home/chaimeleon"
MIRROR = "https://mirror.example/simple"
TRY = 'import socket; socket.socket().connect_ex(("192.0.2.1", 80))'
FAKE_TORCH = "/usr/lib/python3/dist-packages/torch"


def torch(cuda: str, module: str = "from . import version") -> str:
    """Dockerfile lines for a torch that says it is made for CUDA (a version in quotes) or not (None)."""
    return as_root(
        f"mkdir -p {FAKE_TORCH} && echo '{module}' > {FAKE_TORCH}/__init__.py"
        f' && echo "cuda: str | None = {cuda}" > {FAKE_TORCH}/version.py'
    )


BROKEN = {
    "runs as root": Broken("USER root\n", "S1", "it runs as uid 0 (USER 'root'), expected 1000"),
    "shell that is not there": Broken(as_root("usermod --shell /bin/fish chaimeleon"), "S2", "shell /bin/fish is not"),
    "in the group sudo": Broken(as_root("usermod -aG sudo chaimeleon"), "S3", "chaimeleon is in the group sudo"),
    "sudo group at start as root": Broken(
        in_script("start", 'if [ "$(id -u)" = 0 ]; then usermod -aG sudo chaimeleon; fi'), "S4", "start:4: if [ "
    ),
    "file where data sets are mounted": Broken(f"{RUN_USER}RUN touch ~/datasets/README\n", "S5", "holds README"),
    "label of an ARG before FROM": Broken('LABEL version=""\n', "S6", "no label version"),
    "starts elsewhere": Broken("WORKDIR /tmp\n", "S7", "WORKDIR is /tmp"),
    "port that the run user can't open": Broken("EXPOSE 22\n", "S8", "EXPOSE 22"),
    "SSH server and no password": Broken(
        as_root("install -m 755 /bin/true /usr/sbin/sshd"), "S9", "chaimeleon has no password"
    ),
    "pip's cache": Broken(
        f"{RUN_USER}RUN mkdir -p ~/.cache/pip && head -c 2000000 /dev/urandom > ~/.cache/pip/a\n", "S10", "pip's cache"
    ),
    "pip.conf at the wrong path": Broken(
        f"{RUN_USER}RUN mkdir ~/.config && printf '[global]\\nindex-url={MIRROR}\\n' > ~/.config/pip.conf\n",
        "S11",
        f"pip reads {HOME}/.config/pip.conf",
    ),
    "no mirror": Broken("", "S11", f"pip asks the public index, expected {MIRROR}", {"pip_mirror": MIRROR}),
    "pip install when asked to": Broken(
        in_script("start", 'if [ -n "${UPDATE:-}" ]; then pip install --upgrade pip; fi'),
        "S12",
        "pip install --upgrade pip",
    ),
    "setuid shell": Broken(
        as_root("install -m 4755 /bin/bash /usr/local/bin/rootly"), "S13", "/usr/local/bin/rootly (setuid root)"
    ),
    "passwd that can't": Broken(
        as_root(
            "install -m 755 /bin/true /usr/sbin/sshd && chmod u-s /usr/bin/passwd && echo chaimeleon:first | chpasswd"
        ),
        "S13",
        "/usr/bin/passwd has the mode 755",
    ),
    "ends at once": Broken(in_script("start", "exit 7"), "R1", "the container ended with code 7"),
    "waits for ever": Broken(
        in_script("start", "sleep 300"), "R1", "no answer within 4 s", settings={"start_seconds": 4}
    ),
    "tries to connect": Broken(in_script("start", f"python3 -c '{TRY}'"), "R1", "1 times something tried"),
    "asks for a name": Broken(in_script("start", "getent hosts pypi.example || :"), "R1", "times something tried"),
    "fetches at start": Broken(
        in_script("start", "wget -q -T 4 -O /dev/null https://pypi.example || :"), "R1 S12", "times something tried"
    ),
    "daemon of root": Broken(
        as_root("install -m 4755 /bin/sleep /usr/local/bin/daemon") + in_script("start", "/usr/local/bin/daemon 300 &"),
        "R2",
        "/usr/local/bin/daemon 300 runs as uid 0",
        {"setuid_programs": ["/usr/local/bin/daemon"]},
    ),
    "password of root": Broken(as_root("echo root:chaimeleon | chpasswd"), "R2", "root by su with a password"),
    "writes into the data sets": Broken(
        in_script("start", 'touch "$HOME/datasets/.seen"'), "R3", "it starts only without a further group and volumes"
    ),
    "tmp of root": Broken(as_root("chmod 755 /tmp"), "R3", "can't write in /tmp"),
    "arguments parsed again": Broken(
        replaced("start", 'exec "$@"', 'echo "$@" > "$HOME/.runcmd"; . "$HOME/.runcmd"'), "R6", "Syntax error"
    ),
    "exit status lost": Broken(
        replaced("start", 'exec "$@"', '"$@" || echo failed'), "R7", "ends with 2, the container with 0"
    ),
    "the user's script ignored": Broken(
        replaced("start", "persistent-home/init.sh", "init.sh"), "R8", f"{HOME}/persistent-home/init.sh did not run"
    ),
    "torch for CUDA": Broken(torch("'11.8'"), "R14", f"{FAKE_TORCH}/version.py is made for CUDA"),
    "torch for the CPU": Broken(torch("None"), "R14", f"{FAKE_TORCH}/version.py is made for the CPU", {"cuda": True}),
    "torch that wants a GPU": Broken(
        torch("None", 'raise RuntimeError("no GPU")'), "R14", "import torch: RuntimeError: no GPU"
    ),
    "goes on when its command has ended": Broken(
        replaced("start", 'exec "$@"', 'code=0; "$@" || code=$?; sleep 300; exit $code'),
        "R16",
        "still running after the command ended",
        settings={"start_seconds": 8},
    ),
}
RUN = some(BROKEN)


def test_a_good_batch_image_keeps_every_promise(good: Good, hold: RunContract) -> None:
    assert found(hold(good("batch"), "batch")) == (set(), "")


def test_the_same_contract_holds_for_another_user(good: Good, hold: RunContract) -> None:
    image = good("batch", "ds")
    report = hold(image, "batch", user="ds")
    assert found(report) == (set(), "")
    assert {result.check for result in report.results if result.outcome == "skipped"} == {"S9", "S11", "S13", "R14"}
    assert found(hold(image, "batch"))[0] >= {"S2", "S5", "S7"}


SAMPLE = """\
LIST = (
    "import json, os, sys; root = sys.argv[1]; studies = json.load(open(root + '/index.json'));"
    " print([os.listdir(os.path.join(root, s['path'], part['folderName'])) for s in studies for part in s['series']])"
)


def test_the_example_lists_a_data_set(container):
    found = container.host.check_output("python3 -c %s %s", LIST, "datasets/hubtool-sample")
    assert found == "[['1.dcm']]"

def test_a_data_set_can_not_be_written(container):
    assert container.host.run("touch datasets/hubtool-sample/x").failed
"""


def test_a_repositorys_own_checks_find_a_data_set(good: Good, hold: RunContract, tmp_path: Path) -> None:
    (tmp_path / "test_sample.py").write_text(SAMPLE)
    report = hold(good("batch"), "batch", own_tests=str(tmp_path))
    assert [(result.outcome, result.message) for result in report.results if result.group == "tests"] == [
        ("passed", "")
    ] * 2


@pytest.mark.parametrize("profile", ["batch", "desktop"])
def test_an_image_without_anything_in_it_is_judged(profile: str, build_image: BuildImage, hold: RunContract) -> None:
    image = build_image(f"{profile}-nothing", "FROM scratch\nCOPY Dockerfile /\nUSER 1234\n")
    report = hold(image, profile)
    checks, says = found(report)
    assert checks == {"S1", "S2", "S5", "S6", "S7", "R1"} | ({"S8"} if profile == "desktop" else set())
    assert "the engine can't start it" in says
    assert containers_of(image) == {}


@pytest.fixture(scope="module")
def reports(
    request: pytest.FixtureRequest,
    pool: ThreadPoolExecutor,
    good: Good,
    build_image: BuildImage,
    hold: RunContract,
) -> Reports:
    return report_all(request, pool, "batch", RUN, lambda: good("batch"), build_image=build_image, hold=hold)


@pytest.mark.parametrize("name", RUN)
def test_a_broken_batch_image_fails_its_one_check(name: str, reports: Reports) -> None:
    checks, says = found(reports.of(name))
    assert checks == set(BROKEN[name].fails.split()), says
    assert BROKEN[name].says in says


def test_nothing_is_left_of_batch_images(reports: Reports) -> None:
    for report in reports.every():
        assert containers_of(report.reference) == {}
