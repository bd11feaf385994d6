"""A base image of packages on the whole line, made twice; with real packages, engine and registry."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import git
import pytest

from hubtool.engines import get_engine
from hubtool.reference import ImageReference
from hubtool.sandbox import packages
from tests.builders.conftest import shell, write_files
from tests.builders.debian.archive import Archive, release, running_archive
from tests.commands.scratch import NO_ENGINE, Scratch, commit
from tests.registries.parts import client_for

pytestmark = [pytest.mark.engine, pytest.mark.slow]

SETTINGS = """\
{registry}
images:
  small:
    builder: debian
    contract: none
    args: {{NAME: coder}}
    debian:
      suite: bookworm
      variant: essential
      mirror: {mirror}
      packages: [passwd]
      files: root
      run: setup.sh
      config: {{user: "1000", workdir: /home/coder, environment: {{A: b c}}, ports: [8080]}}
"""
FILES = {
    "root/etc/skel/hello": "hello\n",
    "root/lib/hubtool-test/file": "below a link\n",
    "root/tmp/file": "x",
    "root/.netrc": "secret",
    "setup.sh": 'useradd --uid 1000 --create-home "$NAME"\ndate +%s > /home/coder/time; rm /home/coder/time\n',
}


@pytest.fixture
def archive() -> Iterator[Archive]:
    packages.ensure(["mmdebstrap"])
    with running_archive() as found:
        yield found


@pytest.fixture
def image(scratch: Scratch, archive: Archive) -> Scratch:
    """``scratch``, its one image of packages."""
    text = SETTINGS.format(registry=scratch.settings.splitlines()[0], mirror=archive.url)
    write_files(scratch.root, {**FILES, "hubtool.yaml": text})
    os.chmod(scratch.root / "root", 0o700)
    commit(scratch.root)
    return scratch


def content(image: Scratch, reference: ImageReference, digest: str) -> tuple[Any, Any]:
    """Config and layers that a release names."""
    with client_for(reference, image.login) as client:
        manifest = client.get_manifest(digest)
        assert manifest is not None
        document = json.loads(manifest.content)
    return document["config"]["digest"], [layer["digest"] for layer in document["layers"]]


def plan(image: Scratch) -> tuple[str, str]:
    found = image.json("plan")
    return found["action"], found["why"]


def test_the_same_packages_make_the_same_image_whenever_and_wherever(
    image: Scratch, archive: Archive, tmp_path: Path
) -> None:
    first = image.json("release")
    reference = first["reference"].partition("@")[0]
    docker = get_engine("docker")
    held = docker.inspect(reference)
    assert held is not None
    assert held.config["WorkingDir"] == "/home/coder"
    assert "A=b c" in held.config["Env"]
    look = "id -un; cat ~/hello /lib/hubtool-test/file; stat -c '%a %U' /tmp /lib/. /root /etc/skel/hello; stat -c %a /"
    look += "; ls /dev/null /.netrc /.hubtool /etc/apt/apt.conf.d /var/lib/apt/lists 2>&1"
    said = shell(docker, held.id, look + " || true").splitlines()
    assert said[:8] == ["coder", "hello", "below a link", "1777 root", "755 root", "700 root", "644 root", "755"]
    assert "ls: cannot access '/.netrc': No such file or directory" in said
    assert "ls: cannot access '/.hubtool': No such file or directory" in said
    assert "99mmdebstrap" not in said

    # Cloned elsewhere, with other times and modes of files, and released to another place.
    again = tmp_path / "elsewhere" / "clone"
    git.Repo.clone_from(str(image.root), str(again))
    os.chmod(again / "setup.sh", 0o664)
    registry = {"HUBTOOL_REGISTRY": f"{image.reference.registry}/elsewhere"}
    second = image.json("release", cwd=again, env=registry)
    other = ImageReference.parse(f"{image.reference.registry}/elsewhere/small")
    assert content(image, other, second["digest"]) == content(image, image.reference, first["digest"])

    assert plan(image) == ("reuse", "unchanged")
    assert image.json("release", env=NO_ENGINE)["digest"] == first["digest"]
    archive.put["/debian-security/dists/bookworm-security/InRelease"] = release()
    assert plan(image) == ("build", "other packages in the archive")


def test_the_doctor_says_whether_mmdebstrap_is_there(image: Scratch) -> None:
    found = {item["check"]: item for item in json.loads(image.run("doctor", "--json").stdout)}
    assert found["debian"]["ok"]
    assert found["debian"]["found"].startswith("mmdebstrap ")
