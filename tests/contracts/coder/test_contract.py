"""Images that keep the coder contract, one of them made from nothing, and for every promise images that break it and
nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hubtool.commands.new import new
from hubtool.config import Parameters
from hubtool.contracts import TestReport
from hubtool.engines import Engine
from hubtool.process import run
from tests.contracts.conftest import BuildImage, RunContract, containers_of
from tests.contracts.every import some
from tests.templates.nixpkgs import NIXPKGS, running_store

HERE = Path(__file__).parent
INTERNAL = (HERE / "internal.crt").read_text()
ROOT, RUN_USER = "USER root\n", "USER coder\n"
BARE_ROOT, BARE_USER = "USER 0\n", "USER 1000:1000\n"


def as_root(line: str) -> str:
    """Dockerfile lines for the workspace of a distribution."""
    return f"{ROOT}RUN {line}\n{RUN_USER}"


def bare_root(line: str) -> str:
    """Dockerfile lines for the workspace made from nothing."""
    return f"{BARE_ROOT}RUN {line}\n{BARE_USER}"


def program(path: str, script: str) -> str:
    """A line that puts SCRIPT, one line of shell, in place of the program at PATH."""
    return f"rm -f {path} && printf '#!/bin/sh\\n{script}\\n' > {path} && chmod +x {path}"


@dataclass(frozen=True)
class Broken:
    """An image: what is added to a good one, the one check that shall fail, and words of what it says."""

    lines: str
    fails: str
    says: str
    parameters: dict[str, Any] = field(default_factory=dict)


# A workspace of busybox alone, whose own TLS is too old for a server of today.
BUSYBOX = """\
USER root
RUN apt-get -qq update && apt-get -qq install --no-install-recommends busybox-static >/dev/null
RUN mkdir -p /out/bin /out/etc/ssl/certs && install -d -m 1777 /out/tmp && cp /bin/busybox /out/bin/ \
 && cp /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ && chroot /out /bin/busybox --install -s /bin \
 && install -d -o 1000 /out/home/coder && echo coder:x:1000:1000::/home/coder:/bin/sh > /out/etc/passwd
