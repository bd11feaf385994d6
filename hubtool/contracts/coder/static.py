"""What Coder needs of a workspace image, as far as its config and files tell; nothing is started."""

from __future__ import annotations

import re

import pytest

from hubtool.contracts import Settings
from hubtool.contracts.accounts import account_of
from hubtool.contracts.coder import needs
from hubtool.contracts.coder.machine import MACHINES
from hubtool.contracts.coder.workspace import home_of
from hubtool.contracts.image import ImageUnderTest

bare = pytest.mark.profiles("bare")

PROGRAMS = {"v2": ("bash", "git"), "bare": ("bash", "git", "ps", "free")}
BARE_BUNDLES = needs.BUNDLES[:3]


def test_C1_does_not_run_as_root(image: ImageUnderTest, settings: Settings) -> None:
    """It runs as the workspace user, not as root.

    Templates that set no user of their own run the workspace as the image's. As root, or as another uid than the
    volume's, people work with the wrong rights, or can't write in their home.

    To mend: end the Dockerfile with USER and the workspace user's uid; in Nix config.User = "1000:1000".
    """
    user = image.config.get("User") or ""
    assert image.uid is not None, f"USER is '{user}', which the image's /etc/passwd does not hold"
    assert image.uid != 0, f"it runs as root: USER is '{user}'" if user else "it runs as root: no USER is set"
    assert image.uid == settings.uid, f"it runs as uid {image.uid} (USER '{user}'), expected {settings.uid}"


def test_C2_its_user_has_an_account(image: ImageUnderTest, settings: Settings) -> None:
    """The workspace user has an account: a line of /etc/passwd with the platform's home directory and a shell.

    HOME and the terminal's shell come from there. Without it the agent's home is /, beside the user's volume; some
    distributions bring a user with uid 1000 of their own, whose home is another folder. Without its shell no terminal
    opens.

    To mend: remove a foreign user with the uid (userdel -r ubuntu), then add yours (useradd --uid 1000 --shell
    /bin/bash coder); or say the home directory in hubtool.yaml (parameters: home).
    """
    account = account_of(settings.uid, image.passwd)
    assert account is not None, f"/etc/passwd has no user with uid {settings.uid}"
    home = home_of(settings)
    assert account.home.rstrip("/") == home, f"the home of {account.name} is '{account.home}', expected {home}"
    wrong = needs.missing_programs(image, [account.login_shell])
    assert not wrong, f"the shell of {account.name}: {wrong}"


def test_C3_a_new_volume_gets_its_owner_from_the_home_directory(image: ImageUnderTest, settings: Settings) -> None:
    """The home directory is in the image and belongs to the workspace user.

    A new Docker volume takes owner and mode from the folder that it is mounted over. Where the image has none, or
    root's, the volume is root's and nobody can save a file.

    To mend: useradd --create-home, or mkdir and chown 1000 (in Nix: fakeRootCommands).
    """
    home = home_of(settings)
    entry = image.files.find(home)
    assert entry is not None, f"there is no {home}"
    assert entry.kind == "folder", f"{home} is no directory"
    assert entry.uid == settings.uid, f"{home} belongs to uid {entry.uid}, expected {settings.uid}"
    assert entry.mode & 0o700 == 0o700, f"{home} has mode {entry.mode & 0o7777:04o}: its owner can't use it"


def test_C4_the_bootstrap_finds_its_programs(image: ImageUnderTest) -> None:
    """The agent's bootstrap finds its programs: sh, mktemp, chmod, sleep, head, grep.

    The workspace's only command is sh with the bootstrap script. When a program of it is missing, the workspace
    stays at "connecting", while the pod or container looks as if it ran.

    To mend: have coreutils and grep, or busybox with its links, on the image's PATH.
    """
    wrong = needs.missing_programs(image, needs.BOOTSTRAP)
    assert not wrong, wrong


