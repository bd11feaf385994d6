from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import docker
import pytest

from hubtool.plan.records import Record, write_record
from hubtool.reference import ImageReference
from hubtool.registries import Credentials
from hubtool.registries.client import RegistryClient
from tests.commands.looking import MB, attach, hubtool, inventory_of, layer_of, publish, write_config
from tests.conftest import LocalRegistry
from tests.registries.parts import client_for, fresh_reference, put_index

CONTENTS = inventory_of(
    {("conda", "numpy", "1.26"): 30 * MB, ("conda", "\x1b[31mred", "1"): 5, ("dpkg", "libc6", "2.36-9"): 13 * MB},
    srv=2 * MB,
)
PACKAGES = {
    "usr/lib/python3/dist-packages/pip-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: pip\nVersion: 1.0\n",
    "usr/lib/python3/dist-packages/pip-1.0.dist-info/RECORD": "pip-1.0.dist-info/METADATA,,\npip.py,,\n",
    "usr/lib/python3/dist-packages/pip.py": "1234",
}
NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere.sock", "HUBTOOL_ENGINE": "docker"}


@pytest.fixture
def reference(registry: LocalRegistry) -> ImageReference:
    return fresh_reference(registry.host, tag="v1")


@pytest.fixture
def client(reference: ImageReference, registry: LocalRegistry) -> Iterator[RegistryClient]:
    with client_for(reference, Credentials(registry.username, registry.password)) as opened:
        yield opened


class Inspect:
    def __init__(self, root: Path, registry: LocalRegistry) -> None:
        login = {"HUBTOOL_REGISTRY_USERNAME": registry.username, "HUBTOOL_REGISTRY_PASSWORD": registry.password}
        self.run = partial(hubtool, root, "inspect", **login)


@pytest.fixture
def inspect(tmp_path: Path, registry: LocalRegistry) -> Inspect:
    return Inspect(tmp_path, registry)


def test_a_release_tells_its_packages_without_its_layers(
    inspect: Inspect, client: RegistryClient, reference: ImageReference
) -> None:
    digest = publish(client, "v1", [b"no tar at all, and nobody reads it"], CONTENTS)
    done = inspect.run(str(reference), **NO_ENGINE)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[2] == ["numpy", "1.26", "conda", "30", "MB"]
    assert lines[3] == ["libc6", "2.36-9", "dpkg", "13", "MB"]
    assert ["conda", "2", "30", "MB"] in lines
    assert ["no", "package", "0", "2.0", "MB"] in lines
    assert done.stdout.endswith(f"\n{reference}@{digest}\ninstalled: 45 MB\npackages: 3\nto pull: 34 B in 1 layers\n")
    assert "\x1b" not in done.stdout


def test_json_has_every_package_and_layer(inspect: Inspect, client: RegistryClient, reference: ImageReference) -> None:
    digest = publish(client, "v1", [b"a", b"bc"], CONTENTS)
    found = json.loads(inspect.run(f"{reference.name}@{digest}", "--json").stdout)
    assert found["reference"] == f"{reference.name}@{digest}"
    assert found["size"] == sum(CONTENTS.sizes.values()) + 2 * MB
    assert found["packages"][0] == {
        "ecosystem": "conda",
        "name": "numpy",
        "version": "1.26",
        "place": "",
        "size": 30 * MB,
    }
    assert found["ecosystems"] == {
        "conda": {"packages": 2, "size": 30 * MB + 5},
        "dpkg": {"packages": 1, "size": 13 * MB},
    }
    assert [layer["size"] for layer in found["layers"]] == [1, 2]
    assert (found["rest"], found["distribution"]) == ({"srv": 2 * MB}, "debian-12")


def test_a_page_is_written_whole_or_not_at_all(
    inspect: Inspect, client: RegistryClient, reference: ImageReference, tmp_path: Path
) -> None:
    publish(client, "v1", [b"a"], CONTENTS)
    done = inspect.run(str(reference), "--html", "page.html")
    assert done.returncode == 0
    assert "numpy" in (tmp_path / "page.html").read_text()
    assert inspect.run(str(reference), "--html", "no/such/folder.html").returncode == 1
    assert [path.name for path in tmp_path.iterdir() if "html" in path.name] == ["page.html"]


