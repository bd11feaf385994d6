from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess

import docker
import git
import pytest

from hubtool.reference import ImageReference
from hubtool.registries import Credentials
from hubtool.registries.client import RegistryClient
from tests.commands.looking import MB, hubtool, inventory_of, layer_of, publish, write_config
from tests.conftest import LocalRegistry
from tests.registries.parts import client_for, fresh_reference, noise

OLD = inventory_of(
    {("conda", "numpy", "1.26"): 30 * MB, ("conda", "scipy", "1.11"): 80 * MB, ("dpkg", "curl", "7.88"): 1000},
    srv=2 * MB,
)
NEW = inventory_of(
    {("conda", "numpy", "2.1"): 33 * MB, ("conda", "dask", "2024.8"): 2 * MB, ("dpkg", "curl", "7.88"): 1500},
    srv=MB,
)
WHO = ["-c", "user.name=Tests", "-c", "user.email=tests@example.org"]
BASE, LAYER, OTHER = noise(9000, 1), noise(500, 2), noise(700, 3)


@pytest.fixture
def reference(registry: LocalRegistry) -> ImageReference:
    return fresh_reference(registry.host, tag="")


@pytest.fixture
def client(reference: ImageReference, registry: LocalRegistry) -> Iterator[RegistryClient]:
    with client_for(reference, Credentials(registry.username, registry.password)) as opened:
        yield opened


class Diff:
    def __init__(self, root: Path, registry: LocalRegistry, reference: ImageReference) -> None:
        login = {"HUBTOOL_REGISTRY_USERNAME": registry.username, "HUBTOOL_REGISTRY_PASSWORD": registry.password}
        self.program = partial(hubtool, root, "diff", **login)
        self.reference = reference

    def run(self, old: str, new: str, *words: str) -> CompletedProcess[str]:
        """Compare two tags."""
        return self.program(f"{self.reference}:{old}", f"{self.reference}:{new}", *words)


@pytest.fixture
def diff(tmp_path: Path, registry: LocalRegistry, reference: ImageReference) -> Diff:
    return Diff(tmp_path, registry, reference)


def test_packages_sizes_and_what_travels_are_told(diff: Diff, client: RegistryClient) -> None:
    publish(client, "v1", [BASE, LAYER], OLD)
    publish(client, "v2", [BASE, OTHER], NEW)
    done = diff.run("v1", "v2")
    assert (done.returncode, done.stderr) == (0, "")
    assert [" ".join(line.split()) for line in done.stdout.splitlines()[2:]] == [
        "changed, major conda numpy 1.26 2.1 +3.0 MB",
        "added conda dask 2024.8 +2.0 MB",
        "removed conda scipy 1.11 -80 MB",
        "",
        "packages: 1 changed, 1 added, 1 removed; 1 to another major version",
        "same version, another size: 1 packages, +500 B",
        "/srv, no package's: -1.0 MB",
        "installed: 36 MB (-76 MB)",
        "a node that has the old one pulls 700 B (1 layer) and has 9.0 kB (1 layer) already",
    ]


def test_json_has_all_of_it(diff: Diff, client: RegistryClient) -> None:
    first = publish(client, "v1", [BASE, LAYER], OLD)
    publish(client, "v2", [BASE, OTHER], NEW)
    found = json.loads(diff.run("v1", "v2", "--json").stdout)
    assert {key: found[key] for key in ("pull_bytes", "pull_layers", "shared_bytes", "shared_layers")} == {
        "pull_bytes": 700,
        "pull_layers": 1,
        "shared_bytes": 9000,
        "shared_layers": 1,
    }
    assert found["old"] == {
        "reference": f"{diff.reference}:v1@{first}",
        "size": 112 * MB + 1000,
        "compressed_size": 9500,
        "layers": 2,
    }
    assert [(one["change"], one["name"], one["major"]) for one in found["packages"]] == [
        ("rebuilt", "curl", False),
        ("changed", "numpy", True),
        ("added", "dask", False),
        ("removed", "scipy", False),
    ]
    assert found["rest"] == {"srv": {"old": 2 * MB, "new": MB}}


