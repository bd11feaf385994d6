"""What a platform of workstations needs of an image once it is started as the platform does: no network, the run
user's uid and gid, one more group that no image knows, data sets mounted read-only, the user's volumes empty."""

from __future__ import annotations

import pytest

from hubtool.contracts import Settings
from hubtool.contracts.workstation.facts import is_cuda
from hubtool.contracts.workstation.inside import COUNTERS, ask, attempts, processes
from hubtool.contracts.workstation.starts import ARGUMENTS, EXTRA_GROUP, Starts, Workstation, hook_of

SHOWN = 10
PIPS = (("pip",), ("pip3",), ("python3", "-m", "pip"))
IMPORT_SECONDS = 120


def test_R1_starts_without_a_network(starts: Starts) -> None:
    """It starts without any network, in time: a batch image runs its command, a desktop answers.

    The platform gives a workstation no internet, and often no name server. A start that waits for one is a workstation
    that does not come.

    To mend: read the container's log; take from the start whatever asks the network; or raise 'start_seconds'.
    """
    if starts.first.up:
        return
    if starts.plain is not None and starts.plain.up:
        pytest.skip("it starts only without a further group and volumes: see R3")
    pytest.fail(starts.first.problem)


def test_R1_tries_to_reach_nothing(starts: Starts, container: Workstation) -> None:
    """Nothing in its start tries to reach the network: no connection and no name is asked for beyond loopback.

    Each try costs its time limit where the platform drops packets, and tells a name server what runs here.

    To mend: look for curl, pip, apt, telemetry and update checks in the start scripts and services.
    """
    if starts.desktop:
        told = ask(container.container, *COUNTERS).stdout
    else:
        starts.jobs["offline"].wait_for_end()
        told = starts.jobs["offline"].logs()
    count = attempts(told)
    if count is None:
        pytest.skip("the counters of the container's kernel can't be read")
    assert count == 0, f"{count} times something tried to reach beyond the container while it started"


def test_R2_everything_runs_as_the_run_user(container: Workstation, settings: Settings) -> None:
    """Every process runs as the run user, the first one too.

    A process of another uid can't use the user's volumes, and one of root is a way to be root.

    To mend: start nothing by sudo or a setuid program; let sshd and the like run as the run user.
    """
    others = [one for one in processes(container.container) if set(one.uids) != {settings.uid}]
    assert not others, "; ".join(f"{one.line} runs as uid {one.uids[1]}" for one in others[:SHOWN])


def test_R2_nobody_becomes_root(container: Workstation, starts: Starts) -> None:
    """sudo, su and doas make nobody root, neither without a password nor with the user's own.

    Who is root in a workstation can copy data that must not leave.

    To mend: take the user out of sudoers and its groups; give root no password at all (passwd --lock root).
    """
    found = [*starts.tries.root, *(starts.given_tries.root if starts.desktop and starts.configured.up else ())]
    assert not found, f"root by {', '.join(dict.fromkeys(found))}"


def test_R3_starts_with_the_platforms_volumes_and_group(starts: Starts) -> None:
    """It starts with a group that it does not know and with data sets that can't be written.

    Data sets are mounted read-only, and belong to a group of the project; a start that writes there, or looks up the
    name of every group, ends.

    To mend: write nothing below the mounts; let the start go on where a group has no name.
    """
    if not starts.first.up:
        if starts.plain is None or not starts.plain.up:
            pytest.skip("it does not start without them either: see R1")
        pytest.fail(f"it starts only without a further group and volumes: {starts.first.problem}")
    groups = ask(starts.first.container, "id", "-G").stdout.split()
    assert EXTRA_GROUP in groups, f"its groups are {' '.join(groups)}, without the {EXTRA_GROUP} that it was given"


def test_R3_can_write_where_users_do(container: Workstation) -> None:
    """The run user can write in the folder that it starts in, in the home directory, and in /tmp.

    Jobs write their results where they start; every program wants /tmp.

    To mend: WORKDIR below the home directory, owned by the run user; /tmp with mode 1777.
    """
    script = 'for folder in . "$HOME" /tmp; do t="$folder/.hubtool"; touch "$t" && rm "$t" || echo "$folder"; done'
    done = ask(container.container, "sh", "-c", script)
    told = done.stdout.split("\n")[:-1]
    assert not told, f"can't write in {', '.join(told)}"


