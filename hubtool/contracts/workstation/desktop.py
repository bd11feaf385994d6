"""What a platform of workstations needs of a desktop's passwords and services: X server, window manager, VNC, SSH, and
Jupyter where it has one.

The container has no network, so no port of it can be reached from outside. Each service is spoken to over the
container's own loopback, by the image's bash and its SSH client.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pytest

from hubtool.contracts import Settings
from hubtool.contracts.image import ImageUnderTest
from hubtool.contracts.started import PAUSE
from hubtool.contracts.workstation import rfb, secrecy
from hubtool.contracts.workstation.facts import home_of
from hubtool.contracts.workstation.inside import ask, listening, listening_in, processes
from hubtool.contracts.workstation.passwords import try_passwords
from hubtool.contracts.workstation.relay import Relay, RelayError
from hubtool.contracts.workstation.ssh import SshClient
from hubtool.contracts.workstation.starts import KNOBS, Starts, Workstation
from hubtool.errors import HubtoolError

pytestmark = pytest.mark.profiles("desktop")

Ssh = Callable[[Workstation], SshClient]
RESTART_SECONDS = 30
REFUSED_SECONDS = 10
FORWARDED = 47822
BANNER = b"SSH-2.0-"


def test_R5_says_no_password(
    container: Workstation, configured: Workstation, starts: Starts, settings: Settings
) -> None:
    """No password is in the container's log, neither one that it was given nor one that it made.

    Logs are kept for long, and read by more people than the desktop's user.

    To mend: echo no password, not even a random one; no set -x in the start.
    """
    given = {"PASSWORD": starts.password, "VNC_PASSWORD": starts.vnc_password}
    log = configured.logs()
    told = [f"the value of {name} is in the log" for name, value in given.items() if value in log]
    maybe = secrecy.candidates(container.logs())
    told += ["the log tells the user's password"] if maybe and try_passwords(container.container, maybe).logins else []
    told += ["the log tells the VNC password"] if secrecy.opens_vnc(container, settings, maybe) else []
    assert not told, "; ".join(dict.fromkeys(told))


def test_R5_leaves_no_password_with_its_processes(configured: Workstation, starts: Starts) -> None:
    """No process has a password in its environment or its command line.

    Every program that the user starts inherits the one, and ps shows everybody the other.

    To mend: unset PASSWORD VNC_PASSWORD before the start goes on by exec; hand a program a file, not an argument.
    """
    given = {"PASSWORD": starts.password, "VNC_PASSWORD": starts.vnc_password}
    told = []
    for one in processes(configured.container):
        for name, value in given.items():
            if value in (one.environment or {}).values():
                told.append(f"{one.name} (pid {one.pid}) has {name} in its environment")
            if any(value in word for word in one.argv):
                told.append(f"{one.name} (pid {one.pid}) has {name} in its command line")
    assert not told, "; ".join(told)


def test_R9_its_services_run(container: Workstation, settings: Settings) -> None:
    """The services of a desktop run: X server, window manager, VNC, SSH.

    A desktop without its window manager is a grey screen, one without VNC or SSH can't be reached.

    To mend: read the container's log; or say in parameters.services which programs it has instead.
    """
    missing = [name for name in container.missing if name in settings.parameters.services]
    assert not missing, f"not running: {', '.join(missing)}"


def test_R9_its_services_have_the_users_home(container: Workstation, settings: Settings) -> None:
    """Every process has the run user's HOME.

    A window manager with HOME=/root reads no settings of the user, and all it starts fails to write its own.

    To mend: set no HOME in supervisord.conf, or the run user's.
    """
    home = home_of(settings)
    found = [(one, (one.environment or {}).get("HOME", home)) for one in processes(container.container)]
    wrong = [f"{one.line} has HOME={other}" for one, other in found if other.rstrip("/") != home]
    assert not wrong, "; ".join(wrong)


def test_R10_vnc_wants_a_password(container: Workstation, settings: Settings) -> None:
    """VNC answers, and lets nobody in without a password.

    Whoever reaches the port of an open VNC server has the desktop, with its data.

    To mend: x11vnc with -rfbauth or -passwdfile, on the port that parameters.vnc_port says.
    """
    greeting = _greeting(container, settings)
    assert rfb.NONE not in greeting.types, f"{greeting.banner}: it offers access without a password (security type 1)"


def test_R10_takes_the_vnc_password_it_is_given(restricted: Workstation, starts: Starts, settings: Settings) -> None:
    """VNC lets in who knows VNC_PASSWORD, and nobody with another.

    The gateway (Guacamole) has this password alone; with another one users see "connection refused".

    To mend: write VNC_PASSWORD to the file that x11vnc reads its password from.
    """
    words = (starts.vnc_password[::-1], starts.vnc_password)
    wrong, right = (_logs_in(restricted, settings, word) for word in words)
    assert right, "it refuses what VNC_PASSWORD holds"
    assert not wrong, "it lets in who has another password"


@contextmanager
def _visit(container: Workstation, settings: Settings) -> Iterator[tuple[Relay, rfb.Greeting]]:
    """A connection to the desktop's VNC server, and what it says first; tried again where it takes no viewer yet."""
    deadline = time.monotonic() + REFUSED_SECONDS
    while True:
        with Relay(container.container, settings.parameters.vnc_port) as relay:
            try:
                greeting = rfb.greet(relay)
            except rfb.RefusedError:
                if time.monotonic() >= deadline:
                    raise
                continue
            yield relay, greeting
            return


