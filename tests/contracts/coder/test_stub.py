"""The stand-in for Coder's server, and the bootstrap against it, with the shell of this machine."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from hubtool.contracts.coder.stub import LOOPBACK, Authority, CoderStub
from hubtool.contracts.coder.workspace import BOOTSTRAP, FAILED

AGENT = b'#!/bin/sh\necho Coder, or so; echo "$0 $*"\n'


@pytest.fixture
def stub() -> Iterator[CoderStub]:
    made = CoderStub(LOOPBACK, "amd64", AGENT)
    yield made
    made.close()


def test_it_hands_out_the_agent_at_its_own_address_only(stub: CoderStub) -> None:
    assert httpx.get(f"{stub.url}bin/coder-linux-amd64").content == AGENT
    assert stub.asked == 1
    parts = urlsplit(stub.url)
    others = [f"{stub.url}bin/coder-linux-arm64", f"http://{parts.netloc}/bin/coder-linux-amd64", stub.url]
    assert {httpx.get(url).status_code for url in others} == {404}
    assert stub.asked == 1


def test_with_an_authority_it_is_trusted_by_who_trusts_that() -> None:
    authority = Authority()
    stub = CoderStub(LOOPBACK, "amd64", AGENT, authority)
    try:
        url = f"{stub.url}bin/coder-linux-amd64"
        trusting = ssl.create_default_context(cadata=authority.certificate)
        assert httpx.get(url, verify=trusting).content == AGENT
        for context in (ssl.create_default_context(), ssl.create_default_context(cadata=Authority().certificate)):
            with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
                httpx.get(url, verify=context)
        assert stub.asked == 1
    finally:
        stub.close()


def test_who_says_nothing_keeps_nobody_waiting(stub: CoderStub) -> None:
    place = urlsplit(stub.url)
    with socket.create_connection((LOOPBACK, place.port or 0)):
        assert httpx.get(f"{stub.url}bin/coder-linux-amd64").content == AGENT


def run_bootstrap(stub: CoderStub, folder: Path, **environment: str) -> str:
    """What the bootstrap says until it ends, or has failed."""
    variables = {"PATH": os.environ["PATH"], "ACCESS_URL": stub.url, "ARCH": "amd64", "TMPDIR": str(folder)}
    argv, pipe = ["/bin/sh", "-c", BOOTSTRAP], subprocess.PIPE
    with subprocess.Popen(
        argv, env=variables | environment, stdout=pipe, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if FAILED.search(said):
                os.killpg(process.pid, 9)
                break
    return said


def test_the_bootstrap_becomes_the_agent(stub: CoderStub, tmp_path: Path) -> None:
    said = run_bootstrap(stub, tmp_path, HOME="/home/nobody")
    assert said.splitlines()[0] == "hubtool-bootstrap: HOME=/home/nobody"
    assert said.splitlines()[-1] == "./coder agent"
    assert [path.name.split(".")[0] for path in tmp_path.iterdir()] == ["coder"]


FAILURES = {
    "no temporary folder": ({"TMPDIR": "/nowhere"}, "make a temporary folder"),
    "no such architecture": ({"ARCH": "riscv64"}, "fetch http"),
    "no such folder for programs": ({"BINARY_DIR": "/nowhere"}, "change to the folder /nowhere"),
    "a program that only seems to fetch": ({"PATH": "{wrong}:{tools}"}, "--version, with head and grep (code "),
    "no program to fetch with": ({"PATH": "{tools}"}, "(code 127)"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_the_bootstrap_says_where_it_failed(name: str, stub: CoderStub, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for program in ("mktemp", "chmod", "sleep", "head", "grep"):
        (tools / program).symlink_to(next(p for p in (Path("/usr/bin", program), Path("/bin", program)) if p.exists()))
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    (wrong / "curl").write_text('#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done; echo "<html>" > "$2"\n')
    (wrong / "curl").chmod(0o755)
    changed, words = FAILURES[name]
    places = {key: value.format(tools=tools, wrong=wrong) for key, value in changed.items()}
    said = run_bootstrap(stub, tmp_path, **places)
    found = FAILED.search(said)
    assert found is not None, said
    assert words in found[1]


def test_the_bootstrap_is_plain_shell() -> None:
    assert "\r" not in BOOTSTRAP
    assert subprocess.run(["sh", "-n", "-c", BOOTSTRAP]).returncode == 0