def test_C5_the_bootstrap_can_fetch_the_agent(image: ImageUnderTest) -> None:
    """One of curl, wget and busybox is there to fetch the agent.

    Without one the bootstrap ends with code 127, and the workspace never connects.

    To mend: install curl.
    """
    wrong = needs.missing_downloader(image)
    assert not wrong, wrong


def test_C6_it_has_certificate_authorities(image: ImageUnderTest) -> None:
    """There is a bundle of certificate authorities, and each variable that names one names a file that is there.

    Without it nothing that speaks TLS works: the agent's download, git clone, package installations.

    To mend: install ca-certificates (in Nix: cacert, or dockerTools.caCertificates); mend the variable.
    """
    wrong = needs.bundle_problem(image)
    assert not wrong, wrong


def test_C7_it_trusts_the_platforms_authority(image: ImageUnderTest, settings: Settings) -> None:
    """It trusts the authorities of the platform's own addresses (parameters: trusted_ca).

    Behind an internal authority, an image without it can't fetch the agent from Coder's access URL.

    To mend: copy the certificate to /usr/local/share/ca-certificates and run update-ca-certificates; in Nix add it
    to the bundle.
    """
    wanted = needs.certificates(settings.parameters.trusted_ca or "")
    assert wanted or not settings.parameters.trusted_ca, "no certificate of parameters: trusted_ca can be read"
    if not wanted:
        pytest.skip("hubtool.yaml names no authority (parameters: trusted_ca)")
    bundles = needs.certificate_bundles(image)
    if not bundles:
        pytest.skip("it has no bundle of certificate authorities: see C6")
    lacking = [place for place, text in bundles.items() if not wanted <= needs.certificates(text)]
    assert not lacking, f"an authority of the platform is not in {', '.join(lacking)}"


def test_C8_it_has_few_enough_layers(image: ImageUnderTest, settings: Settings) -> None:
    """It has no more layers than the platform's nodes take (parameters: max_layers; 64 where left out).

    Under sysbox (container-based virtual machines) an image with more than 64 layers does not start; other
    runtimes take 127.

    To mend: buildLayeredImage's maxLayers; fewer RUN and COPY lines; or let hubtool push lay it out (layers: packages).
    """
    count, most = len(image.files.layers), settings.parameters.max_layers
    assert count <= most, f"it has {count} layers, more than {most}"


def test_C9_people_find_the_programs_they_expect(image: ImageUnderTest, settings: Settings) -> None:
    """The programs that people expect in a terminal are there (parameters: programs).

    Coder's dotfiles, repositories and startup scripts need git and bash; an agent's metadata ps and free.

    To mend: install what is named, or say in hubtool.yaml what the platform's people need (parameters: programs).
    """
    wrong = needs.missing_programs(image, settings.parameters.programs or PROGRAMS.get(settings.profile, ()))
    assert not wrong, wrong


@bare
def test_C10_scripts_find_their_shells(image: ImageUnderTest) -> None:
    """/bin/sh, /bin/bash and /usr/bin/env are there.

    Scripts name these by their whole path, and so do the installers of VS Code's server and of JetBrains.

    To mend: in Nix dockerTools.binSh (with bashInteractive for /bin/bash) and dockerTools.usrBinEnv; else links.
    """
    wrong = needs.missing_programs(image, needs.SCRIPT_PROGRAMS)
    assert not wrong, wrong


@bare
def test_C11_foreign_programs_find_the_loader(image: ImageUnderTest) -> None:
    """glibc's loader is where programs that were built elsewhere look for it.

    Such a program (VS Code's server, JetBrains' backends, code-server, Pythons that uv fetches) is otherwise
    "No such file or directory", though it is there.

    To mend: link glibc's loader, say ln -s $glibc/lib64/ld-linux-x86-64.so.2 /lib64/; or nix-ld.
    """
    machine = MACHINES.get(image.architecture)
    if machine is None:
        pytest.skip(f"nothing is known of loaders on {image.architecture}")
    assert needs.has_loader(image), f"no loader at {machine.interpreter}"