def test_a_release_and_itself_differ_in_nothing(diff: Diff, client: RegistryClient) -> None:
    publish(client, "v1", [BASE], OLD)
    done = diff.run("v1", "v1")
    assert "no package differs" in done.stdout
    assert "pulls 0 B (0 layers)" in done.stdout


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_without_a_list_only_what_travels_is_told(diff: Diff, client: RegistryClient, words: list[str]) -> None:
    publish(client, "v1", [BASE, LAYER])
    publish(client, "v2", [BASE, OTHER], NEW)
    done = diff.run("v1", "v2", *words)
    assert done.returncode == 0
    assert done.stderr.count("packages are not compared") == 1
    assert ":v1@sha256:" in done.stderr
    if words:
        found = json.loads(done.stdout)
        assert (found["packages"], found["rest"], found["old"]["size"], found["pull_bytes"]) == (None, None, None, 700)
    else:
        assert done.stdout.startswith("a node that has the old one pulls 700 B")


def test_a_release_that_is_not_there_is_an_error(diff: Diff, client: RegistryClient) -> None:
    publish(client, "v1", [BASE], OLD)
    for pair in (("v1", "v9"), ("v9", "v1")):
        done = diff.run(*pair)
        assert (done.returncode, done.stdout) == (1, "")
        assert f"its registry has no {diff.reference}:v9" in done.stderr


def test_tags_of_the_image_that_hubtool_yaml_makes_are_enough(
    diff: Diff, client: RegistryClient, reference: ImageReference, tmp_path: Path
) -> None:
    digest = publish(client, "v1", [BASE, LAYER], OLD)
    publish(client, "v2", [BASE, OTHER], NEW)
    write_config(tmp_path, reference)
    image = reference.name.rpartition("/")[2]
    for pair in (("v1", "v2"), (digest, "v2"), (f"{image}:v1", f"{reference}:v2"), (f"{image}@{digest}", "v2")):
        done = diff.program(*pair, "--json")
        assert json.loads(done.stdout or "{}").get("pull_bytes") == 700, done.stderr


def test_a_tag_of_several_images_or_an_image_never_built_is_an_error(
    diff: Diff, reference: ImageReference, tmp_path: Path
) -> None:
    write_config(tmp_path, reference, "two")
    done = diff.program("v1", "v2")
    assert done.returncode == 1
    assert "hubtool.yaml makes several images" in done.stderr
    assert "two:TAG" in done.stderr
    done = diff.program("two", "two:v2")
    assert done.returncode == 1
    assert "two was not built here" in done.stderr


SITE = "usr/lib/python3/dist-packages"


def wheel(name: str, version: str, size: int) -> dict[str, str]:
    """The files of an installed package; its module is of letters that compress."""
    info = f"{SITE}/{name}-{version}.dist-info"
    return {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/RECORD": f"{name}.py,,\n{name}-{version}.dist-info/METADATA,,\n{name}-{version}.dist-info/RECORD,,\n",
        f"{SITE}/{name}.py": noise(size, len(version)).hex(),
    }


@pytest.mark.engine
def test_what_is_pushed_can_be_looked_at_and_compared(
    diff: Diff, reference: ImageReference, docker_host: str, tmp_path: Path
) -> None:
    write_config(tmp_path, reference)
    (tmp_path / ".gitignore").write_text("*.tar\n.hubtool/\n")
    repo = git.Repo.init(tmp_path)
    repo.git.execute(["git", "-C", str(tmp_path), "add", "-A"])
    repo.git.execute(["git", "-C", str(tmp_path), *WHO, "commit", "-q", "-m", "x"])
    with closing(docker.DockerClient(docker_host)) as engine:
        for tag, files in (
            ("v1", {**wheel("big", "1.0", 2 * MB), **wheel("small", "1.9", MB // 5)}),
            ("v2", {**wheel("big", "1.0", 2 * MB), **wheel("small", "2.0.1", MB // 5)}),
        ):
            tar = tmp_path / "layer.tar"
            tar.write_bytes(layer_of(files))
            engine.api.import_image_from_file(str(tar), repository=reference.name, tag=tag)
            login = diff.program.keywords
            done = hubtool(tmp_path, "push", "--untested", "--tag", tag, "--engine", "docker", **login)
            assert done.returncode == 0, done.stderr
            engine.images.remove(f"{reference}:{tag}")
    found = json.loads(diff.program("v1", "v2", "--json").stdout)
    assert [(one["change"], one["name"], one["old"], one["new"], one["major"]) for one in found["packages"]] == [
        ("changed", "small", "1.9", "2.0.1", True)
    ]
    assert MB // 5 < found["pull_bytes"] < MB < found["shared_bytes"]
    listed = json.loads(hubtool(tmp_path, "inspect", "v2", "--json", **login).stdout)
    assert [(one["name"], one["version"]) for one in listed["packages"]] == [("big", "1.0"), ("small", "2.0.1")]
    assert listed["packages"][0]["size"] > 4 * MB
