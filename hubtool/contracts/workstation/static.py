"""What a platform of workstations needs of an image, as far as its config and files tell; nothing is started."""

from __future__ import annotations

import configparser
import posixpath
import re

import pytest

from hubtool.contracts import Settings
from hubtool.contracts.accounts import account_of, accounts
from hubtool.contracts.ballast import ballast, layer_sizes, size
from hubtool.contracts.image import ImageUnderTest
from hubtool.contracts.workstation import privileges
from hubtool.contracts.workstation.chain import start_scripts
from hubtool.contracts.workstation.facts import cuda_builds, home_of, is_cuda, owner_account, reference_of, resolve_gid
from hubtool.image.files import Entry

SHOWN = 10
LOCKED = ("", "*", "!", "!!", "!*")


def test_S1_runs_as_the_run_user(image: ImageUnderTest, settings: Settings) -> None:
    """It runs as the run user: USER means the configured uid, and a group with the same number.

    The platform starts it with that uid and gid; files that the image made for another user can't be written, and a
    platform that forbids root (runAsNonRoot) refuses the image.

    To mend: end the Dockerfile with USER and the run user's name or uid; or set 'uid' in hubtool.yaml.
    """
    user = str(image.config.get("User") or "")
    assert image.uid is not None, f"USER is '{user}', which the image's /etc/passwd does not hold"
    assert image.uid == settings.uid, f"it runs as uid {image.uid} (USER '{user}'), expected {settings.uid}"
    gid = resolve_gid(user, image)
    assert gid == settings.uid, f"it runs with gid {gid} (USER '{user}'), expected {settings.uid}"


def test_S2_the_run_user_has_an_account(image: ImageUnderTest, settings: Settings) -> None:
    """The run user has an account: uid, gid, a home directory of their own, and a shell that is there.

    Without it whoami, ssh and the desktop have no user, and programs write their settings to / and fail.

    To mend: groupadd --gid 1000 NAME, then useradd --create-home --shell /bin/bash --uid 1000 --gid 1000 NAME.
    """
    account = account_of(settings.uid, image.passwd)
    assert account is not None, f"/etc/passwd has no uid {settings.uid}"
    assert account.gid == settings.uid, f"{account.name} has the group {account.gid}, expected {settings.uid}"
    home = home_of(settings)
    assert account.home == home, f"{account.name}'s home is {account.home}, expected {home}"
    folder = image.files.find(home)
    assert folder is not None, f"there is no {home}"
    owner = (folder.uid, folder.gid)
    assert owner == (settings.uid, settings.uid), f"{home} belongs to {owner[0]}:{owner[1]}"
    shell = next(line.split(":")[-1] for line in image.passwd.splitlines() if line.startswith(f"{account.name}:"))
    assert image.files.find(shell or "/bin/sh") is not None, f"{account.name}'s shell {shell} is not in the image"


def test_S3_the_run_user_is_no_sudoer(image: ImageUnderTest, settings: Settings) -> None:
    """The run user is no sudoer: no group, sudo rule or doas rule makes them root, but for the commands allowed.

    Who is root in a workstation can reach the other volumes of its node, and copy data that must not leave.

    To mend: take the user out of the group or the rule; list a single safe command in parameters.sudo_commands.
    """
    account = owner_account(image, settings)
    groups = privileges.groups_of(account.name, account.gid, image.files.text("/etc/group") or "")
    wrong = [f"{account.name} is in the group {group}" for group in sorted(groups & privileges.ROOT_GROUPS)]
    for path, text in privileges.sudoers_of(image):
        allowed = settings.parameters.sudo_commands
        lines = privileges.sudo_grants(text, account.name, settings.uid, groups, allowed)
        wrong += [f"{path}: {line}" for line in lines]
    doas = image.files.text("/etc/doas.conf") or ""
    wrong += [f"/etc/doas.conf: {line}" for line in privileges.doas_grants(doas, account.name, groups)]
    roots = [other.name for other in accounts(image.passwd) if other.uid == 0 and _has_no_password(image, other.name)]
    wrong += [f"{name} needs no password" for name in roots]
    assert not wrong, "; ".join(wrong[:SHOWN])


def _has_no_password(image: ImageUnderTest, name: str) -> bool:
    lines = (image.files.text("/etc/shadow") or "").splitlines()
    return any(line.split(":")[:2] == [name, ""] for line in lines)


