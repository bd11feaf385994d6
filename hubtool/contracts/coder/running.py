"""What Coder needs of a workspace image once it is started as its templates do: the agent's bootstrap in place of the
entrypoint, the workspace user with the group of the volumes, an empty volume over the home directory."""

from __future__ import annotations

import re

import pytest

from hubtool.contracts import Settings
from hubtool.contracts.accounts import account_of
from hubtool.contracts.coder import needs, programs
from hubtool.contracts.coder.fixtures import SCRIPTS
from hubtool.contracts.coder.workspace import Workspace, home_of
from hubtool.contracts.image import ImageUnderTest
from hubtool.process import Completed

bare = pytest.mark.profiles("bare")

SECONDS = 60


@pytest.fixture(scope="session")
def startable(image: ImageUnderTest) -> None:
    """Skips what needs the bootstrap where its programs are missing."""
    check = needs.lacks_for_bootstrap(image)
    if check:
        pytest.skip(f"a program of the bootstrap is missing: see {check}")


def test_D1_the_agent_starts(startable: None, workspace: Workspace) -> None:
    """The agent starts: the bootstrap fetches it over HTTP into a temporary folder and runs it.

    When it does not, the workspace stays at "connecting", while the pod or container looks as if it ran.

    To mend: read the log, which says where it ended. It needs a temporary folder (TMPDIR, else /tmp; BINARY_DIR)
    that the workspace user may write to and run programs from.
    """
    assert workspace.up, workspace.problem


def test_D2_the_agent_has_its_users_home(container: Workspace, image: ImageUnderTest, settings: Settings) -> None:
    """The agent runs as the workspace user, and its HOME is the user's volume: empty at first, and writable.

    With another uid or HOME, terminals and editors save beside the volume, and all is gone at the next start.

    To mend: no ENV HOME; the right home in /etc/passwd; the home of hubtool.yaml (parameters: home).
    """
    said = container.logs()
    ids = re.search(r"^Uid:\s+(\d+)\s+(\d+)", said, re.M)
    assert ids is not None, "the agent can't read /proc/self/status"
    assert set(ids.groups()) == {str(settings.uid)}, f"it runs as uid {ids[2]}, expected {settings.uid}"
    home = re.search(r"^hubtool-bootstrap: HOME=(.*)$", said, re.M)
    assert home is not None, "the bootstrap says no HOME"
    account = account_of(settings.uid, image.passwd)
    if "HOME" not in image.environment and (account is None or account.home.rstrip("/") != home_of(settings)):
        pytest.skip("the workspace user has another home: see C2")
    assert home[1].rstrip("/") == home_of(settings), f"HOME is '{home[1]}', expected {home_of(settings)}"
    bad = (programs.HOME_FULL, programs.HOME_SHUT, programs.NOT_WRITABLE)
    wrong = [line.removeprefix(programs.AGENT).strip() for line in said.splitlines() if line in bad]
    assert not wrong, "; ".join(wrong)


def test_D3_the_agent_is_fetched_over_tls(
    startable: None, container: Workspace, image: ImageUnderTest, request: pytest.FixtureRequest
) -> None:
    """The agent is fetched over HTTPS from a server whose authority is in the image's certificate bundle.

    Coder's access URL is HTTPS nearly everywhere. A download program that reads another bundle than the image's
    refuses it, and the workspace never connects.

    To mend: let SSL_CERT_FILE (curl: CURL_CA_BUNDLE, or its own configuration) name the image's bundle.
    """
    if needs.bundle_problem(image):
        pytest.skip("a bundle of certificate authorities is missing: see C6")
    secure: Workspace = request.getfixturevalue("secure_workspace")
    assert secure.up, secure.problem


def test_D4_the_users_shell_runs_commands(container: Workspace, image: ImageUnderTest, settings: Settings) -> None:
    """The workspace user's shell runs commands, also as a login shell.

    The agent opens terminals, and runs startup scripts, by the shell of /etc/passwd; nologin ends them at once.

    To mend: give the workspace user a shell (usermod --shell /bin/bash); mend /etc/profile.
    """
    account = account_of(settings.uid, image.passwd)
    if account is None or needs.missing_programs(image, [account.login_shell]):
        pytest.skip("the workspace user has no shell: see C2")
    shell = account.login_shell
    for options in (["-c"], ["-l", "-c"]):
        done = _run(container, shell, *options, "exit 7")
        assert done.returncode == 7, f"{shell} {' '.join(options)} 'exit 7' ends with {_end(done)}"


