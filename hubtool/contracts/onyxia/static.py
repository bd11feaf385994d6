"""What an Onyxia chart needs of an IDE's image, as far as its config and files tell; nothing is started."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

import pytest

from hubtool.contracts.accounts import accounts
from hubtool.contracts.image import ImageUnderTest
from hubtool.contracts.onyxia.ide import GROUP, Platform
from hubtool.contracts.onyxia.script import ends_in_exec, tools_called, variables_needed
from hubtool.image.files import Entry

SHOWN = 10
SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def find_program(image: ImageUnderTest, name: str) -> Entry | None:
    """The program that NAME means in IMAGE: a path, or a name on its PATH."""
    if name.startswith("/"):
        found = image.files.find(name)
        return found if found is not None and found.kind == "file" and found.mode & 0o111 else None
    return image.files.which(name, image.environment.get("PATH", SEARCH))


def find_folder(image: ImageUnderTest, path: str) -> Entry:
    """The folder PATH of IMAGE; fails the check where there is none."""
    found = image.files.find(path)
    if found is None or found.kind != "folder":
        pytest.fail(f"there is no folder {path}")
    return found


def groups_of(image: ImageUnderTest, user: str) -> set[int]:
    """The groups of USER, as the image's /etc/passwd and /etc/group have them."""
    found = {account.gid for account in accounts(image.passwd) if account.name == user}
    for line in (image.files.text("/etc/group") or "").splitlines():
        fields = line.split(":")
        if len(fields) == 4 and fields[2].isdigit() and user in fields[3].split(","):
            found.add(int(fields[2]))
    return found


def may(entry: Entry, bits: int, uid: int, groups: set[int]) -> bool:
    """Whether somebody with UID and GROUPS may do with ENTRY what BITS stand for: 4 read, 2 write, 1 run or enter."""
    shift = 6 if entry.uid == uid else 3 if entry.gid in groups else 0
    return entry.mode >> shift & bits == bits


def test_S1_a_shell_and_bash_are_there(image: ImageUnderTest) -> None:
    """There is /bin/sh, and /usr/bin/env finds bash.

    The chart starts every IDE with /bin/sh -c, and the init script is bash. Without them the pod ends at once.

    To mend: install bash and coreutils.
    """
    missing = [path for path in ("/bin/sh", "/usr/bin/env") if find_program(image, path) is None]
    missing += ["bash on PATH"] if find_program(image, "bash") is None else []
    assert not missing, f"not there: {', '.join(missing)}"


def test_S2_the_init_script_is_whole(image: ImageUnderTest, platform: Platform) -> None:
    """The init script is a file that the run user may run, not empty, and its last command is exec "$@".

    The chart starts the IDE through it. Where it is missing the pod ends with "not found"; where it is empty nothing
    starts; where it does not exec, the IDE never gets the signal that ends the pod.

    To mend: copy the script to that path with mode 755, and end it with exec "$@".
    """
    entry = image.files.find(platform.init_script)
    assert entry is not None, f"there is no {platform.init_script}"
    assert entry.kind == "file", f"{platform.init_script} is a {entry.kind}"
    assert entry.size, f"{platform.init_script} is empty"
    uid = image.uid if image.uid is not None else platform.settings.uid
    groups = groups_of(image, platform.settings.user) | {GROUP}
    allowed = entry.mode & 0o111 if uid == 0 else may(entry, 5, uid, groups)
    assert allowed, f"{platform.init_script} has mode {entry.mode & 0o7777:o}: uid {uid} may not run it"
    text = image.files.text(platform.init_script) or ""
    assert ends_in_exec(text), f'{platform.init_script} does not end with exec "$@"'


def test_S3_runs_as_the_right_user(image: ImageUnderTest, platform: Platform) -> None:
    """It runs as uid 1000; RStudio's as root, since its init starts the services.

    With another uid the volume is not the user's, and clusters that forbid root refuse the pod.

    To mend: end the Dockerfile with USER and the run user's name or uid; with USER root for RStudio.
    """
    expected = 0 if platform.profile == "rstudio" else platform.settings.uid
    user = image.config.get("User") or ""
    assert image.uid is not None, f"USER is '{user}', which the image's /etc/passwd does not hold"
    assert image.uid == expected, f"it runs as uid {image.uid} (USER '{user}'), expected {expected}"


def test_S4_the_run_user_is_in_the_volumes_group(image: ImageUnderTest, platform: Platform) -> None:
    """The run user has uid 1000, its own home directory, and is in group 100.

    The chart's volumes belong to group 100: who is not in it can't write in the workspace.

    To mend: useradd --uid 1000 --gid users --home-dir /home/onyxia onyxia
    """
    name, uid = platform.settings.user, platform.settings.uid
    found = next((account for account in accounts(image.passwd) if account.name == name), None)
    assert found is not None, f"there is no user {name}"
    assert found.uid == uid, f"{name} has uid {found.uid}, expected {uid}"
    assert found.home == platform.home, f"{name} has the home directory {found.home}, expected {platform.home}"
    groups = groups_of(image, name)
    assert GROUP in groups, f"{name} is in the groups {', '.join(map(str, sorted(groups)))}, not in {GROUP}"