GIVES_ROOT = re.compile(
    r"\b(?:usermod|adduser|addgroup|gpasswd|groupmod)\b.*\b(?:sudo|wheel|admin|root|docker)\b"
    r"|/etc/(?:sudoers|doas\.conf)|\bvisudo\b|\bchmod\s+(?:\S+\s+)*(?:[ug,]*\+[rwx]*s|[2467][0-7]{3})\b"
)


def test_S4_the_start_makes_nobody_root(image: ImageUnderTest) -> None:
    """No script of the start makes the run user root: no group sudo, no sudo rule, no setuid bit.

    A script that does so "when it is started as root" waits for the day that somebody starts it as root.

    To mend: remove the line; what needs root belongs into the Dockerfile.
    """
    found = [
        f"{script.path}:{number}: {line.strip()[:120]}"
        for script in start_scripts(image)
        for number, line in script.code()
        if GIVES_ROOT.search(line)
    ]
    assert not found, "; ".join(found[:SHOWN])


def test_S5_the_folders_for_volumes_are_there_and_empty(image: ImageUnderTest, settings: Settings) -> None:
    """The folders that volumes are mounted over are there, belong to the run user, and are empty.

    A folder that is missing is made by the node, as root's, in the user's home; what an image has in one nobody sees.

    To mend: mkdir them after USER in the Dockerfile, and put nothing in them; or name them in parameters.mounts.
    """
    wrong = []
    for mount in settings.parameters.mounts:
        path = posixpath.join(home_of(settings), mount)
        folder = image.files.find(path)
        if folder is None or folder.kind != "folder":
            wrong.append(f"{path} is not there")
            continue
        inside = [name for name in image.files.visible if name.startswith(f"{folder.path}/")]
        if (folder.uid, folder.gid) != (settings.uid, settings.uid):
            wrong.append(f"{path} belongs to {folder.uid}:{folder.gid}")
        if folder.mode & 0o700 != 0o700:
            wrong.append(f"{path} has the mode {folder.mode:o}")
        if inside:
            wrong.append(f"{path} holds {posixpath.relpath(min(inside), folder.path)}")
    assert not wrong, "; ".join(wrong)


def test_S6_its_labels_say_what_it_is(image: ImageUnderTest, settings: Settings) -> None:
    """The labels name and version say what it is, and authorization by which right, where that is needed.

    The platform's list of images and its users tell versions apart by them. An ARG that is declared before FROM alone
    leaves them empty, or with the value of the base image.

    To mend: declare the ARG again after FROM; or set the labels in hubtool.yaml.
    """
    labels = image.config.get("Labels") or {}
    needed = ["name", "version", *(["authorization"] if settings.parameters.needs_authorization else [])]
    empty = [name for name in needed if not str(labels.get(name) or "").strip()]
    assert not empty, f"no label {', '.join(empty)}"
    reference = reference_of(settings)
    if reference is None:
        return
    repository = reference.repository.rpartition("/")[2]
    assert labels["name"] == repository, f"the label name is '{labels['name']}', the repository's is '{repository}'"
    revision = labels.get("org.opencontainers.image.revision") or ""
    own = revision and revision[:7] in (reference.tag or "")  # hubtool's tags tell the commit
    if reference.tag not in (None, "latest") and not own:
        version = labels["version"]
        assert version == reference.tag, f"the label version is '{version}', the tag is '{reference.tag}'"


def test_S7_starts_at_home_by_its_entrypoint(image: ImageUnderTest, settings: Settings) -> None:
    """It starts in the home directory, by an entrypoint that the run user can run.

    Jobs and users name their files from home on. An entrypoint that is not executable, or whose interpreter is not in
    the image, is "permission denied" or "no such file" on the platform.

    To mend: WORKDIR and ENTRYPOINT in the Dockerfile, the script with chmod 755 and a first line that is there.
    """
    here = str(image.config.get("WorkingDir") or "/")
    assert posixpath.normpath(here) == home_of(settings), f"WORKDIR is {here}, expected {home_of(settings)}"
    entrypoint = [str(word) for word in image.config.get("Entrypoint") or ()]
    assert entrypoint, "no ENTRYPOINT is set"
    program = _program(image, entrypoint[0])
    assert program is not None, f"the entrypoint {entrypoint[0]} is not in the image"
    bits = 0o100 if program.uid == settings.uid else 0o010 if program.gid == settings.uid else 0o001
    assert program.mode & bits, f"the run user can't run /{program.path}: mode {program.mode:o}"
    first = re.match(rb"#!\s*(\S+)(?:[ \t]+(\S+))?", image.files.read(program, 200))
    if first:
        words = [word.decode("utf-8", "replace") for word in first.groups() if word]
        wanted = words[1] if words[0].endswith("/env") and len(words) > 1 else words[0]
        assert _program(image, wanted) is not None, f"/{program.path}: its interpreter {wanted} is not in the image"