FROM scratch
COPY --from=0 /out /
USER 1000
"""

V2 = {
    "runs as root": Broken(ROOT, "C1", "it runs as root: USER is 'root'"),
    "no account": Broken(as_root("userdel coder") + "USER 1000\n", "C2", "/etc/passwd has no user with uid 1000"),
    "the distribution's own user has the uid": Broken(
        as_root("usermod --login ubuntu --home /home/ubuntu coder && sed -i s/coder/ubuntu/ /etc/sudoers.d/coder")
        + "USER 1000\n",
        "C2",
        "the home of ubuntu is '/home/ubuntu', expected /home/coder",
    ),
    "no home directory": Broken(as_root("rm -r /home/coder") + "WORKDIR /\n", "C3", "there is no /home/coder"),
    "no mktemp": Broken(as_root("rm /usr/bin/mktemp"), "C4", "no mktemp in PATH=/usr/local/sbin:"),
    "nothing to fetch the agent with": Broken(
        as_root("rm /usr/bin/curl /usr/bin/wget"), "C5", "neither curl, wget nor busybox in PATH=/usr/local/sbin:"
    ),
    "no certificates": Broken(
        as_root("rm -r /etc/ssl/certs"), "C6", "no certificates in any of /etc/ssl/certs/ca-certificates.crt"
    ),
    "no internal authority": Broken(
        as_root("rm /usr/local/share/ca-certificates/internal.crt && update-ca-certificates"),
        "C7",
        "an authority of the platform is not in /etc/ssl/certs/ca-certificates.crt",
    ),
    "too many layers for sysbox": Broken(
        "".join(f"COPY Dockerfile /srv/{number}\n" for number in range(64)), "C8", "layers, more than 64"
    ),
    "no git": Broken(as_root("rm /usr/bin/git"), "C9", "no git in PATH="),
    "a temporary folder that nobody may write to": Broken(
        as_root("chmod 755 /tmp"), "D1", "could not make a temporary folder (mktemp -d) (code 1)"
    ),
    "an old curl": Broken(
        as_root(program("/usr/bin/curl", "echo option --compressed: not supported >&2; exit 2")),
        "D1",
        "coder-linux-amd64 with curl, wget or busybox (code 1); nothing came from it",
    ),
    "a home beside the volume": Broken("ENV HOME=/srv/work\n", "D2", "HOME is '/srv/work', expected /home/coder"),
    "a curl with certificates of its own": Broken(
        as_root(
            "head -n 40 /etc/ssl/certs/ca-certificates.crt > /srv/own.crt && echo cacert=/srv/own.crt > /srv/.curlrc"
        )
        + "ENV CURL_HOME=/srv\n",
        "D3",
        "could not fetch https://",
    ),
    "busybox alone": Broken(BUSYBOX, "D3", "TLS error from peer", {"programs": ("sh", "vi")}),
    "no login": Broken(
        as_root("usermod --shell /usr/sbin/nologin coder"), "D4", "/usr/sbin/nologin -c 'exit 7' ends with code 1"
    ),
    "a profile that ends": Broken(as_root("echo exit 3 >> /etc/profile"), "D4", "-l -c 'exit 7' ends with code 3"),
    "a sudo that asks": Broken(as_root("rm /etc/sudoers.d/coder"), "D5", "sudo: a password is required"),
    "no sudo": Broken(as_root("rm /usr/bin/sudo"), "D5", "sudo is not in the image", {"sudo": True}),
    "a sudo that shall not be": Broken("", "D5", "becomes root by sudo", {"sudo": False}),
}
BARE = {
    "bare: no env": Broken(bare_root("rm /usr/bin/env"), "C10", "no /usr/bin/env"),
    "bare: no loader": Broken(bare_root("rm /lib64/*"), "C11", "no loader at /lib64/ld-linux-x86-64.so.2"),
    "bare: certificates in one place": Broken(
        bare_root("rm -r /etc/pki"), "C12", "no certificates in /etc/pki/tls/certs/ca-bundle.crt"
    ),
    "bare: nobody is not there": Broken(
        bare_root("sed -i --follow-symlinks /nobody/d /etc/passwd"), "C13", "/etc/passwd has no nobody"
    ),
    "bare: tmp without its bit": Broken(bare_root("chmod 777 /tmp"), "C14", "/tmp has mode 0777, expected 1777"),
    "bare: no skeleton of a home": Broken(bare_root("rmdir /etc/skel"), "C15", "there is no /etc/skel"),
    "bare: no UTF-8": Broken("ENV LANG=C\n", "C16", "LANG is 'C'"),
    "bare: an env that does nothing": Broken(
        bare_root("ln -sf /bin/true /usr/bin/env"), "D6", "starts with #!/usr/bin/env sh ends with code 0"
    ),
    "bare: no libraries beside the loader": Broken(bare_root("rm /usr/lib/*-linux-gnu"), "D7", "libc.so.6"),
    "bare: no libstdc++": Broken("ENV LD_LIBRARY_PATH=\n", "D8", "libstdc++.so.6"),
    "bare: accounts that only root may read": Broken(bare_root("chmod 600 /etc/passwd"), "D9", "no user has this uid"),
    "bare: a locale that is not there": Broken("ENV LANG=xx_XX.UTF-8\n", "D10", "no such locale: LANG=xx_XX.UTF-8"),
}
RUN = some(V2 | BARE, "an old curl")
# Faults that don't hide one another: what is added, and for each check that fails words of what it says.
SEVERAL = {
    "many faults": (
        as_root(
            "usermod --shell /usr/bin/fish coder && chown root /home/coder && "
            + program("/usr/bin/head", "").replace("/bin/sh", "/nix/sh")
        )
        + "ENV SSL_CERT_FILE=/etc/hostname\nUSER 1234\n",
        {
            "C1": "it runs as uid 1234 (USER '1234'), expected 1000",
            "C2": "the shell of coder: no /usr/bin/fish",
            "C3": "/home/coder belongs to uid 0, expected 1000",
            "C4": "/usr/bin/head can't run: /nix/sh is not in the image",
            "C6": "no file with certificates: SSL_CERT_FILE=/etc/hostname",
            "C9": "no /opt/tool/bin/tool",
        },
    ),
    "bare: many faults": (
        bare_root("rm /etc/nsswitch.conf && chmod 500 /home/coder") + "WORKDIR /\n",
        {
            "C3": "/home/coder has mode 0500: its owner can't use it",
            "C9": "no /opt/tool/bin/tool",
            "C13": "/etc/nsswitch.conf does not say 'passwd: files'",
            "C16": "WorkingDir is '/', expected /home/coder",
        },
    ),
}
# Images that keep every promise too: what is added to the good one, and the platform's parameters.
ALSO_GOOD: dict[str, tuple[str, dict[str, Any]]] = {
    "wget and no curl": (as_root("rm /usr/bin/curl"), {}),
    "busybox with openssl, and neither": (
        as_root(
            "apt-get -qq update && apt-get -qq install --no-install-recommends busybox >/dev/null"
            " && rm -r /usr/bin/curl /usr/bin/wget /var/lib/apt/lists"
        ),
        {},
    ),
    "an entrypoint that would hang": ('ENTRYPOINT ["sleep", "infinity"]\n', {}),
}
V2_CHECKS = [f"C{number}" for number in range(1, 10)] + [f"D{number}" for number in range(1, 6)]
BARE_CHECKS = [f"C{number}" for number in range(1, 17)] + [f"D{number}" for number in range(1, 11)]


@pytest.fixture(scope="session")
def workspace_image(base_image: str, build_image: BuildImage) -> str:
    """A workspace of a distribution that keeps every promise; the daemon keeps it for the next run."""
    dockerfile = (HERE / "workspace" / "Dockerfile").read_text().replace("ARG BASE\n", f"ARG BASE={base_image}\n", 1)
    return build_image("coder", dockerfile, HERE / "internal.crt", keep=True)


@pytest.fixture(scope="session")
def bare_image(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A workspace made from nothing that keeps every promise: that of the template coder-nix."""
    folder = tmp_path_factory.mktemp("bare")
    new(folder / "bare-workspace", template="coder-nix", settings=["builder=nix"], no_input=True)
    image = folder / "bare-workspace" / "image"
    (image / "certificates").mkdir()
    (image / "certificates" / "internal.crt").write_text(INTERNAL)
    with running_store(folder / "nix") as environment:
        made = run("nix-build", image, "--no-out-link", "--argstr", "nixpkgs", NIXPKGS, env=environment)
        engine.load(Path(made.stdout.strip()))
    return "bare-workspace:latest"


