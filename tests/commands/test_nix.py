"""An image of Nix's on the whole line: built, found again, pushed, released; with a real store, engine and registry."""

from __future__ import annotations

import json

import pytest

from tests.builders.conftest import write_files
from tests.builders.nix.images import FILES
from tests.builders.nix.store import nix, nix_store
from tests.commands.scratch import NO_ENGINE, Scratch, commit
from tests.registries.parts import client_for

__all__ = ["nix", "nix_store"]

pytestmark = pytest.mark.engine


@pytest.fixture
def image(scratch: Scratch, nix: None) -> Scratch:
    """``scratch``, its one image by Nix."""
    registry = scratch.settings.splitlines()[0]
    small = "{builder: nix, contract: none, nix: {attribute: stream}, args: {word: one}}"
    files = {**FILES, "hubtool.yaml": f"{registry}\nlayers: as-built\nimages: {{small: {small}}}\n"}
    write_files(scratch.root, files)
    commit(scratch.root)
    return scratch


def plan(image: Scratch) -> tuple[str, str]:
    found = image.json("plan")
    return found["action"], found["why"]


def test_an_image_is_released_and_not_built_again_until_its_derivation_changes(image: Scratch) -> None:
    assert plan(image) == ("build", "not in the registry")
    first = image.json("release")
    with client_for(image.reference, image.login) as client:
        manifest = client.get_manifest(first["digest"])
        assert manifest is not None
        config = json.loads(client.get_blob(json.loads(manifest.content)["config"]["digest"]))
    assert config["config"]["User"] == "1000"
    assert config["config"]["Labels"]["own"] == "yes"
    assert {"hubtool.fingerprint", "org.opencontainers.image.revision"} < set(config["config"]["Labels"])
    assert plan(image) == ("reuse", "unchanged")

    image.write("notes/other.txt", "not of the image")
    again = image.json("release", env=NO_ENGINE)
    assert again["digest"] == first["digest"]

    image.write("hubtool.yaml", image.settings.replace("word: one", "word: two"))
    assert plan(image)[0] == "build"
    assert image.json("release")["digest"] != first["digest"]


def test_a_build_finds_what_the_engine_has(image: Scratch) -> None:
    assert "building" in image.run("build").stderr
    again = image.run("build")
    assert again.returncode == 0
    assert "is built already: nothing to do" in again.stderr


def test_what_fails_names_file_and_log(image: Scratch) -> None:
    image.write("hubtool.yaml", image.settings.replace("stream", "fails"))
    done = image.run("build")
    assert done.returncode == 1
    assert "it went wrong" in done.stderr
    assert "the whole log: " in done.stderr


def test_there_is_no_dockerfile_to_print(image: Scratch) -> None:
    done = image.run("build", "--print-dockerfile")
    assert done.returncode == 1
    assert "small is built by nix, which has no Dockerfile" in done.stderr


def test_the_doctor_says_whether_nix_is_there(image: Scratch) -> None:
    found = {item["check"]: item for item in json.loads(image.run("doctor", "--json").stdout)}
    assert found["nix"]["ok"]
    assert found["nix"]["found"].startswith("nix-store (Nix) ")
    lost = image.run("doctor", "--json", env={"PATH": "/nowhere"})
    found = {item["check"]: item for item in json.loads(lost.stdout)}
    assert "apt-get install nix-bin" in found["nix"]["mend"]