def _program(image: ImageUnderTest, name: str) -> Entry | None:
    """The file that NAME means: a path, or a program on PATH."""
    if "/" not in name:
        return image.files.which(name, image.environment.get("PATH", "/usr/local/bin:/usr/bin:/bin"))
    entry = image.files.find(posixpath.join(str(image.config.get("WorkingDir") or "/"), name))
    return entry if entry is not None and entry.kind == "file" else None


def test_S8_says_its_ports(image: ImageUnderTest, settings: Settings) -> None:
    """EXPOSE names the ports of a desktop's SSH and VNC, and none below 1024.

    The chart sends the gateway to these ports; one below 1024 can't be opened by the run user.

    To mend: EXPOSE 2222 5900, or what parameters.ssh_port and vnc_port say.
    """
    told = {int(port.partition("/")[0]) for port in image.config.get("ExposedPorts") or {}}
    low = sorted(port for port in told if port < 1024)
    assert not low, f"EXPOSE {', '.join(map(str, low))}: the run user can't open a port below 1024"
    if settings.profile == "desktop":
        missing = sorted({settings.parameters.ssh_port, settings.parameters.vnc_port} - told)
        assert not missing, f"EXPOSE lacks {', '.join(map(str, missing))}"


def test_S9_the_password_can_be_changed(image: ImageUnderTest, settings: Settings) -> None:
    """Where there is an SSH server, the run user has a password, which the start can change.

    passwd(1) wants the old password; with none the start can set no other, and nobody can log in.

    To mend: set one in the Dockerfile with chpasswd, and have the start replace it.
    """
    if image.files.which("sshd", "/usr/sbin:/usr/local/sbin:/usr/bin") is None:
        pytest.skip("no SSH server in the image")
    name = owner_account(image, settings).name
    lines = [line.split(":") for line in (image.files.text("/etc/shadow") or "").splitlines()]
    fields = next((fields for fields in lines if fields[0] == name and len(fields) > 1), None)
    assert fields is not None, f"/etc/shadow has no {name}"
    locked = fields[1] in LOCKED or fields[1].startswith("!")
    assert not locked, f"{name} has no password in /etc/shadow ('{fields[1][:2]}')"


def test_S10_carries_no_ballast(image: ImageUnderTest, settings: Settings) -> None:
    """It carries no package lists and download caches, and is no larger than its budget.

    Every node fetches them with the image, and users wait for it.

    To mend: rm -rf /var/lib/apt/lists/* in the RUN that made them, pip with --no-cache-dir; or raise
    parameters.max_size or max_layer_size.
    """
    found = ballast(image.files, image.environment)
    wrong = [f"{what} ({place}, {count / 1e6:.0f} MB)" for (what, place), count in sorted(found.items())]
    total, largest = size(image.files), max(layer_sizes(image.files), default=0)
    limits = settings.parameters
    if total > limits.max_size:
        wrong.append(f"its files have {total / 1e9:.2f} GB, allowed are {limits.max_size / 1e9:.2f}")
    if largest > limits.max_layer_size:
        wrong.append(f"a layer has {largest / 1e9:.2f} GB, allowed are {limits.max_layer_size / 1e9:.2f}")
    assert not wrong, "; ".join(wrong)


# Where pip looks: configuration of the machine, the user, and the environment (beside bin/).
PIP_READS = re.compile(
    r"/etc/pip\.conf|/etc/xdg/pip/pip\.conf|{home}/(?:\.config/pip|\.pip)/pip\.conf|/root/(?:\.config/pip|\.pip)/pip\.conf"
)


def test_S11_pip_reads_its_settings(image: ImageUnderTest, settings: Settings) -> None:
    """pip.conf is where pip reads it.

    One at another place, say ~/.config/pip.conf, does nothing: pip asks the public index, which a platform without
    internet never reaches, and every pip install of a user hangs.

    To mend: put it at /etc/pip.conf, or at .config/pip/pip.conf in the home directory.
    """
    reads = re.compile(PIP_READS.pattern.format(home=re.escape(home_of(settings))))
    named = image.environment.get("PIP_CONFIG_FILE", "")
    inert = [
        f"/{path}"
        for path, entry in image.files.visible.items()
        if entry.name == "pip.conf"
        and not reads.fullmatch(f"/{path}")
        and f"/{path}" != named
        and not _beside_python(image, path)
        and _sets_index(image.files.text(path) or "")
    ]
    assert not inert, f"no pip reads {', '.join(sorted(inert)[:SHOWN])}"