def _greeting(container: Workstation, settings: Settings) -> rfb.Greeting:
    try:
        with _visit(container, settings) as (_, greeting):
            return greeting
    except RelayError as error:
        pytest.fail(str(error))


def _logs_in(container: Workstation, settings: Settings, password: str) -> bool:
    try:
        with _visit(container, settings) as (relay, greeting):
            if rfb.PASSWORD not in greeting.types:
                pytest.skip("it offers no plain VNC password (security type 2)")
            return rfb.log_in(relay, greeting, password)
    except RelayError as error:
        pytest.fail(str(error))


@pytest.fixture(scope="session")
def ssh(starts: Starts, run_user: str, settings: Settings) -> Ssh:
    """An SSH client in a desktop, for the run user with the password that the desktop was given."""
    return lambda one: SshClient(one.container, settings.parameters.ssh_port, run_user, starts.password)


def test_R11_ssh_answers(container: Workstation, settings: Settings) -> None:
    """SSH answers on its port.

    The gateway uploads files over it, and users their scripts.

    To mend: sshd as the run user, on the port that parameters.ssh_port says.
    """
    try:
        with Relay(container.container, settings.parameters.ssh_port) as relay:
            first = relay.receive(len(BANNER))
    except RelayError as error:
        pytest.fail(str(error))
    assert first == BANNER, f"port {settings.parameters.ssh_port} says {first!r}, and no SSH server's 'SSH-2.0-'"


def test_R11_ssh_takes_passwords_only_when_told(container: Workstation, run_user: str, settings: Settings) -> None:
    """SSH takes passwords only with SSH_ENABLE_PASSWORD_AUTH=true.

    Where nobody asked for it, a password that is guessed opens the desktop.

    To mend: PasswordAuthentication no in the sshd_config that the start writes, yes only with the variable.
    """
    methods = SshClient(container.container, settings.parameters.ssh_port, run_user).methods()
    if not methods:
        pytest.skip("the image's SSH client does not get to ask: see the first R11")
    assert not methods & {"password", "keyboard-interactive"}, f"without the variable it takes {', '.join(methods)}"


def test_R11_ssh_logs_the_user_in(configured: Workstation, ssh: Ssh, settings: Settings) -> None:
    """With SSH_ENABLE_PASSWORD_AUTH=true SSH lets in who knows PASSWORD, and sftp takes a file.

    It is how the gateway brings users' files in.

    To mend: PasswordAuthentication yes, UsePAM yes, Subsystem sftp internal-sftp.
    """
    client = ssh(configured)
    done = client.run("id", "-u")
    assert done.stdout.split() == [str(settings.uid)], f"the login fails: {_last(done.stderr or done.stdout)}"
    sent = client.put("/proc/self/status", "/tmp/.hubtool-sent")
    assert sent.returncode == 0, f"sftp: {_last(sent.stderr)}"