@pytest.fixture(scope="module")
def reports(
    workspace_image: str, bare_image: str, build_image: BuildImage, run_contract: RunContract
) -> Iterator[Callable[[str], TestReport]]:
    """The report of each image; they run two at a time, from the first question on."""
    pool = ThreadPoolExecutor(2)

    def hold(tag: str, profile: str, **parameters: Any) -> TestReport:
        told = Parameters(trusted_ca=INTERNAL, **parameters)
        return run_contract(tag, contract="coder", profile=profile, user="coder", start_seconds=60, parameters=told)

    def make(name: str, base: str, profile: str, lines: str, **parameters: Any) -> TestReport:
        words = "-".join(re.findall(r"[a-z0-9]+", name.lower()))
        tag = build_image(f"coder-{words}", f"FROM {base}\n{lines}")
        return hold(tag, profile, **parameters)

    futures: dict[str, Future[TestReport]] = {
        "v2": pool.submit(hold, workspace_image, "v2"),
        "bare": pool.submit(hold, bare_image, "bare"),
    }
    for name, (lines, parameters) in ALSO_GOOD.items():
        futures[name] = pool.submit(make, name, workspace_image, "v2", lines, **parameters)
    for name, (lines, _) in SEVERAL.items():
        base, profile = (bare_image, "bare") if name.startswith("bare") else (workspace_image, "v2")
        futures[name] = pool.submit(make, name, base, profile, lines, programs=("sh", "/opt/tool/bin/tool"))
    for name, broken in RUN.items():
        base, profile = (workspace_image, "v2") if name in V2 else (bare_image, "bare")
        futures[name] = pool.submit(make, name, base, profile, broken.lines, **broken.parameters)
    yield lambda name: futures[name].result()
    pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize(("name", "checks"), [("v2", V2_CHECKS), ("bare", BARE_CHECKS)])
