from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import docker as docker_sdk
import pytest

from hubtool.builders import BuildOptions, Ingredients
from hubtool.builders.dockerfile import DockerfileBuilder
from hubtool.config import Site
from hubtool.engines import Engine
from hubtool.errors import HubtoolError
from hubtool.sandbox.registry import local_registry
from tests.builders.conftest import make_job, shell, write_files

DOCKERFILE = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE} AS first
RUN touch /first
FROM first
ARG VERSION
LABEL version=$VERSION
COPY hello.txt /srv/hello.txt
RUN --mount=type=secret,id=token sh -c 'wc -c < /run/secrets/token > /srv/length; touch /last'
USER 1000
"""
FILES = {"Dockerfile": DOCKERFILE, "hello.txt": "hello\n", ".dockerignore": "notes\n"}
SETTINGS: Mapping[str, Any] = {"builder": "dockerfile", "args": {"VERSION": "1.2"}, "secrets": {"token": "SITE_TOKEN"}}


def made(folder: Path, files: Mapping[str, str | bytes] = FILES, **settings: Any) -> Ingredients:
    job = make_job(write_files(folder, files), **{"base": "debian:12", **SETTINGS, **settings})
    with DockerfileBuilder().prepare(job) as prepared:
        return prepared.ingredients()


def test_the_base_is_what_the_build_argument_says(tmp_path: Path) -> None:
    assert made(tmp_path).bases == ("debian:12",)
    assert made(tmp_path, {"Dockerfile": "ARG PARENT=a:1\nFROM $PARENT\n"}, base="b:2", base_arg="PARENT").bases == (
        "b:2",
    )
    assert made(tmp_path, {"Dockerfile": "ARG PARENT=a:1\nFROM $PARENT\n"}, base=None).bases == ("a:1",)


CHANGES: Mapping[str, tuple[Mapping[str, str | bytes], Mapping[str, Any]]] = {
    "a file": ({**FILES, "hello.txt": "other\n"}, {}),
    "the Dockerfile": ({**FILES, "Dockerfile": DOCKERFILE + "RUN true\n"}, {}),
    "an argument": (FILES, {"args": {"VERSION": "1.3"}}),
    "the stage": (FILES, {"target": "first"}),
    "the base": (FILES, {"base": "debian:13"}),
    "the platform": (FILES, {"platform": "linux/arm64"}),
}
NO_CHANGES: Mapping[str, tuple[Mapping[str, str | bytes], Mapping[str, Any]]] = {
    "nothing": (FILES, {}),
    "what is ignored": ({**FILES, "notes": "x"}, {}),
    "what says nothing to an image": ({**FILES, "README.md": "x"}, {}),
    "where a secret is": (FILES, {"secrets": {"token": "OTHER"}}),
}


@pytest.mark.parametrize(("files", "settings"), CHANGES.values(), ids=CHANGES)
def test_another_fingerprint_for_another(
    tmp_path: Path, files: Mapping[str, str | bytes], settings: Mapping[str, Any]
) -> None:
    assert made(tmp_path / "a") != made(tmp_path / "b", files, **settings)


@pytest.mark.parametrize(("files", "settings"), NO_CHANGES.values(), ids=NO_CHANGES)
def test_the_same_fingerprint_whatever(
    tmp_path: Path, files: Mapping[str, str | bytes], settings: Mapping[str, Any]
) -> None:
    assert made(tmp_path / "a") == made(tmp_path / "b", files, **settings)


WRONG: Mapping[str, tuple[Mapping[str, str | bytes], str]] = {
    "no Dockerfile": ({"a": ""}, "Dockerfile: there is no such file"),
    "an empty one": ({"Dockerfile": ""}, "Dockerfile: has no FROM"),
    "a binary": ({"Dockerfile": b"\xff\xfe\x00"}, "Dockerfile: not UTF-8 text"),
    "another base than is said": (
        {"Dockerfile": "FROM a\n"},
        "Dockerfile:1: no FROM has the build argument BASE_IMAGE",
    ),
    "an argument from before FROM": (
        {"Dockerfile": "ARG V=1\nFROM a\nRUN echo $V\n"},
        "Dockerfile:3: V is empty here: its ARG stands before FROM alone (line 1)",
    ),
}


@pytest.mark.parametrize(("files", "says"), WRONG.values(), ids=WRONG)
def test_what_is_no_dockerfile_is_said(tmp_path: Path, files: Mapping[str, str | bytes], says: str) -> None:
    with pytest.raises(HubtoolError) as caught:
        made(tmp_path, files)
    assert says in str(caught.value)


def test_a_dockerfile_elsewhere_is_not_read(tmp_path: Path) -> None:
    write_files(tmp_path, {"Dockerfile": "FROM a\n", "context/hello.txt": ""})
    with pytest.raises(HubtoolError, match="leads outside"):
        made(tmp_path / "context", {"a": ""}, dockerfile="../Dockerfile")
    (tmp_path / "context" / "Link").symlink_to("../Dockerfile")
    with pytest.raises(HubtoolError, match="leads outside"):
        made(tmp_path / "context", {"a": ""}, dockerfile="Link")


@pytest.mark.engine
@pytest.mark.slow
def test_an_image_is_built_with_its_arguments_secrets_and_labels(
    docker: Engine, base_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SITE_TOKEN", "0123456789")
    files = {**FILES, "Dockerfile": DOCKERFILE + "COPY . /srv/all\n", "gha-creds-1.json": "{}"}
    job = make_job(write_files(tmp_path, files), base=base_image, reference="localhost/test-dockerfile:1", **SETTINGS)
    with DockerfileBuilder().prepare(job) as prepared:
        lines = list(prepared.build(docker, BuildOptions(labels={"mine": "yes"})))
    try:
        image = docker.inspect("localhost/test-dockerfile:1")
        assert image is not None
        labels = image.config["Labels"]
        assert labels["version"] == "1.2"
        assert labels["mine"] == "yes"
        assert labels["org.opencontainers.image.base.name"] == base_image
        said = shell(docker, image.id, "cat /srv/hello.txt /srv/length; ls /first /last; ls /srv/all; id -u")
        assert said.split() == ["hello", "10", "/first", "/last", "Dockerfile", "hello.txt", "1000"]
        assert any("gha-creds-1.json" in line for line in lines)
        assert "0123456789" not in "".join(lines)
    finally:
        docker.remove_image("localhost/test-dockerfile:1")


@pytest.mark.engine
def test_what_is_copied_is_root_s_as_engines_have_it(docker: Engine, base_image: str, tmp_path: Path) -> None:
    text = f"ARG BASE_IMAGE\nFROM ${{BASE_IMAGE}}\nUSER 1000\n# {tmp_path}, not in a cache\nCOPY . /srv/\n"
    files = {"Dockerfile": text, "folder/hello.txt": ""}
    name = "localhost/test-dockerfile:4"
    job = make_job(write_files(tmp_path, files), base=base_image, reference=name, builder="dockerfile")
    with DockerfileBuilder().prepare(job) as prepared:
        list(prepared.build(docker, BuildOptions()))
    try:
        assert shell(docker, name, "stat -c %u:%g /srv/folder /srv/folder/hello.txt").split() == ["0:0", "0:0"]
    finally:
        docker.remove_image(name)


@pytest.mark.engine
def test_a_stage_can_be_the_image(docker: Engine, base_image: str, tmp_path: Path) -> None:
    settings = {**SETTINGS, "secrets": {}, "target": "first"}
    job = make_job(write_files(tmp_path, FILES), base=base_image, reference="localhost/test-dockerfile:2", **settings)
    with DockerfileBuilder().prepare(job) as prepared:
        list(prepared.build(docker, BuildOptions()))
    try:
        assert shell(docker, "localhost/test-dockerfile:2", "ls /first; ls /last || true").split() == ["/first"]
    finally:
        docker.remove_image("localhost/test-dockerfile:2")


def test_a_secret_that_is_not_there_is_said_before_anything_is_built(
    docker: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SITE_TOKEN", raising=False)
    job = make_job(write_files(tmp_path, FILES), base="debian:12", **SETTINGS)
    with (
        DockerfileBuilder().prepare(job) as prepared,
        pytest.raises(HubtoolError, match=r"the secret token is to be in \$SITE_TOKEN, which is not set"),
    ):
        list(prepared.build(docker, BuildOptions()))


ON_TWO = """\
ARG BASE_IMAGE
ARG OTHER
FROM ${OTHER} AS other
RUN touch /of-root
FROM ${BASE_IMAGE}
COPY --from=other /of-root /srv/of-root
"""


@pytest.mark.engine
def test_a_site_s_settings_suit_the_users_of_bases_that_the_engine_has_not_pulled(
    docker: Engine, docker_host: str, base_image: str, tmp_path: Path
) -> None:
    names = {"other": f"FROM {base_image}\n", "base": f"FROM {base_image}\nUSER 1000\n"}
    client = docker_sdk.DockerClient(docker_host)
    with local_registry(tmp_path / "registry") as host, contextlib.closing(client):
        for name, text in names.items():
            client.images.build(fileobj=io.BytesIO(text.encode()), tag=f"{host}/{name}:1")
            client.images.push(f"{host}/{name}", "1")
            client.images.remove(f"{host}/{name}:1")
        job = make_job(
            write_files(tmp_path / "context", {"Dockerfile": ON_TWO}),
            base=f"{host}/base:1",
            reference="localhost/test-dockerfile:3",
            builder="dockerfile",
            args={"OTHER": f"{host}/other:1"},
            site=Site(pip_index="https://pypi.example.org/simple"),
        )
        with DockerfileBuilder().prepare(job) as prepared:
            list(prepared.build(docker, BuildOptions()))
    try:
        said = shell(docker, "localhost/test-dockerfile:3", "id -u; ls /srv /usr/local/share").split()
        assert said[:3] == ["1000", "/srv:", "of-root"]
        assert "hubtool-site" not in said
    finally:
        docker.remove_image("localhost/test-dockerfile:3")


def test_what_stands_on_nothing_gets_no_lines_of_the_site(tmp_path: Path) -> None:
    write_files(tmp_path, {"Dockerfile": "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY hello.txt /\n", "hello.txt": ""})
    for base, runs in {"scratch": False, "debian:12": True}.items():
        job = make_job(
            tmp_path, builder="dockerfile", base=base, site=Site(pip_index="https://pypi.example.org/simple")
        )
        with DockerfileBuilder().prepare(job) as prepared:
            assert ("enter.sh" in prepared.dockerfile()) == runs


def test_a_site_s_settings_are_taken_out_of_the_stage_that_is_built(tmp_path: Path) -> None:
    write_files(tmp_path, {"Dockerfile": "ARG BASE_IMAGE\nFROM ${BASE_IMAGE} AS one\nRUN true\nFROM other\n"})
    job = make_job(tmp_path, base="debian:12", target="one", site=Site(pip_index="https://pypi.example.org/simple"))
    with DockerfileBuilder().prepare(job) as prepared:
        first, second = prepared.dockerfile().split("FROM other")
    assert "leave.sh" in first
    assert "leave.sh" not in second