@bare
def test_C12_certificates_are_in_every_usual_place(image: ImageUnderTest) -> None:
    """Certificate authorities are in all three usual places.

    Programs that bring their own TLS library look where their own distribution has them, and trust nobody where
    there is nothing.

    To mend: dockerTools.caCertificates; else links to one bundle.
    """
    bundles = needs.certificate_bundles(image)
    if not bundles:
        pytest.skip("it has no bundle of certificate authorities: see C6")
    missing = [place for place in BARE_BUNDLES if place not in bundles]
    assert not missing, f"no certificates in {', '.join(missing)}"


@bare
def test_C13_names_can_be_looked_up(image: ImageUnderTest) -> None:
    """/etc/passwd and /etc/group have root and nobody, /etc/nsswitch.conf says where users and hosts are looked up.

    Without them "I have no name!", ssh and sudo refuse to work, and localhost may be asked of a name server.

    To mend: dockerTools.fakeNss with a line for the workspace user; not together with shadowSetup.
    """
    wrong = [f"/etc/passwd has no {name}" for name in ("root", "nobody") if not _has_line(image.passwd, name)]
    wrong += [] if _has_line(image.files.text("/etc/group") or "", "root") else ["/etc/group has no root"]
    switch = image.files.text("/etc/nsswitch.conf") or ""
    for database in ("passwd", "hosts"):
        if not re.search(rf"^{database}:.*\bfiles\b", switch, re.M):
            wrong.append(f"/etc/nsswitch.conf does not say '{database}: files'")
    assert not wrong, "; ".join(wrong)


def _has_line(text: str, name: str) -> bool:
    return any(line.startswith(f"{name}:") for line in text.splitlines())


@bare
def test_C14_tmp_is_everybodys(image: ImageUnderTest) -> None:
    """/tmp is there, and everybody may write to it (mode 1777).

    The agent is run from there; other users of the workspace (root by sudo, a database) need it too.

    To mend: mkdir -m 1777 /tmp (in Nix: in extraCommands).
    """
    entry = image.files.find("/tmp")
    assert entry is not None, "there is no /tmp"
    assert entry.kind == "folder", "/tmp is no directory"
    assert entry.mode & 0o7777 == 0o1777, f"/tmp has mode {entry.mode & 0o7777:04o}, expected 1777"


@bare
def test_C15_a_new_home_can_be_filled(image: ImageUnderTest) -> None:
    """/etc/skel is a directory.

    Coder's templates fill a new home with cp -rT /etc/skel ~; the startup script ends there where it is missing.

    To mend: mkdir /etc/skel.
    """
    entry = image.files.find("/etc/skel")
    assert entry is not None, "there is no /etc/skel"
    assert entry.kind == "folder", "/etc/skel is no directory"


@bare
def test_C16_its_config_is_whole(image: ImageUnderTest, settings: Settings) -> None:
    """Its config sets PATH, a UTF-8 locale (LANG or LC_ALL), and the home directory as working directory.

    An image that was made from nothing has no login scripts that would set them: terminals open in /, programs
    are not found, and names with letters beyond ASCII break.

    To mend: config.Env and config.WorkingDir (Nix), ENV and WORKDIR (Dockerfile).
    """
    environment, home = image.environment, home_of(settings)
    wrong = [] if environment.get("PATH") else ["PATH is not set"]
    language = environment.get("LC_ALL") or environment.get("LANG") or ""
    if not re.search(r"\.utf-?8", language, re.I):
        wrong.append(f"LANG is '{language}', expected one that ends with .UTF-8")
    place = str(image.config.get("WorkingDir") or "")
    if place.rstrip("/") != home:
        wrong.append(f"WorkingDir is '{place}', expected {home}")
    assert not wrong, "; ".join(wrong)