def test_S5_home_and_workspace_belong_to_the_run_user(image: ImageUnderTest, platform: Platform) -> None:
    """Home directory and workspace belong to the run user, others may not write there, and the workspace is the
    working directory.

    The IDE writes its settings into the home directory, and JupyterLab shows the working directory as its root.

    To mend: install -d -o onyxia -g users -m 0750 /home/onyxia /home/onyxia/work, and WORKDIR /home/onyxia/work
    """
    uid, groups = platform.settings.uid, groups_of(image, platform.settings.user)
    for path in (platform.home, platform.workspace):
        entry = find_folder(image, path)
        whose = f"{path} belongs to {entry.uid}:{entry.gid}, mode {entry.mode & 0o7777:o}"
        assert may(entry, 3, uid, groups), f"{whose}: uid {uid} can't write there"
        assert not entry.mode & 0o002, f"{whose}: everybody can write there"
    workdir = image.config.get("WorkingDir") or "/"
    same = PurePosixPath(workdir) == PurePosixPath(platform.workspace)
    assert same, f"WORKDIR is {workdir}, expected {platform.workspace}"


# What people put into a workspace, and then miss when a volume lies over it.
LOST = re.compile(r"(?:.*/)?(?:site-packages/.+|kernels/[^/]+/kernel\.json|conda-meta/history|pyvenv\.cfg)$")


def test_S6_nothing_it_needs_is_in_the_workspace(image: ImageUnderTest, platform: Platform) -> None:
    """Nothing that is needed lies in the workspace: no programs, packages, kernels or environments.

    The chart mounts the user's volume over the workspace, so what the image has there is gone.

    To mend: put it under /opt.
    """
    below = platform.workspace.strip("/") + "/"
    lost = sorted(
        path
        for path, entry in image.files.visible.items()
        if path.startswith(below) and entry.kind == "file" and (entry.mode & 0o111 or LOST.match(path[len(below) :]))
    )
    more = f" and {len(lost) - SHOWN} more" if len(lost) > SHOWN else ""
    assert not lost, f"in the workspace: {', '.join('/' + path for path in lost[:SHOWN])}{more}"


def test_S7_the_settings_folder_is_the_users(image: ImageUnderTest, platform: Platform) -> None:
    """The folder .config in the home directory is there, and is the run user's.

    The chart mounts files into it. Where it is not there, Kubernetes makes it, for root: the IDE then can't write
    its settings.

    To mend: install -d -o onyxia -g users /home/onyxia/.config
    """
    path = f"{platform.home}/.config"
    entry = find_folder(image, path)
    assert entry.uid == platform.settings.uid, f"{path} belongs to uid {entry.uid}, expected {platform.settings.uid}"


def test_S8_the_ide_is_where_the_chart_calls_it(image: ImageUnderTest, platform: Platform) -> None:
    """The IDE is where the chart calls it: /usr/bin/code-server, jupyter on PATH, /init of RStudio.

    The chart names the program by this path. Anywhere else it is "not found", and the pod restarts for ever.

    To mend: install it there, or add a symbolic link.
    """
    program = platform.program
    where = "" if program.startswith("/") else f" in PATH={image.environment.get('PATH', SEARCH)}"
    assert find_program(image, program) is not None, f"no program {program}{where}"


def test_S9_the_variables_of_the_init_script_are_set(image: ImageUnderTest, platform: Platform) -> None:
    """A UTF-8 locale is set; HOME, and those of USERNAME, GROUPNAME and WORKSPACE_DIR that the init script reads with
    no default, have the right values.

    Terminals print question marks for accents; an init script with an empty WORKSPACE_DIR works on the root folder.

    To mend: ENV LANG=C.UTF-8 HOME=/home/onyxia USERNAME=onyxia GROUPNAME=users WORKSPACE_DIR=/home/onyxia/work
    """
    have = image.environment
    locales = [have[name] for name in ("LC_ALL", "LANG") if have.get(name)]
    assert locales, "neither LANG nor LC_ALL is set"
    assert re.search(r"utf-?8", locales[0], re.I), f"the locale is {locales[0]}, not one of UTF-8"
    right = {"HOME": platform.home, "USERNAME": platform.settings.user, "WORKSPACE_DIR": platform.workspace}
    wrong = [
        f"{name} is {have[name]}, expected {value}" for name, value in right.items() if have.get(name, value) != value
    ]
    needed = variables_needed(image.files.text(platform.init_script) or "")
    wrong += [f"{name} is not set, and {platform.init_script} reads it" for name in needed if not have.get(name)]
    assert not wrong, "; ".join(wrong)


