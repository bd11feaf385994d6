"""The static checks, each on small images that keep it and that break it; nothing is started."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from hubtool.config import Parameters
from hubtool.contracts import Settings
from hubtool.contracts.image import ImageUnderTest
from hubtool.contracts.no_engine import no_engine
from hubtool.contracts.runner import run_checks
from hubtool.contracts.workstation.chain import start_scripts

HOME = "/home/chaimeleon"


@dataclass(frozen=True)
class File:
    """A file of an image; one whose path ends with / is a folder. ``text`` None: there is none such."""

    text: str | None = ""
    mode: int = 0o644
    owner: tuple[int, int] = (0, 0)
    capability: str = ""


USERS = (1000, 1000)
FILES: dict[str, File] = {
    "etc/passwd": File("root:x:0:0::/root:/bin/sh\nchaimeleon:x:1000:1000::/home/chaimeleon:/bin/sh\n"),
    "etc/group": File("root:x:0:\nsudo:x:27:\nusers:x:100:\nchaimeleon:x:1000:\n"),
    "etc/shadow": File("root:*:1:::::\nchaimeleon:$y$hash:1:::::\n"),
    "bin/sh": File("ELF", 0o755),
    "usr/sbin/sshd": File("ELF", 0o755),
    "usr/bin/passwd": File("ELF", 0o4755),
    "opt/start": File("#!/bin/sh\n. /opt/setup.sh\nexec /usr/bin/supervisord -c $SUPERVISOR\n", 0o755),
    "opt/setup.sh": File("# pip install nothing\nmkdir -p ~/.cache\n"),
    "opt/desktop/supervisord.conf": File("[program:a]\ncommand=/opt/desktop/a\n"),
    "opt/desktop/a": File("#!/bin/sh\nsleep 1\n", 0o755),
    "home/chaimeleon/": File("", 0o755, USERS),
    "home/chaimeleon/datasets/": File("", 0o755, USERS),
    "home/chaimeleon/persistent-home/": File("", 0o755, USERS),
    "home/chaimeleon/persistent-shared-folder/": File("", 0o755, USERS),
}
CONFIG: dict[str, Any] = {
    "User": "chaimeleon",
    "WorkingDir": HOME,
    "Entrypoint": ["/opt/start"],
    "Env": ["PATH=/usr/bin:/bin", "SUPERVISOR=/opt/desktop/supervisord.conf"],
    "Labels": {"name": "desktop", "version": "1.0"},
    "ExposedPorts": {"2222/tcp": {}, "5900/tcp": {}},
}


@dataclass(frozen=True)
class Case:
    """What an image has else than a good one, and the check that fails, "" where all are kept."""

    fails: str = ""
    says: str = ""
    files: Mapping[str, File] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


def script(line: str, path: str = "opt/setup.sh") -> dict[str, File]:
    return {path: File(f"#!/bin/sh\n{line}\n", 0o755)}


def group(line: str) -> dict[str, File]:
    return {"etc/group": File(f"{FILES['etc/group'].text}{line}\n")}


def sudoers(text: str) -> dict[str, File]:
    return {"etc/sudoers": File(text)}


def revision(commit: str) -> dict[str, Any]:
    return {"Labels": {**CONFIG["Labels"], "org.opencontainers.image.revision": commit}}


TORCH, TENSORFLOW = "opt/v/lib/site-packages/torch/version.py", "tensorflow/python/platform/build_info.py"
PIP_CONF = File("[global]\nindex-url = https://mirror.example/simple\n")
REFERENCE = {"reference": "registry.example/library/desktop:1.0"}
CUDA = {"reference": "registry.example/library/desktop:1.0cuda11"}
COMMIT = "0123456789abcdef0123456789abcdef01234567"
CASES = {
    "good": Case(),
    "user by number": Case(config={"User": "1000:1000"}),
    "user and group by name": Case(config={"User": "chaimeleon:chaimeleon"}),
    "no user": Case("S1", "it runs as uid 0 (USER '')", config={"User": ""}),
    "unknown user": Case("S1", "USER is 'ds', which", config={"User": "ds"}),
    "another group": Case("S1", "it runs with gid 100", config={"User": "1000:users"}),
    "unknown group": Case("S1", "it runs with gid None", config={"User": "1000:staff"}),
    "home elsewhere": Case("S2", "home is /home/chaimeleon, expected /data", parameters={"home": "/data"}, config={
        "WorkingDir": "/data"}, files={f"data/{name}/": File("", 0o755, USERS) for name in (
            "datasets", "persistent-home", "persistent-shared-folder")}),
    "home of root": Case("S2", "/home/chaimeleon belongs to 0:0", files={"home/chaimeleon/": File("", 0o755)}),
    "no shell": Case("S2", "shell /bin/zsh is not in the image", files={
        "etc/passwd": File("root:x:0:0::/root:/bin/sh\nchaimeleon:x:1000:1000::/home/chaimeleon:/bin/zsh\n")}),
    "in the group docker": Case("S3", "chaimeleon is in the group docker", group("docker:x:5:a,chaimeleon")),
    "in another group": Case(files=group("plugdev:x:5:chaimeleon")),
    "sudo rule": Case("S3", "/etc/sudoers: chaimeleon ALL=(ALL)", sudoers("chaimeleon ALL=(ALL) NOPASSWD: ALL\n")),
    "sudo rule for all": Case("S3", "ALL ALL=(ALL) ALL", sudoers("ALL ALL=(ALL) ALL\n")),
    "sudo rule for a uid": Case("S3", "#1000 ALL = ALL", sudoers("#1000 ALL = ALL\n")),
    "sudo rule for the group": Case("S3", "%chaimeleon ALL=ALL", sudoers("%chaimeleon ALL=ALL\n")),
    "sudo rule for an alias": Case("S3", "US ALL=ALL", sudoers("User_Alias US = a, chaimeleon\nUS ALL=ALL\n")),
    "sudo rule over two lines": Case("S3", "ALL=ALL", sudoers("chaimeleon \\\n ALL=ALL\n")),
    "sudo rule in a part": Case("S3", "/etc/sudoers.d/x: ", {"etc/sudoers.d/x": File("chaimeleon ALL=ALL\n")}),
    "part that sudo does not read": Case(files={"etc/sudoers.d/x.bak": File("chaimeleon ALL=ALL\n")}),
    "sudo rules of others": Case(files=sudoers("# a\nDefaults env_reset\nroot ALL=(ALL) ALL\n%sudo ALL=ALL\n")),
    "sudo rule for a command": Case("S3", "/usr/bin/reboot", sudoers("chaimeleon ALL=NOPASSWD: /usr/bin/reboot\n")),
    "sudo rule for a command that may be": Case(
        files=sudoers("chaimeleon ALL=(root) NOPASSWD: /usr/bin/reboot\n"),
        parameters={"sudo_commands": ["/usr/bin/reboot"]},
    ),
    "doas rule": Case("S3", "/etc/doas.conf: permit nopass chaimeleon", {
        "etc/doas.conf": File("# x\npermit nopass chaimeleon\n")}),
    "root without a password": Case("S3", "root needs no password", {
        "etc/shadow": File("root::1:::::\nchaimeleon:$y$hash:1:::::\n")}),
    "adds to sudo": Case("S4", "/opt/setup.sh:2: usermod -aG sudo $USER", script("usermod -aG sudo $USER")),
    "adds a sudo rule": Case("S4", "/etc/sudoers.d", script("echo a > /etc/sudoers.d/a")),
    "setuid at start": Case("S4", "chmod u+s", script("chmod u+s /bin/sh")),
    "sudo in a service": Case("S4", "/opt/desktop/a:2", script("adduser x sudo", "opt/desktop/a")),
    "sudo in a comment": Case(files=script("# usermod -aG sudo $USER")),
    "mode of a folder": Case(files=script("chmod 755 /srv; chmod 0700 x")),
    "file in a mount": Case("S5", "datasets holds a", {"home/chaimeleon/datasets/a/b": File("")}),
    "mount of root": Case("S5", "belongs to 0:0", {"home/chaimeleon/datasets/": File("", 0o755)}),
    "mount that can't be written": Case("S5", "has the mode 555", {
        "home/chaimeleon/datasets/": File("", 0o555, USERS)}),
    "no mount": Case("S5", "datasets is not there", {"home/chaimeleon/datasets/": File(None)}),
    "other mounts": Case("S5", "work is not there", parameters={"mounts": {"work": "rw"}}),
    "labels as the tag": Case(settings=REFERENCE),
    "no version": Case("S6", "no label version", config={"Labels": {"name": "desktop", "version": ""}}),
    "no labels": Case("S6", "no label name, version", config={"Labels": None}),
    "another name": Case("S6", "the repository's is 'desktop'", config={
        "Labels": {"name": "ubuntu-python--desktop", "version": "1.0"}}, settings=REFERENCE),
    "another version": Case("S6", "the label version is '11.8.0'", config={
        "Labels": {"name": "desktop", "version": "11.8.0"}}, settings=REFERENCE),
    "tag of the commit": Case(config=revision(COMMIT), settings={"reference": f"r.example/desktop:{COMMIT[:12]}"}),
    "the latest": Case(settings={"reference": "registry.example/library/desktop:latest"}),
    "known by its id": Case(settings={"reference": f"sha256:{COMMIT}{COMMIT[:24]}"}),
    "no authorization": Case("S6", "no label authorization", parameters={"needs_authorization": True}),
    "starts in /": Case("S7", "WORKDIR is /", config={"WorkingDir": ""}),
    "no entrypoint": Case("S7", "no ENTRYPOINT", config={"Entrypoint": None}),
    "entrypoint that is not there": Case("S7", "/opt/go is not in the image", config={"Entrypoint": ["/opt/go"]}),
    "entrypoint by name": Case(config={"Entrypoint": ["passwd", "--"]}),
    "entrypoint that can't be run": Case("S7", "mode 644", {"opt/start": File("#!/bin/sh\n", 0o644)}),
    "entrypoint of root alone": Case("S7", "mode 700", {"opt/start": File("#!/bin/sh\n", 0o700)}),
    "entrypoint of the user alone": Case(files={"opt/start": File("#!/bin/sh\n", 0o700, USERS)}),
    "entrypoint without its interpreter": Case("S7", "interpreter /bin/x", {"opt/start": File("#!/bin/x\n", 0o755)}),
    "entrypoint by env": Case("S7", "interpreter bash", {
        "opt/start": File("#!/usr/bin/env bash\n", 0o755), "usr/bin/env": File("ELF", 0o755)}),
    "no VNC port": Case("S8", "EXPOSE lacks 5900", config={"ExposedPorts": {"2222/tcp": {}}}),
    "a low port": Case("S8", "EXPOSE 22:", config={"ExposedPorts": {**CONFIG["ExposedPorts"], "22/tcp": {}}}),
    "batch without ports": Case(config={"ExposedPorts": None}, settings={"profile": "batch"}),
    "locked password": Case("S9", "chaimeleon has no password", {"etc/shadow": File("chaimeleon:!:1:::::\n")}),
    "no SSH and no password": Case(files={"usr/sbin/sshd": File(None), "etc/shadow": File("")}),
    "pip's cache": Case("S10", "pip's cache (/root/.cache/pip", {"root/.cache/pip/x": File("x" * 1_100_000)}),
    "above its budget": Case("S10", "its files have 0.00 GB", parameters={"max_size": 100}),
    "a layer above its budget": Case("S10", "a layer has", parameters={"max_layer_size": 100}),
    "inert pip.conf": Case("S11", "/home/chaimeleon/.config/pip.conf", {"home/chaimeleon/.config/pip.conf": PIP_CONF}),
    "pip.conf of the user": Case(files={"home/chaimeleon/.config/pip/pip.conf": PIP_CONF}),
    "pip.conf of the machine": Case(files={"etc/pip.conf": PIP_CONF}),
    "pip.conf of an environment": Case(files={"opt/v/pip.conf": PIP_CONF, "opt/v/bin/python3": File("", 0o755)}),
    "pip.conf that is named": Case(
        files={"srv/pip.conf": PIP_CONF}, config={"Env": [*CONFIG["Env"], "PIP_CONFIG_FILE=/srv/pip.conf"]}
    ),
    "pip.conf that sets no index": Case(files={"srv/pip.conf": File("[global]\ncert=/x\n")}),
    "pip.conf that is none": Case(files={"srv/pip.conf": File("index-url\n\x00[")}),
    "apt at start": Case("S12", "apt-get -qq update", script("apt-get -qq update && true")),
    "pip at start": Case("S12", "pip3 install", script("true && pip3 install --upgrade pip")),
    "curl in a service": Case("S12", "/opt/desktop/a:2: curl", script("curl https://a.example", "opt/desktop/a")),
    "curl to the platform": Case(
        files=script("curl -s https://jobs.internal/x"), parameters={"internal_hosts": ["jobs.internal"]}
    ),
    "curl to two hosts": Case(
        "S12",
        "b.example",
        files=script("curl https://jobs.internal/x https://b.example"),
        parameters={"internal_hosts": ["jobs.internal"]},
    ),
    "curl to itself": Case(files=script("until curl -s http://localhost:8888/api; do sleep 1; done")),
    "names that only hold curl": Case(files=script("my-curl x; ./wget-all; echo nocurl")),
    "setuid shell": Case("S13", "/usr/local/bin/su (setuid root)", {"usr/local/bin/su": File("ELF", 0o4755)}),
    "setuid of the user": Case(files={"usr/local/bin/x": File("ELF", 0o4755, USERS)}),
    "setuid that may be": Case(
        files={"opt/x": File("ELF", 0o4755)}, parameters={"setuid_programs": ["/opt/x"]}
    ),
    "setgid root": Case("S13", "/opt/x (setgid root)", {"opt/x": File("ELF", 0o2755)}),
    "setgid of a group": Case(files={"opt/x": File("ELF", 0o2755, (0, 43))}),
    "capability to be root": Case("S13", "capabilities 0x80", {
        "opt/x": File("ELF", 0o755, capability="0100000280000000000000000000000000000000")}),
    "capability to ping": Case(files={
        "opt/x": File("ELF", 0o755, capability="0100000200200000000000000000000000000000")}),
    "passwd that can't": Case("S13", "/usr/bin/passwd has the mode 755", {"usr/bin/passwd": File("ELF", 0o755)}),
    "torch for CUDA": Case("R14", "torch/version.py is made for CUDA", {TORCH: File("cuda: Optional[str] = '11.8'\n")}),
    "torch for the CPU": Case(files={TORCH: File("cuda: Optional[str] = None\n")}),
    "torch for the CPU in a CUDA image": Case(
        "R14", "made for the CPU", {TORCH: File("cuda = None\n")}, revision(COMMIT), {"cuda": True}
    ),
    "tensorflow for CUDA": Case(
        "R14",
        "build_info.py is made for CUDA",
        {f"usr/lib/python3/dist-packages/{TENSORFLOW}": File("b = OrderedDict([('is_cuda_build', True)])\n")},
    ),
    "CUDA by its tag, and no nvidia-smi": Case(
        "R14", "no nvidia-smi", {TORCH: File("cuda = '11.8'\n")},
        {"Labels": {"name": "desktop", "version": "1.0cuda11"}}, settings=CUDA,
    ),
    "CUDA by its tag": Case(
        files={TORCH: File("cuda = '11.8'\n"), "usr/bin/nvidia-smi": File("ELF", 0o755)},
        config={"Labels": {"name": "desktop", "version": "1.0cuda11"}},
        settings=CUDA,
    ),
}  # fmt: skip


def layer(files: Mapping[str, File]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, file in files.items():
            if file.text is None:
                continue
            info = tarfile.TarInfo(path.rstrip("/"))
            info.type = tarfile.DIRTYPE if path.endswith("/") else tarfile.REGTYPE
            info.mode, (info.uid, info.gid) = file.mode, file.owner
            info.size = len(file.text.encode())
            if file.capability:
                raw = bytes.fromhex(file.capability).decode("utf-8", "surrogateescape")
                info.pax_headers = {"SCHILY.xattr.security.capability": raw}
            tar.addfile(info, io.BytesIO(file.text.encode()))
    return stream.getvalue()


def archive(case: Case, target: Path) -> Path:
    """The image of CASE as a docker archive."""
    content = layer({**FILES, **case.files})
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(content).hexdigest()}"]}
    members = {
        "layer.tar": content,
        "config.json": json.dumps({"config": {**CONFIG, **case.config}, "rootfs": rootfs}).encode(),
        "manifest.json": json.dumps([{"Config": "config.json", "RepoTags": ["x:1"], "Layers": ["layer.tar"]}]).encode(),
    }
    with tarfile.open(target, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return target


def settings_of(case: Case, folder: Path) -> Settings:
    said: dict[str, Any] = {"profile": "desktop", "user": "chaimeleon", **case.settings}
    return Settings(
        engine="none",
        image="",
        name="x",
        contract="workstation",
        log_folder=str(folder),
        archive=str(archive(case, folder / "image.tar")),
        parameters=Parameters(**case.parameters),
        **said,
    )


Checks = Mapping[str, Callable[..., None]]


@pytest.fixture(scope="module")
def checks() -> Checks:
    from hubtool.contracts.workstation import static

    return {name: check for name, check in vars(static).items() if name.startswith("test_")}


@pytest.mark.parametrize("name", CASES)
def test_each_image_breaks_the_check_that_it_shall(name: str, checks: Checks, tmp_path: Path) -> None:
    case = CASES[name]
    settings = settings_of(case, tmp_path)
    image = ImageUnderTest(no_engine(), settings, tmp_path)
    failed = {}
    for check, function in checks.items():
        given = {"image": image, "settings": replace(settings, archive=None)}  # as one that an engine has
        wanted = function.__code__.co_varnames[: function.__code__.co_argcount]
        try:
            function(**{key: given[key] for key in wanted})
        except AssertionError as error:
            failed[check.split("_")[1]] = str(error)
        except pytest.skip.Exception:
            pass
    image.close()
    assert failed.keys() == set(case.fails.split()), failed
    assert case.says in "".join(failed.values())


def test_the_contract_reads_an_image_that_is_a_file(tmp_path: Path) -> None:
    results = run_checks(no_engine(), settings_of(Case(), tmp_path), lambda _: None)[0]
    outcomes = {result.check: result.outcome for result in results if result.check.startswith("S")}
    assert {outcomes[f"S{number}"] for number in range(1, 11)} == {"passed"}
    assert {result.outcome for result in results if result.check in ("R1", "R9", "R11")} == {"skipped"}


def test_the_start_is_followed_through_variables_and_settings(tmp_path: Path) -> None:
    image = ImageUnderTest(no_engine(), settings_of(Case(), tmp_path), tmp_path)
    paths = [script.path for script in start_scripts(image)]
    assert paths == ["/opt/start", "/opt/setup.sh", "/opt/desktop/supervisord.conf", "/opt/desktop/a"]
    image.close()
