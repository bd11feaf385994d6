from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import certifi
import pytest

from hubtool.builders import BuildJob, BuildOptions, Ingredients
from hubtool.builders.debian import DebianBuilder
from hubtool.builders.debian.archives import build_sources
from hubtool.builders.debian.bootstrap import INSIDE, RUN
from hubtool.config import Debian, Site, parse
from hubtool.engines import Engine
from hubtool.errors import HubtoolError
from hubtool.image.archive import Archive as ImageArchive
from hubtool.image.spool import spool_folder
from hubtool.sandbox import packages
from tests.builders.conftest import make_job, shell, write_files
from tests.builders.debian.archive import DATE, Archive, release

Files = Mapping[str, str | bytes]
FILES: Files = {"root/etc/motd": "welcome\n", "setup.sh": "touch /made\n"}
SETTINGS: Mapping[str, Any] = {"suite": "bookworm", "files": "root", "run": "setup.sh"}
CERTIFICATE = "".join(Path(certifi.where()).read_text().partition("-----END CERTIFICATE-----\n")[:2])
SNAPSHOT = "20260701T000000Z"


def job_of(
    folder: Path, archive: Archive | None, debian: Mapping[str, Any], files: Files = FILES, **settings: Any
) -> BuildJob:
    mirror = {"mirror": archive.url} if archive else {}
    return make_job(write_files(folder, files), builder="debian", debian={**SETTINGS, **mirror, **debian}, **settings)


def made(
    folder: Path, archive: Archive, files: Files = FILES, debian: Mapping[str, Any] | None = None, **settings: Any
) -> Ingredients:
    with DebianBuilder().prepare(job_of(folder, archive, debian or {}, files, **settings)) as prepared:
        return prepared.ingredients()