def test_R11_sftp_can_be_switched_off(starts: Starts, ssh: Ssh) -> None:
    """DISABLE_SFTP=true switches sftp off.

    A platform that lets nobody take data out relies on it.

    To mend: no Subsystem sftp in sshd_config where DISABLE_SFTP is true.
    """
    restricted = starts.restricted
    assert restricted.up, f"with DISABLE_SFTP it does not come up: {restricted.problem}"
    client = ssh(restricted)
    if client.run("true").returncode:
        pytest.skip("nobody can log in: see the other R11")
    assert client.put("/proc/self/status", "/tmp/.hubtool-sent").returncode, "sftp takes a file, with DISABLE_SFTP=true"


def test_R11_ssh_forwards_when_told(configured: Workstation, ssh: Ssh, settings: Settings) -> None:
    """TCP_FORWARDING=true and GATEWAY_PORTS=true let SSH forward ports, to other machines too.

    Users reach the web applications of their workstation by it.

    To mend: AllowTcpForwarding and GatewayPorts in sshd_config, as the variables say.
    """
    client, port = ssh(configured), settings.parameters.ssh_port
    if client.run("true").returncode:
        pytest.skip("nobody can log in: see the other R11")
    there = client.run(options=(f"-W127.0.0.1:{port}",))
    assert there.stdout.startswith(BANNER.decode()), (
        f"TCP_FORWARDING=true, and it forwards nothing: {_last(there.stderr)}"
    )
    back = client.run("cat", "/proc/net/tcp", "/proc/net/tcp6", options=("-R", f"*:{FORWARDED}:127.0.0.1:{port}"))
    ports = listening_in(back.stdout)
    assert ports.get(FORWARDED), "GATEWAY_PORTS=true, and a forwarded port can be reached from nowhere else"


def _last(text: str) -> str:
    return (text.strip().splitlines() or ["it says nothing"])[-1]


def test_R12_jupyter_is_the_users_alone(configured: Workstation, settings: Settings) -> None:
    """A Jupyter server answers on loopback, and on no other address unless it wants a token.

    One that is open on every address runs the code of whoever reaches the node's network, as this user.

    To mend: --ip=127.0.0.1, and leave out --ServerApp.token='' and --ServerApp.password=''.
    """
    port = settings.parameters.jupyter_port
    ports = listening(configured.container)
    if port not in ports:
        pytest.skip(f"nothing listens on port {port}: no Jupyter here")
    try:
        with Relay(configured.container, port) as relay:
            relay.send(b"GET /api/sessions HTTP/1.0\r\nHost: localhost\r\n\r\n")
            told = relay.receive(12)
    except RelayError as error:
        pytest.fail(str(error))
    assert told.startswith(b"HTTP/1."), f"port {port} says {told!r}, and nothing of HTTP"
    closed = told[9:] in (b"401", b"403", b"302")
    assert closed or not ports[port], (
        f"port {port} is open on every address: it answers {told[9:].decode()} to no token"
    )


def test_R13_its_variables_have_an_effect(container: Workstation, starts: Starts, settings: Settings) -> None:
    """RESOLUTION, X11VNC_ARGS and OPENBOX_ARGS change how the services are started.

    Users set them for their screen; ignored, they see a desktop that does not fit and no reason.

    To mend: put them into the command lines of supervisord.conf by %(ENV_NAME)s; sed on files of root does nothing.
    """
    assert starts.configured.up, f"with its variables set it does not come up: {starts.configured.problem}"
    lines = [" ".join(one.argv) for one in processes(starts.configured.container)]
    needs = {"X11VNC_ARGS": "x11vnc", "OPENBOX_ARGS": "openbox"}
    used = {name: value for name, value in KNOBS.items() if needs.get(name, "") in ("", *settings.parameters.services)}
    ignored = [f"{name}={value}" for name, value in used.items() if not any(value in line for line in lines)]
    assert not ignored, f"no process has it in its command line: {', '.join(ignored)}"