def test_a_good_image_keeps_every_promise(name: str, checks: list[str], reports: Callable[[str], TestReport]) -> None:
    report = reports(name)
    assert [(r.check, r.outcome, r.message) for r in report.results] == [(check, "passed", "") for check in checks]
    assert report.passed


@pytest.mark.parametrize("name", ALSO_GOOD)
def test_other_images_keep_every_promise_too(name: str, reports: Callable[[str], TestReport]) -> None:
    assert [(r.check, r.message) for r in reports(name).failed] == []
    assert [r.check for r in reports(name).results if r.outcome != "passed"] == []


@pytest.mark.parametrize("name", RUN)
def test_a_broken_image_fails_its_one_check(name: str, reports: Callable[[str], TestReport]) -> None:
    report, broken = reports(name), (V2 | BARE)[name]
    assert [result.check for result in report.failed] == [broken.fails], [r.message for r in report.failed]
    assert broken.says in report.failed[0].message
    assert report.failed[0].mend
    assert not report.passed


@pytest.mark.parametrize("name", SEVERAL)
def test_each_of_many_faults_is_told(name: str, reports: Callable[[str], TestReport]) -> None:
    told = {result.check: result.message for result in reports(name).failed}
    assert told.keys() == SEVERAL[name][1].keys()
    assert [words for check, words in SEVERAL[name][1].items() if words not in told[check]] == []


def test_every_check_has_an_image_that_breaks_it() -> None:
    assert {broken.fails for broken in (V2 | BARE).values()} == set(BARE_CHECKS)


def test_what_the_bootstrap_said_is_kept_and_shown(reports: Callable[[str], TestReport]) -> None:
    (failed,) = reports("an old curl").failed
    assert "| option --compressed: not supported" in failed.message
    path = failed.message.partition("all of it: ")[2].partition(")")[0]
    assert "option --compressed" in Path(path).read_text()


def test_the_image_made_from_nothing_has_no_tools_of_a_distribution(bare_image: str, engine: Engine) -> None:
    held = engine.inspect(bare_image)
    assert held is not None
    assert held.size < 100_000_000


def test_an_image_without_anything_in_it_is_judged(build_image: BuildImage, run_contract: RunContract) -> None:
    image = build_image("coder-nothing", "FROM scratch\nCOPY Dockerfile /\nUSER 1000\n")
    report = run_contract(image, contract="coder", profile="bare", user="coder")
    outcomes = {result.check: result.outcome for result in report.results}
    failed = ["C2", "C3", "C4", "C5", "C6", "C9", "C10", "C11", "C13", "C14", "C15", "C16"]
    assert [check for check, outcome in outcomes.items() if outcome == "failed"] == failed
    assert outcomes["D1"] == "skipped"
    assert containers_of(image) == {}


def test_nothing_is_left_when_all_is_done(reports: Callable[[str], TestReport]) -> None:
    for name in ("v2", "bare", *ALSO_GOOD, *SEVERAL, *RUN):
        assert containers_of(reports(name).reference) == {}
