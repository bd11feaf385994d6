"""Images that are files: read with no engine at all."""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
from pathlib import Path

import pytest

from hubtool.engines import Engine
from tests.commands.testing.conftest import commit, hubtool, write

NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere/docker.sock", "HUBTOOL_ENGINE": ""}


@pytest.fixture(scope="module")
def archive(engine: Engine, image: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small image as a docker archive."""
    path = tmp_path_factory.mktemp("archive") / "small.tar"
    engine.export(image, path)
    return path


@pytest.fixture(params=["docker archive", "OCI layout", "OCI archive"])
def subject(request: pytest.FixtureRequest, archive: Path, tmp_path: Path) -> Path:
    """The small image in each form."""
    if request.param == "docker archive":
        return archive
    folder = tmp_path / "layout"
    to_layout(archive, folder)
    if request.param == "OCI layout":
        return folder
    with tarfile.open(tmp_path / "oci.tar", "w") as tar:
        tar.add(folder, ".")
    shutil.rmtree(folder)
    return tmp_path / "oci.tar"


def to_layout(archive: Path, folder: Path) -> None:
    """The image of a docker archive as an OCI layout, its layers as they are."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(data: bytes, media: str) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": f"application/vnd.oci.image.{media}", "digest": f"sha256:{digest}", "size": len(data)}

    with tarfile.open(archive) as tar:

        def read(name: str) -> bytes:
            file = tar.extractfile(name)
            assert file is not None
            return file.read()

        (held,) = json.loads(read("manifest.json"))
        config = put(read(held["Config"]), "config.v1+json")
        layers = [put(read(name), "layer.v1.tar") for name in held["Layers"]]
    media = "application/vnd.oci.image.manifest.v1+json"
    manifest = {"schemaVersion": 2, "mediaType": media, "config": config, "layers": layers}
    entry = put(json.dumps(manifest).encode(), "manifest.v1+json")
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


def test_an_archive_is_read_with_no_engine_and_not_counted_as_tested(subject: Path, tmp_path: Path, image: str) -> None:
    done = hubtool(tmp_path, str(subject), "--contract", "workstation", "--profile", "batch", "--json", **NO_ENGINE)
    assert "Traceback" not in done.stderr
    (report,) = json.loads(done.stdout)
    assert report["id"] == image
    outcomes = {result["outcome"] for result in report["results"]}
    assert outcomes == {"passed", "failed", "skipped"}
    skipped = [result["message"] for result in report["results"] if result["outcome"] == "skipped"]
    assert any("an image that is a file is only read" in message for message in skipped)
    assert report["passed"] is False
    assert done.returncode == 1


def test_nothing_failed_is_exit_0_and_said_to_be_untested(archive: Path, repository: Path) -> None:
    write(repository, "tests/test_own.py", "def test_it(container): pass\n")
    commit(repository)
    done = hubtool(repository, str(archive), "--image", "small", **NO_ENGINE)
    assert done.returncode == 0, done.stderr
    assert "small.tar does not count as tested" in done.stderr
    assert "not tested (2 skipped" in done.stdout


def test_the_settings_of_an_image_of_hubtool_yaml_hold(archive: Path, repository: Path) -> None:
    yaml = (
        "registry: r.example/x\nimages:\n  small:\n    contract: jupyterhub\n    uid: 1001\n"
        "    known_issues: [{check: J8, reason: soon, until: 2999-01-01}]\n"
    )
    write(repository, "hubtool.yaml", yaml)
    done = hubtool(repository, str(archive), "--image", "small", "--json", **NO_ENGINE)
    (report,) = json.loads(done.stdout[: done.stdout.rindex("]") + 1])
    found = {result["check"]: result for result in report["results"]}
    assert "expected 1001" in found["J1"]["message"]
    assert found["J8"]["outcome"] == "known"


def test_own_checks_read_an_archive_too(archive: Path, repository: Path) -> None:
    write(repository, "tests/test_own.py", "def test_it(image): assert image.files.find('/etc/debian_version')\n")
    write(repository, "hubtool.yaml", (repository / "hubtool.yaml").read_text())
    commit(repository)
    (repository / "image-tests" / "test_it.py").unlink()
    done = hubtool(repository, str(archive), "--image", "small", **NO_ENGINE)
    assert done.returncode == 0, done.stderr
    assert "passed (1 passed" in done.stdout


BAD = [
    ("no/such.tar", "no image archive and no OCI layout at no/such.tar"),
    ("./folder", "no image archive and no OCI layout at ./folder"),
    ("text.tar", "not an image archive that can be used"),
    ("empty.tar", "not an image archive that can be used"),
    ("registry.example/no/such:1", "no container engine works here: docker: Docker does not answer"),
]


@pytest.mark.parametrize(("name", "said"), BAD)
def test_what_is_no_image_is_one_clear_error(name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.tar").write_text("no tar at all")
    (tmp_path / "empty.tar").write_bytes(bytes(10240))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").symlink_to(shutil.which("git") or "")
    done = hubtool(tmp_path, name, **NO_ENGINE, PATH=str(tmp_path / "bin"))
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_profile_or_image_is_one_clear_error(archive: Path, repository: Path) -> None:
    done = hubtool(repository, str(archive), "--contract", "jupyterhub", "--profile", "desktop", **NO_ENGINE)
    assert "the contract jupyterhub has no profile 'desktop'\n  it has no profiles" in done.stderr
    done = hubtool(repository, str(archive), "--image", "smal", **NO_ENGINE)
    assert "no image called 'smal'" in done.stderr
    assert "images there: small" in done.stderr