def test_S10_the_tools_of_the_init_script_are_there(image: ImageUnderTest, platform: Platform) -> None:
    """git and curl are there, and every tool that the init script calls.

    A step of the script whose tool is missing does nothing, and the IDE starts without what the user asked for.

    To mend: install them: apt-get install bash curl wget jq git gawk sed coreutils
    """
    called = tools_called(image.files.text(platform.init_script) or "")
    missing = [name for name in sorted({"git", "curl", *called}) if find_program(image, name) is None]
    assert not missing, f"not there: {', '.join(missing)}"


def test_S11_the_port_is_exposed(image: ImageUnderTest, platform: Platform) -> None:
    """EXPOSE names the IDE's port.

    It is the image's own word for what the chart's service leads to; tools that start images by hand rely on it.

    To mend: EXPOSE 8080 (code-server), 8888 (jupyter), 8787 (rstudio).
    """
    exposed = sorted(image.config.get("ExposedPorts") or {})
    said = f"EXPOSE names {', '.join(exposed) or 'nothing'}, not {platform.port}"
    assert {str(platform.port), f"{platform.port}/tcp"} & set(exposed), said


# e_machine of ELF headers, by what OCI calls the architecture.
MACHINES = {"amd64": 62, "arm64": 183, "386": 3, "arm": 40, "ppc64le": 21, "s390x": 22, "riscv64": 243}
BESIDE = ("/usr/lib/code-server/lib/node", "/usr/lib/rstudio-server/bin/rserver")


def test_S12_the_programs_are_for_the_images_machine(image: ImageUnderTest, platform: Platform) -> None:
    """The main programs are made for the architecture that the image names.

    A build that takes another machine's package starts with "exec format error" on every node.

    To mend: choose the package by dpkg --print-architecture, or TARGETARCH in a build for several platforms.
    """
    expected = MACHINES.get(image.architecture)
    if expected is None:
        pytest.skip(f"no way to tell programs for {image.architecture or 'an unnamed architecture'}")
    names = {number: name for name, number in MACHINES.items()}
    found = list(_machines(image, platform))
    if not found:
        pytest.skip("none of the main programs is there, or tells")
    wrong = [
        f"/{entry.path} is for {names.get(machine, f'machine {machine}')}"
        for entry, machine in found
        if machine != expected
    ]
    assert not wrong, f"the image is for {image.architecture}: {'; '.join(wrong)}"


def _machines(image: ImageUnderTest, platform: Platform) -> Iterator[tuple[Entry, int]]:
    """The ELF files among the main programs and their interpreters, each with its e_machine."""
    for name in ("/bin/sh", "bash", platform.program, *BESIDE):
        entry = find_program(image, name)
        start = image.files.read(entry, 256) if entry is not None else b""
        if script := re.match(rb"#![ \t]*(/[^\s\0]+)", start):
            entry = find_program(image, script[1].decode("utf-8", "replace"))
            start = image.files.read(entry, 256) if entry is not None else b""
        if entry is not None and start[:4] == b"\x7fELF" and len(start) >= 20:
            yield entry, int.from_bytes(start[18:20], "little" if start[5] == 1 else "big")


def test_S13_the_programs_that_the_site_wants_are_there(image: ImageUnderTest, platform: Platform) -> None:
    """The programs that hubtool.yaml names for the platform are there.

    A site promises its users clients, say kubectl, mc or duckdb, in each of its images.

    To mend: install them, or take them out of 'parameters: programs' in hubtool.yaml.
    """
    wanted = platform.settings.parameters.programs
    if not wanted:
        pytest.skip("none are asked for: 'parameters: programs' in hubtool.yaml")
    missing = [name for name in wanted if find_program(image, name) is None]
    assert not missing, f"not there: {', '.join(missing)}"


SHELLS = ("sh", "bash", "dash", "ash", "zsh")


def test_S14_entrypoint_and_command_hold_no_variables(image: ImageUnderTest) -> None:
    """ENTRYPOINT and CMD hold no ${VARIABLE}: nobody replaces it there.

    The IDE then opens a folder that is called ${WORKSPACE_DIR}, or does not start. The chart hides it, since it uses
    neither: only docker run shows it.

    To mend: write the value, or the shell form of CMD.
    """
    literal = [
        f"{key} has {word}"
        for key in ("Entrypoint", "Cmd")
        for word in _not_for_a_shell(image.config.get(key) or ())
        if re.search(r"\$(?:\{|[A-Za-z_])", word)
    ]
    assert not literal, "; ".join(literal)


def _not_for_a_shell(words: Sequence[str]) -> Iterator[str]:
    for number, word in enumerate(words):
        before = words[:number]
        if not (before and PurePosixPath(before[0]).name in SHELLS and any(re.match(r"-\w*c$", w) for w in before)):
            yield word