def test_an_index_tells_of_its_image(inspect: Inspect, client: RegistryClient, reference: ImageReference) -> None:
    image = publish(client, "v1-amd64", [b"a"], CONTENTS)
    put_index(client, "v1", {"linux/amd64": image})
    assert json.loads(inspect.run(str(reference), "--json").stdout)["size"] > 45 * MB - 1


def test_of_several_lists_the_fullest_counts_and_broken_ones_are_told(
    inspect: Inspect, client: RegistryClient, reference: ImageReference
) -> None:
    publish(client, "v1", [b"a"], CONTENTS)
    attach(client, "v1", b'{"bomFormat":"CycloneDX","components":[{"name":"x","purl":"pkg:pypi/x@1"}]}')
    attach(client, "v1", b"{broken")
    done = inspect.run(str(reference), "--json")
    assert len(json.loads(done.stdout)["packages"]) == 3
    assert "is left out: the SBOM can't be read" in done.stderr


def test_without_a_list_it_says_how_to_look_and_pulls_when_told(
    inspect: Inspect, client: RegistryClient, reference: ImageReference
) -> None:
    publish(client, "v1", [layer_of(PACKAGES), layer_of({"srv/x": "12"})])
    done = inspect.run(str(reference), **NO_ENGINE)
    assert done.returncode == 1
    assert "nothing attached to" in done.stderr
    assert "--pull" in done.stderr
    done = inspect.run(str(reference), "--pull", "--json", **NO_ENGINE)
    found = json.loads(done.stdout)
    assert [(one["name"], one["version"]) for one in found["packages"]] == [("pip", "1.0")]
    assert found["rest"]["srv"] == 2


def test_a_damaged_layer_is_an_error(inspect: Inspect, client: RegistryClient, reference: ImageReference) -> None:
    publish(client, "v1", [layer_of(PACKAGES)[:700]])
    done = inspect.run(str(reference), "--pull", **NO_ENGINE)
    assert done.returncode == 1
    assert "can't be read" in done.stderr


def test_what_is_nowhere_is_an_error(inspect: Inspect, reference: ImageReference) -> None:
    for words in ([], ["--pull"]):
        done = inspect.run(str(reference), *words, **NO_ENGINE)
        assert (done.returncode, done.stdout) == (1, "")
        assert f"has no {reference}" in done.stderr or f"has {reference}" in done.stderr


def test_a_registry_that_is_nowhere_is_asked_once(inspect: Inspect) -> None:
    done = inspect.run("127.0.0.1:1/no/where:v1", **NO_ENGINE)
    assert done.returncode == 1
    assert "127.0.0.1:1 can't be reached" in done.stderr
    assert "trying again" not in done.stderr


@pytest.mark.engine
@pytest.mark.parametrize("pushed", [False, True], ids=["not pushed", "pushed without a list"])
def test_an_image_that_carries_no_list_is_read_from_the_engine(
    pushed: bool,
    inspect: Inspect,
    client: RegistryClient,
    reference: ImageReference,
    docker_host: str,
    tmp_path: Path,
) -> None:
    if pushed:
        publish(client, "v1", [b"no tar at all"])
    layer = tmp_path / "layer.tar"
    layer.write_bytes(layer_of(PACKAGES))
    with closing(docker.DockerClient(docker_host)) as engine:
        engine.api.import_image_from_file(str(layer), repository=reference.name, tag="v1")
    write_config(tmp_path, reference)
    image = reference.name.rpartition("/")[2]
    write_record(tmp_path, image, Record(str(reference), "sha256:0", "docker"))
    try:
        for name in (str(reference), image, f"{image}:v1", "v1"):
            done = inspect.run(name, "--json", "--engine", "docker")
            assert done.returncode == 0, done.stderr
            found = json.loads(done.stdout)
            assert [one["name"] for one in found["packages"]] == ["pip"]
            assert found["reference"] == f"{reference} (docker)"
            assert found["layers"] == []
    finally:
        with closing(docker.DockerClient(docker_host)) as engine:
            engine.images.remove(str(reference))