def test_R4_the_start_changes_the_password(
    container: Workstation, starts: Starts, image: ImageUnderTest, run_user: str
) -> None:
    """The start gives the run user a random password; the one that the image was made with is no use any more.

    Everybody knows that one: it stands in the Dockerfile. With it any user logs in to the desktop of any other.

    To mend: in the start: printf '%s\\n' OLD NEW NEW | passwd, with NEW from /dev/urandom.
    """
    before = _hash(image.files.text("/etc/shadow") or "", run_user)
    now = _hash(ask(container.container, "cat", "/etc/shadow", user="root").stdout, run_user)
    assert now != before, f"{run_user} has the password of the image"
    assert not starts.tries.logins, f"{run_user} has a password that guides tell to begin with"


def _hash(shadow: str, name: str) -> str:
    return next((line.split(":")[1] for line in shadow.splitlines() if line.startswith(f"{name}:")), "")


def test_R4_takes_the_password_it_is_given(configured: Workstation, starts: Starts, run_user: str) -> None:
    """PASSWORD sets the run user's password, all of it.

    The chart hands the gateway and the desktop the same secret; where the desktop has another, nobody gets in.

    To mend: set the password that PASSWORD holds, and stop the start where passwd refuses it.
    """
    short, taken = starts.password[:8], starts.given_tries.logins
    assert starts.password in taken, f"{run_user} can't log in with what PASSWORD holds"
    assert short not in taken, f"{run_user} can log in with the first eight characters of PASSWORD"


def test_R9_its_services_come_back(container: Workstation, settings: Settings) -> None:
    """A service that dies is started again.

    A desktop whose VNC server crashed is lost otherwise, with all that was open in it.

    To mend: autorestart=true for every program in supervisord.conf.
    """
    killed = {name: pids for name in settings.parameters.services if (pids := _pids(container, name))}
    ports = set(listening(container.container))
    ask(
        container.container, "sh", "-c", 'kill -9 "$@"', "kill", *(str(pid) for pids in killed.values() for pid in pids)
    )
    deadline = time.monotonic() + RESTART_SECONDS
    while dead := _not_back(container, killed, ports):
        assert container.container.running(), "the container ended when its services were killed"
        assert time.monotonic() < deadline, f"killed, and not there again after {RESTART_SECONDS} s: {', '.join(dead)}"
        time.sleep(PAUSE)


def _not_back(container: Workstation, killed: Mapping[str, set[int]], ports: set[int]) -> list[str]:
    """The programs that run no more since they were KILLED, and those of PORTS that nothing listens on."""
    try:
        dead = [name for name, pids in killed.items() if not _pids(container, name) - pids]
        return dead + [f"port {port}" for port in sorted(ports - set(listening(container.container)))]
    except HubtoolError as error:  # it ended meanwhile
        return [error.message]


def _pids(container: Workstation, name: str) -> set[int]:
    return {one.pid for one in processes(container.container) if one.is_program(name)}


def test_R16_stays_up(configured: Workstation, starts: Starts, settings: Settings) -> None:
    """A desktop stays up while viewers come and go.

    x11vnc without -forever ends with its first viewer; who comes back finds nothing.

    To mend: x11vnc with -forever -shared; a supervisor as the container's process.
    """
    try:
        with _visit(configured, settings) as (relay, greeting):
            if rfb.PASSWORD not in greeting.types or not rfb.log_in(relay, greeting, starts.vnc_password):
                pytest.skip("no viewer gets in: see R10")
            assert rfb.view(relay), "it lets a viewer in and shows no screen"
    except RelayError as error:
        pytest.skip(f"no viewer gets in: see R10 ({error})")
    deadline = time.monotonic() + RESTART_SECONDS
    while problem := _no_greeting(configured, settings):
        assert configured.container.running(), "the container ended when its viewer had gone"
        assert time.monotonic() < deadline, f"when its viewer had gone, VNC was gone too: {problem}"
        time.sleep(PAUSE)


def _no_greeting(container: Workstation, settings: Settings) -> str:
    try:
        with Relay(container.container, settings.parameters.vnc_port) as relay:
            rfb.greet(relay)
    except RelayError as error:
        return str(error)
    return ""