def _beside_python(image: ImageUnderTest, path: str) -> bool:
    return image.files.find(posixpath.join("/", posixpath.dirname(path), "bin/python3")) is not None


def _sets_index(text: str) -> bool:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    try:
        parser.read_string(text)
    except configparser.Error:
        return False
    return any(key.replace("_", "-") in ("index-url", "extra-index-url") for part in parser for key in parser[part])


FETCHES = re.compile(
    r"(?<![\w/.-])(?:(?:apt|apt-get|aptitude|dnf|yum|apk)\s+(?:-\S+\s+)*(?:update|install|upgrade|dist-upgrade|add)"
    r"|(?:(?:python3?|\$\w+)\s+-m\s+)?pip3?\s+(?:-\S+\s+)*(?:install|download)|(?:conda|mamba|micromamba)\s+(?:install|update|create)"
    r"|npm\s+(?:install|i|ci|update)|npx\s|git\s+(?:clone|pull|fetch)|curl\s|wget\s)"
)
URL_HOST = re.compile(r"(?:https?|ftp|git|ssh)://(?:[^@/\s]*@)?(\[[^\]]+\]|[^/:\s\"']+)")
LOCAL = frozenset({"localhost", "127.0.0.1", "[::1]"})


def test_S12_the_start_fetches_nothing(image: ImageUnderTest, settings: Settings) -> None:
    """No script of the start fetches anything from outside: no apt, pip, git, curl or wget.

    The platform has no internet. Such a line costs its time limit at every start, or breaks it.

    To mend: do it in the Dockerfile; name hosts of the platform itself in parameters.internal_hosts.
    """
    internal = LOCAL | set(settings.parameters.internal_hosts)
    found = []
    for script in start_scripts(image):
        for number, line in script.code():
            hosts = URL_HOST.findall(line)
            if FETCHES.search(line) and not (hosts and set(hosts) <= internal):
                found.append(f"{script.path}:{number}: {line.strip()[:120]}")
    assert not found, "; ".join(found[:SHOWN])


def test_S13_only_known_programs_run_as_root(image: ImageUnderTest, settings: Settings) -> None:
    """Only a distribution's own programs have the setuid bit or capabilities that come to being root.

    A setuid program made for a build lets every user of the workstation be root.

    To mend: chmod u-s; or name the program in parameters.setuid_programs, when it is safe.
    """
    found = privileges.powerful(image, settings.parameters.setuid_programs)
    assert not found, "; ".join(f"{path} ({what})" for path, what in sorted(found.items())[:SHOWN])


def test_S13_passwd_can_change_the_password(image: ImageUnderTest) -> None:
    """Where there is an SSH server, passwd has its setuid bit: the start changes the password as the run user.

    Without it the password of the build stays, which everybody knows, or the start fails.

    To mend: keep the setuid bit of passwd (chmod u+s /usr/bin/passwd).
    """
    if image.files.which("sshd", "/usr/sbin:/usr/local/sbin:/usr/bin") is None:
        pytest.skip("no SSH server in the image")
    passwd = image.files.which("passwd", "/usr/bin:/bin")
    assert passwd is not None, "there is no passwd in the image"
    root = passwd.mode & 0o4000 and passwd.uid == 0
    assert root, f"/{passwd.path} has the mode {passwd.mode:o}, not setuid root"


def test_R14_is_made_for_cuda_as_its_name_says(image: ImageUnderTest, settings: Settings) -> None:
    """Torch and TensorFlow are made for CUDA in a CUDA image, and for the CPU in the others.

    A CPU build in a CUDA image leaves the GPU idle for hours of a job; a CUDA build in a CPU image is gigabytes for
    nothing.

    To mend: install the right build (torch's index for CPU or CUDA); or set parameters.cuda.
    """
    wanted, builds = is_cuda(settings), cuda_builds(image)
    if not builds:
        pytest.skip("neither torch nor tensorflow in the image")
    wrong = [f"{path} is made for {'CUDA' if made else 'the CPU'}" for path, made in builds.items() if made != wanted]
    assert not wrong, f"the image is made for {'CUDA' if wanted else 'the CPU'}, but {'; '.join(wrong)}"
    if wanted:
        search = image.environment.get("PATH", "/usr/local/bin:/usr/bin:/bin")
        injected = {"utility", "all"} & set(image.environment.get("NVIDIA_DRIVER_CAPABILITIES", "").split(","))
        assert injected or image.files.which("nvidia-smi", search), "it has no nvidia-smi, and does not ask for one"
