"""A desktop that keeps the contract, and for every promise of its services one that breaks it and nothing else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.contracts.conftest import BuildImage, RunContract, containers_of
from tests.contracts.every import some
from tests.contracts.workstation.conftest import (
    Broken,
    Good,
    Reports,
    as_root,
    found,
    in_script,
    replaced,
    report_all,
)

START, CONF = "start-desktop", "supervisord.conf"
CONNECT = 'python3 -c "import socket; socket.socket().connect_ex((\\"192.0.2.1\\", 443))"'
SERVER = (
    "import http.server as h, socketserver as t; H=h.BaseHTTPRequestHandler; "
    "H.do_GET=lambda s: (s.send_response(CODE), s.end_headers()); "
    't.TCPServer(("HOST", 8888), H).serve_forever()'
)
PROGRAM = "[program:jupyter]\\ncommand=python3 /opt/workstation/jupyter.py\\n"
SHORT = {"start_seconds": 15}


def jupyter(host: str, code: int) -> str:
    """Dockerfile lines for a service that listens where Jupyter does, and answers CODE to whoever has no token."""
    script = SERVER.replace("HOST", host).replace("CODE", str(code))
    return as_root(
        f"echo '{script}' > /opt/workstation/jupyter.py && printf '{PROGRAM}' >> /opt/workstation/supervisord.conf"
    )


BROKEN = {
    "ends at once": Broken(in_script(START, "exit 7"), "R1", "the container ended with code 7"),
    "asks its maker for updates": Broken(in_script(START, f"{CONNECT} || :"), "R1", "1 times something tried"),
    "password of the build": Broken(
        in_script(START, 'given="${PASSWORD:-}"')
        + replaced(START, "^    set_password$", '    [ "$given" ] \\&\\& set_password'),
        "R4",
        "chaimeleon has the password of the image",
    ),
    "password of everybody": Broken(
        replaced(START, 'password:-$(random)}"$', 'password:-chaimeleon}"'), "R4", "has a password that guides tell"
    ),
    "generated password in the log": Broken(
        in_script(START, 'echo "chaimeleon password random generated: $password"', "^    set_password$"),
        "R5",
        "the log tells the user's password",
    ),
    "generated VNC password in the log": Broken(
        in_script(START, 'echo "VNC password: $(cat "$state/vnc-password")"', "^    set_password$"),
        "R5",
        "the log tells the VNC password",
    ),
    "passwords in the environment": Broken(
        replaced(START, "^unset PASSWORD VNC_PASSWORD", ":"), "R5", "has PASSWORD in its environment"
    ),
    "no window manager": Broken(
        replaced(CONF, "with-display openbox", "with-display tail -f /dev/null --"),
        "R9",
        "not running: openbox",
        settings=SHORT,
    ),
    "window manager at home in /root": Broken(
        replaced(CONF, "^\\[program:openbox\\]", '&\\nenvironment=HOME="/root",USER="root"'),
        "R9",
        "openbox has HOME=/root",
    ),
    "services that stay dead": Broken(
        replaced(CONF, "autorestart=true", "autorestart=false"), "R9", "killed, and not there again after 30 s: Xvfb"
    ),
    "VNC without a password": Broken(
        replaced(CONF, "-passwdfile [^ ]*", "-nopw"), "R10", "it offers access without a password"
    ),
    "VNC on another port": Broken(
        replaced(CONF, "-rfbport 5900", "-rfbport 5901"), "R10", "no connection to port 5900", settings=SHORT
    ),
    "another VNC password": Broken(
        replaced(START, "vnc_password:-$(random)", "no_password:-$(random)"),
        "R10",
        "it refuses what VNC_PASSWORD holds",
    ),
    "SSH on another port": Broken(
        replaced(START, "^Port 2222", "Port 2223"), "R11", "no connection to port 2222", settings=SHORT
    ),
    "SSH that always takes passwords": Broken(
        replaced(START, "echo yes || echo no)$", "echo yes || echo yes)"), "R11", "without the variable it takes"
    ),
    "SSH that never takes passwords": Broken(
        replaced(START, "^PasswordAuthentication .*", "PasswordAuthentication no"), "R11", "the login fails"
    ),
    "sftp that can't be switched off": Broken(
        replaced(START, '"${DISABLE_SFTP:-}" != true', "1"), "R11", "sftp takes a file, with DISABLE_SFTP=true"
    ),
    "no forwarding": Broken(
        replaced(START, "^AllowTcpForwarding .*", "AllowTcpForwarding no"),
        "R11",
        "TCP_FORWARDING=true, and it forwards",
    ),
    "forwarding for itself alone": Broken(
        replaced(START, "^GatewayPorts .*", "GatewayPorts no"), "R11", "can be reached from nowhere else"
    ),
    "Jupyter for everybody": Broken(jupyter("0.0.0.0", 200), "R12", "open on every address: it answers 200"),
    "resolution of its own": Broken(
        replaced(CONF, "%(ENV_RESOLUTION)s", "1280x800"), "R13", "in its command line: RESOLUTION=1024x600"
    ),
    "VNC that ends with its first viewer": Broken(
        replaced(CONF, "-forever -shared", "-once") + replaced(CONF, "autorestart=true", "autorestart=unexpected"),
        "R16",
        "when its viewer had gone, VNC was gone too",
    ),
}
RUN = some(BROKEN)
RENAMED = (
    as_root("usermod --login ds --home /home/ds --move-home chaimeleon && groupmod --new-name ds chaimeleon")
    + "USER ds:ds\nWORKDIR /home/ds\n"
)
GOOD = {
    "good": Broken("", "", ""),
    "another user": Broken(RENAMED, "", "", settings={"user": "ds"}),
    "Jupyter on loopback": Broken(jupyter("127.0.0.1", 200), "", ""),
    "Jupyter with a token": Broken(jupyter("0.0.0.0", 403), "", ""),
}
KEPT = some(GOOD, "Jupyter with a token")


@pytest.fixture(scope="module")
def reports(
    request: pytest.FixtureRequest,
    pool: ThreadPoolExecutor,
    good: Good,
    build_image: BuildImage,
    hold: RunContract,
) -> Reports:
    return report_all(
        request, pool, "desktop", {**KEPT, **RUN}, lambda: good("desktop"), build_image=build_image, hold=hold
    )


@pytest.mark.parametrize("name", KEPT)
def test_a_good_desktop_keeps_every_promise(name: str, reports: Reports) -> None:
    assert found(reports.of(name)) == (set(), "")
    skipped = {result.check for result in reports.of(name).results if result.outcome == "skipped"}
    assert skipped == {"S11", "R14"} | (set() if "Jupyter" in name else {"R12"})


@pytest.mark.parametrize("name", RUN)
def test_a_broken_desktop_fails_its_one_check(name: str, reports: Reports) -> None:
    checks, says = found(reports.of(name))
    assert checks == set(BROKEN[name].fails.split()), says
    assert BROKEN[name].says in says


def test_nothing_is_left_of_desktops(reports: Reports) -> None:
    for report in reports.every():
        assert containers_of(report.reference) == {}