CHANGES: Mapping[str, Mapping[str, Any]] = {
    "a file": {"files": {**FILES, "root/etc/motd": "other\n"}},
    "the script": {"files": {**FILES, "setup.sh": "touch /other\n"}},
    "a package": {"debian": {"packages": ["git"]}},
    "the variant": {"debian": {"variant": "essential"}},
    "a snapshot": {"debian": {"snapshot": SNAPSHOT}},
    "how it starts": {"debian": {"config": {"user": "1000"}}},
    "an argument": {"args": {"VERSION": "2"}},
    "the platform": {"platform": "linux/arm64"},
    "mirrors that stay": {"site": Site(pip_index="https://a.b/simple", run_time=True)},
}
NO_CHANGES: Mapping[str, Mapping[str, Any]] = {
    "nothing": {},
    "another file of the repository": {"files": {**FILES, "README.md": "x", "notes": "x"}},
    "credentials": {"files": {**FILES, "root/.netrc": "x"}},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_another_fingerprint_for_another(archive: Archive, tmp_path: Path, change: Mapping[str, Any]) -> None:
    archive.put_releases(release())
    assert made(tmp_path / "a", archive) != made(tmp_path / "b", archive, **change)


@pytest.mark.parametrize("change", NO_CHANGES.values(), ids=NO_CHANGES)
def test_the_same_fingerprint_whatever(archive: Archive, tmp_path: Path, change: Mapping[str, Any]) -> None:
    archive.put_releases(release())
    assert made(tmp_path / "a", archive) == made(tmp_path / "b", archive, **change)


def test_the_fingerprint_follows_the_archives_packages_and_not_their_signature(
    archive: Archive, tmp_path: Path
) -> None:
    archive.put_releases(release())
    first = made(tmp_path, archive)
    archive.put_releases(release(date=DATE.replace("11", "12"), other="c" * 64))
    assert made(tmp_path, archive) == first
    archive.put["/debian-security/dists/bookworm-security/InRelease"] = release(digest="d" * 64)
    moved = made(tmp_path, archive)
    assert moved.content != first.content
    assert moved.archive != first.archive
    assert made(tmp_path, archive, debian={"updates": False}).archive not in (first.archive, moved.archive)


def test_a_snapshot_is_asked_for_nothing(archive: Archive, tmp_path: Path) -> None:
    found = made(tmp_path, archive, debian={"snapshot": SNAPSHOT})
    assert found.archive == ""
    assert not archive.asked


def test_a_snapshot_that_is_still_to_come_is_refused(archive: Archive, tmp_path: Path) -> None:
    with pytest.raises(HubtoolError, match="20990101T000000Z is still to come"):
        made(tmp_path, archive, debian={"snapshot": "20990101T000000Z"})


ANSWERS: Mapping[str, tuple[bytes | int, str]] = {
    "404": (404, "has no suite bookworm"),
    "500": (500, "can't be read"),
    "a page": (b"<html>", "is no Release file: it has no date"),
    "a bad date": (b"Date: yesterday\n", "is no Release file: it has no date"),
    "none of the architecture": (release().replace(b"amd64", b"s390x"), "has no packages for amd64 in main"),
    "a binary": (b"\xff\x00" * 100, "is no Release file"),
    "no end": (b"x" * 17_000_000, "has more than 16000000 bytes"),
}


@pytest.mark.parametrize(("content", "says"), ANSWERS.values(), ids=ANSWERS)
def test_what_is_no_archive_is_said(archive: Archive, tmp_path: Path, content: bytes | int, says: str) -> None:
    archive.put_releases(content)
    with pytest.raises(HubtoolError, match=says):
        made(tmp_path, archive, platform="linux/amd64")


def test_an_archive_that_does_not_answer_is_said(tmp_path: Path) -> None:
    job = job_of(tmp_path, None, {"mirror": "http://127.0.0.1:9/debian"})
    with DebianBuilder().prepare(job) as prepared, pytest.raises(HubtoolError, match=r"site\.apt_mirror"):
        prepared.ingredients()


READ: Mapping[str, tuple[Mapping[str, Any], Files, str]] = {
    "no folder": ({"files": "nope"}, FILES, "nope: there is no such folder"),
    "no script": ({"run": "nope"}, FILES, "nope: there is no such file"),
    "a folder outside": ({"files": "a/../.."}, {**FILES, "a/b": ""}, "leads outside the image's context"),
    "a script outside": ({"run": "a/../../x"}, {**FILES, "a/b": ""}, "leads outside the image's context"),
    "no keyring": ({"keyring": "keys.gpg"}, FILES, "keys.gpg: there is no such file"),
}


@pytest.mark.parametrize(("debian", "files", "says"), READ.values(), ids=READ)
def test_files_that_are_not_there_are_said(
    archive: Archive, tmp_path: Path, debian: Mapping[str, Any], files: Files, says: str
) -> None:
    archive.put_releases(release())
    with pytest.raises(HubtoolError) as caught:
        made(tmp_path, archive, files, debian)
    assert says in str(caught.value)


WRONG = {
    "{snapshot: yesterday}": "'yesterday': expected a time like 20260701T000000Z",
    "{suite: '--help'}": "images.a.debian.suite",
    "{packages: ['git;reboot']}": "images.a.debian.packages[0]",
    "{packages: [-y]}": "images.a.debian.packages[0]",
    "{mirror: 'http://a:b@c/debian'}": "images.a.debian.mirror",
    "{mirror: 'http://a/ b main]'}": "images.a.debian.mirror",
    "{config: {ports: [0]}}": "images.a.debian.config.ports[0]",
    "{pakages: [a]}": "did you mean 'packages'?",
}


@pytest.mark.parametrize(("value", "says"), WRONG.items(), ids=WRONG)
def test_settings_that_are_no_archives_are_refused(value: str, says: str) -> None:
    text = f"registry: quay.io/a\nimages: {{a: {{builder: debian, debian: {value}}}}}\n"
    with pytest.raises(HubtoolError) as caught:
        parse(text.encode(), Path("hubtool.yaml"))
    assert says in str(caught.value)


def test_an_ubuntu_has_the_archives_of_its_platform() -> None:
    noble = Debian(distribution="ubuntu", suite="noble", components=("main", "universe"))
    assert [source.line() for source in build_sources(noble, Site(), "arm64")] == [
        f"deb http://ports.ubuntu.com/ubuntu-ports noble{pocket} main universe"
        for pocket in ("", "-updates", "-security")
    ]
    then = noble.model_copy(update={"snapshot": SNAPSHOT, "updates": False})
    assert build_sources(then, Site(), "amd64")[0].url == f"http://snapshot.ubuntu.com/ubuntu/{SNAPSHOT}"


def test_a_snapshot_is_debians_own_unless_a_mirror_has_it() -> None:
    then = Debian(suite="bookworm", snapshot=SNAPSHOT)
    own = "http://snapshot.debian.org/archive/debian"
    site = Site(apt_mirror="http://mirror.example.org/debian")
    assert [source.url for source in build_sources(then, site, "amd64")] == [
        f"{own}/{SNAPSHOT}",
        f"{own}/{SNAPSHOT}",
        f"{own}-security/{SNAPSHOT}",
    ]
    assert build_sources(Debian(), site, "amd64")[2].url == "http://mirror.example.org/debian-security"


def build(job: BuildJob, engine: Engine) -> list[str]:
    with DebianBuilder().prepare(job) as prepared:
        return list(prepared.build(engine, BuildOptions()))


# What tells of the machine, or of the moment, that an image was made on.
LEFT_OUT = {
    "./etc/resolv.conf",
    "./etc/hostname",
    "./etc/apt/apt.conf.d/99mmdebstrap",
    "./etc/dpkg/dpkg.cfg.d/99mmdebstrap",
    "./var/log/dpkg.log",
    "./var/cache/ldconfig/aux-cache",
    "./dev/null",
    "./.hubtool",
}


def files_of(image: Path) -> set[str]:
    """The names in an image's one layer."""
    with ImageArchive(image) as opened, opened.layers[0].open_tar() as stream, tarfile.open(fileobj=stream) as tar:
        return set(tar.getnames())


@pytest.fixture
def mmdebstrap() -> None:
    packages.ensure(["mmdebstrap"])


@pytest.mark.engine
def test_an_archive_that_nobody_signed_makes_no_image(
    mmdebstrap: None, docker: Engine, archive: Archive, tmp_path: Path
) -> None:
    archive.put_releases(release(), snapshot=f"/{SNAPSHOT}")
    job = job_of(tmp_path, archive, {"snapshot": SNAPSHOT, "updates": False}, reference="localhost/test-deb:no")
    with pytest.raises(HubtoolError, match="mmdebstrap could not make the image") as caught:
        build(job, docker)
    assert "InRelease" in str(caught.value)
    assert docker.inspect("localhost/test-deb:no") is None


@pytest.mark.engine
def test_a_name_that_no_package_has_is_no_expression_of_others(
    mmdebstrap: None, docker: Engine, archive: Archive, tmp_path: Path
) -> None:
    debian = {"variant": "essential", "updates": False, "packages": ["bas.-files"]}
    with pytest.raises(HubtoolError, match="mmdebstrap could not make the image") as caught:
        build(job_of(tmp_path, archive, debian, reference="localhost/test-deb:no"), docker)
    assert "look at packages" in str(caught.value)


@pytest.mark.parametrize(("script", "code"), [("exit 3", 1), ("exit 0", 0), (None, 0)])
def test_a_script_that_fails_is_named_with_its_code(tmp_path: Path, script: str | None, code: int) -> None:
    if script:
        write_files(tmp_path, {f"{INSIDE}/run": f"#!/bin/sh\n{script}\n"})
        (tmp_path / INSIDE / "run").chmod(0o755)
    done = subprocess.run(["/bin/sh", "-euc", RUN], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == code
    assert done.stderr == ("the script of debian.run ended with code 3\n" if code else "")


def test_a_bundle_with_no_certificate_is_said(archive: Archive, tmp_path: Path) -> None:
    write_files(tmp_path, {"ca.pem": "none"})
    with pytest.raises(HubtoolError, match=r"ca\.pem: no certificates in it that can be used"):
        made(tmp_path, archive, ca_bundle=tmp_path / "ca.pem")


@pytest.mark.engine
@pytest.mark.slow
def test_a_sites_settings_stay_for_those_who_work_in_the_image(
    mmdebstrap: None, docker: Engine, archive: Archive, tmp_path: Path
) -> None:
    site = Site(apt_mirror=archive.url, pip_index="http://mirror.example.org/simple", run_time=True)
    files = {**FILES, "setup.sh": "#!/bin/bash -eu\necho $WORD $PIP_INDEX_URL > /made\n", "ca.pem": CERTIFICATE}
    job = job_of(
        tmp_path,
        None,
        {"variant": "essential", "updates": False, "packages": ["ca-certificates"]},
        files,
        site=site,
        ca_bundle=tmp_path / "ca.pem",
        args={"WORD": "$(it's) a"},
        reference="localhost/test-deb:site",
    )
    with DebianBuilder().prepare(job) as prepared, spool_folder() as folder:
        assert list(prepared.write(folder, {}))
        docker.load(folder / "image.tar")
        names = files_of(folder / "image.tar")
    try:
        assert names >= {"./etc/motd", "./usr/bin/sh", "./etc/apt/sources.list"}
        assert not names & LEFT_OUT
        image = docker.inspect("localhost/test-deb:site")
        assert image is not None
        assert "PIP_INDEX_URL=http://mirror.example.org/simple" in image.config["Env"]
        bundle = "/usr/local/share/hubtool-site/ca-bundle.pem"
        assert f"SSL_CERT_FILE={bundle}" in image.config["Env"]
        said = shell(
            docker, image.id, f"cat /made /etc/apt/sources.list; tail -n 1 {bundle}; ls -d /.hubtool || echo gone"
        )
        assert said.splitlines() == [
            "$(it's) a http://mirror.example.org/simple",
            f"deb {archive.url} bookworm main",
            "-----END CERTIFICATE-----",
            "gone",
        ]
    finally:
        docker.remove_image("localhost/test-deb:site")


def test_without_mmdebstrap_it_is_said_how_to_get_it(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, docker: Engine
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HubtoolError, match="apt-get install mmdebstrap"):
        build(job_of(tmp_path / "a", archive, {"snapshot": SNAPSHOT}), docker)


def test_another_machines_programs_need_an_emulator(archive: Archive, tmp_path: Path, docker: Engine) -> None:
    other = "linux/amd64" if os.uname().machine == "aarch64" else "linux/arm64"
    if any(Path("/proc/sys/fs/binfmt_misc").glob("qemu-*")):
        pytest.skip("this machine has one")
    with pytest.raises(HubtoolError, match="apt-get install qemu-user-static"):
        build(job_of(tmp_path, archive, {"snapshot": SNAPSHOT}, platform=other), docker)