def test_D5_sudo_works(container: Workspace, image: ImageUnderTest, settings: Settings) -> None:
    """sudo asks for no password (parameters: sudo; where left out, if it is in the image).

    People install with it what an image lacks. In a Nix store it can't be setuid; without sudoers, PAM or an
    account it refuses.

    To mend: copy it out of the store to /usr/bin, root's, mode 4755; a line in /etc/sudoers.d (coder ALL=(ALL)
    NOPASSWD:ALL); /etc/pam.d/sudo. Or remove it.
    """
    wanted, found = settings.parameters.sudo, needs.find_program(image, "sudo")
    if found is None:
        assert not wanted, "sudo is not in the image"
        pytest.skip("sudo is not in the image, and hubtool.yaml does not ask for it")
    if account_of(settings.uid, image.passwd) is None:
        pytest.skip("the workspace user has no account: see C2")
    done = _run(container, "sudo", "-n", "true")
    if wanted is False:
        assert done.returncode != 0, "the workspace user becomes root by sudo (parameters: sudo: false)"
    else:
        assert done.returncode == 0, f"sudo -n true ends with {_end(done)}"


@bare
def test_D6_scripts_run(container: Workspace, image: ImageUnderTest, injected: str) -> None:
    """Scripts run that name /bin/sh, /bin/bash or /usr/bin/env in their first line.

    Installers and startup scripts do; else they are "not found", though they are there.

    To mend: see C10; /usr/bin/env must be coreutils' or busybox's.
    """
    if needs.missing_programs(image, needs.SCRIPT_PROGRAMS):
        pytest.skip("a program that they name is missing: see C10")
    for script in ("sh.sh", "bash.sh", "env.sh"):
        done = _run(container, f"{injected}/{script}")
        first = SCRIPTS[script]
        assert done.stdout.strip() == "ran", f"a script that starts with {first} ends with {_end(done)}"


@pytest.fixture(scope="session")
def foreign(container: Workspace, image: ImageUnderTest, injected: str) -> Completed:
    """What a program for glibc ended with. Skips where its loader is missing."""
    if not needs.has_loader(image):
        pytest.skip("glibc's loader is missing: see C11")
    return _run(container, f"{injected}/glibc")


@pytest.fixture(scope="session")
def runs_foreign(foreign: Completed) -> None:
    """Skips what needs programs for glibc to run where they don't."""
    if foreign.returncode != 0:
        pytest.skip("programs for glibc don't run: see D7")


@bare
def test_D7_a_program_for_glibc_runs(foreign: Completed) -> None:
    """A program that was built elsewhere for glibc runs.

    VS Code's server, JetBrains' backends, code-server and the Pythons that uv fetches are such programs.

    To mend: link the loader of the image's own glibc, with libc.so.6 where that loader looks (LD_LIBRARY_PATH).
    """
    assert foreign.returncode == 0, f"it ends with {_end(foreign)}"


@bare
def test_D8_a_program_for_libstdcxx_runs(runs_foreign: None, container: Workspace, injected: str) -> None:
    """A program that was built elsewhere and needs libstdc++ runs.

    Node.js is one, and with it VS Code's server and code-server.

    To mend: have libstdc++ (in Nix: stdenv.cc.cc.lib) in LD_LIBRARY_PATH or in a folder of the loader's.
    """
    done = _run(container, f"{injected}/cxx")
    assert done.returncode == 0, f"it ends with {_end(done)}"


@bare
def test_D9_users_and_hosts_have_names(
    runs_foreign: None, container: Workspace, injected: str, image: ImageUnderTest, settings: Settings
) -> None:
    """glibc finds the workspace user's name, and localhost.

    Else prompts say "I have no name!", ssh says "No user exists for uid 1000", and servers on localhost are not found.

    To mend: /etc/passwd, /etc/nsswitch.conf and /etc/hosts that everybody may read; see C13.
    """
    done = _run(container, f"{injected}/names")
    account = account_of(settings.uid, image.passwd)
    if account is None:
        pytest.skip("the workspace user has no account: see C2")
    told = done.stdout.splitlines()
    assert told == [account.name], f"asked for uid {settings.uid} and localhost, glibc says: {'; '.join(told)}"


@bare
def test_D10_its_locale_is_there(
    runs_foreign: None, container: Workspace, injected: str, image: ImageUnderTest
) -> None:
    """The locale that its variables name is installed.

    Else perl, git and R warn at every start, and names with letters beyond ASCII break.

    To mend: LANG=C.UTF-8; or install it (locale-gen; in Nix glibcLocales and LOCALE_ARCHIVE).
    """
    done = _run(container, f"{injected}/locale")
    named = ", ".join(f"{name}={image.environment[name]}" for name in ("LANG", "LC_ALL") if name in image.environment)
    assert not done.stdout, f"{done.stdout.strip()}: {named}"


def _run(container: Workspace, *argv: str) -> Completed:
    return container.container.exec(argv, timeout=SECONDS)


def _end(done: Completed) -> str:
    said = (done.stderr or done.stdout).strip().splitlines()[-1:]
    return f"code {done.returncode}" + (f": {said[0][:300]}" if said else "")