@pytest.mark.profiles("batch")
def test_R6_arguments_stay_as_they_are(starts: Starts, container: Workstation) -> None:
    """Arguments reach the command as they were given: blanks, quotes, $, * and ; are no shell's.

    An entrypoint that hands them to a shell again breaks python3 -c "…" and every path with a blank, or runs what
    was meant as text.

    To mend: end the entrypoint with exec "$@", with the quotes.
    """
    job = starts.jobs["arguments"]
    job.wait_for_end()
    expected = "".join(f"<{word}>\n" for word in ARGUMENTS)
    said = job.logs()
    assert said.endswith(expected), f"given {ARGUMENTS}, the command printed {said[-300:]!r}"


@pytest.mark.profiles("batch")
def test_R7_the_exit_status_is_the_commands(starts: Starts, container: Workstation) -> None:
    """The container ends with the exit status of its command.

    A job that failed and says 0 counts as done, and nobody looks at its results again.

    To mend: end the entrypoint with exec "$@"; what comes after the command hides its status.
    """
    code = starts.jobs["status"].wait_for_end()
    if code is None:
        pytest.skip("it did not end: see R16")
    assert code == 2, f"grep in a file that is not there ends with 2, the container with {code}"


def test_R8_runs_the_users_own_script(starts: Starts, container: Workstation, settings: Settings) -> None:
    """The user's own script, persistent-home/init.sh, runs before the command or the desktop's services are up.

    Users set up their tools in it; where it is ignored, they set them up by hand in every workstation.

    To mend: run it in the entrypoint where it is there: [ -f "$HOME/persistent-home/init.sh" ] && bash …
    """
    if not hook_of(settings):
        pytest.skip("parameters.user_hook names none")
    if starts.desktop:
        if not starts.configured.up:
            pytest.skip("with its variables set it did not come up: see R13")
        ran = ask(starts.configured.container, *starts.hook_told).returncode == 0
    else:
        starts.jobs["hook"].wait_for_end()
        ran = "the hook ran\n" in starts.jobs["hook"].logs()
    assert ran, f"{hook_of(settings)} did not run"


def test_S11_pip_uses_the_mirror(container: Workstation, settings: Settings) -> None:
    """pip asks the platform's mirror.

    Without it every pip install of a user waits for an index that can't be reached.

    To mend: [global] index-url in /etc/pip.conf, or PIP_INDEX_URL in the Dockerfile's ENV.
    """
    mirror = settings.parameters.pip_mirror
    if mirror is None:
        pytest.skip("parameters.pip_mirror names none")
    # Not `config get`: it passes over the files of the machine.
    said = [ask(container.container, *pip, "config", "list") for pip in PIPS]
    answered = [done.stdout for done in said if done.returncode == 0]
    if not answered:
        pytest.skip(f"no pip in the image: {said[0].stderr.strip() or said[0].stdout.strip()}")
    index = index_in(answered[0])
    assert index.rstrip("/") == mirror.rstrip("/"), f"pip asks {index or 'the public index'}, expected {mirror}"


def index_in(settings: str) -> str:
    """The index that `pip install` asks, of what `pip config list` says; "" for the public one."""
    said = dict(line.partition("=")[::2] for line in settings.splitlines())
    found = [said[key] for key in (":env:.index-url", "install.index-url", "global.index-url") if key in said]
    return found[0].strip("'") if found else ""


MADE_FOR_CUDA = {
    "torch": "import torch; print(torch.version.cuda is not None)",
    "tensorflow": "import tensorflow as tf; print(tf.test.is_built_with_cuda())",
}
THERE = "import sys, importlib.util as u; sys.exit(u.find_spec(sys.argv[1]) is None)"


def test_R14_torch_and_tensorflow_import_without_a_gpu(container: Workstation, settings: Settings) -> None:
    """Torch and TensorFlow import where there is no GPU, and say what they are made for.

    Desktops and the first steps of many jobs run on nodes without one.

    To mend: import it in a container of the image and read what it says.
    """
    python = (container.container, "python3", "-c")
    found = [name for name in MADE_FOR_CUDA if ask(*python, THERE, name).returncode == 0]
    if not found:
        pytest.skip("neither torch nor tensorflow for the image's python3")
    for name in found:
        done = ask(*python, MADE_FOR_CUDA[name], timeout=IMPORT_SECONDS)
        last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        assert done.returncode == 0, f"import {name}: {last}"
        assert done.stdout.split()[-1:] == [str(is_cuda(settings))], f"{name} says CUDA: {done.stdout.strip()}"


@pytest.mark.profiles("batch")
def test_R16_ends_with_its_command(starts: Starts, container: Workstation) -> None:
    """A batch image ends when its command does.

    A job that goes on holds its node, and its queue, until its time is over.

    To mend: leave nothing running in the entrypoint; exec the command.
    """
    running = [name for name, job in starts.jobs.items() if job.wait_for_end() is None]
    assert not running, f"still running after the command ended: {', '.join(running)}"
