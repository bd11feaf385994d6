"""What `hubtool push` sends, and what it leaves in the registry."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
from docker.models.images import Image

from hubtool.plan.records import read_record
from hubtool.registries import Credentials, find_release
from tests.commands.pushing import MB, Repository
from tests.conftest import LocalRegistry
from tests.registries.front import Front
from tests.registries.parts import client_for, noise


def test_a_tested_image_is_published_and_its_digest_printed_and_recorded(repository: Repository) -> None:
    repository.passed(repository.make_image())
    done = repository.push(check=True)
    found = find_release(repository.reference)
    assert found is not None
    assert done.stdout.splitlines()[-1] == str(found.reference) == f"{repository.reference}@{found.reference.digest}"
    record = read_record(repository.root, repository.image)
    assert record is not None
    assert (record.digest, record.tested) == (found.reference.digest, "jupyterhub")
    assert found.labels["org.opencontainers.image.revision"].startswith(repository.tag)


def pull(repository: Repository, registry: LocalRegistry) -> Image:
    """What was published, in the engine again."""
    real = f"{registry.host}/{repository.name}"
    login = {"username": registry.username, "password": registry.password}
    pulled = repository.client.images.pull(real, tag=repository.tag, auth_config=login)
    repository.made.append(f"{real}:{repository.tag}")
    return pulled


def test_what_was_published_as_built_can_be_pulled_and_is_the_same_image(
    repository: Repository, registry: LocalRegistry
) -> None:
    repository.write(more="layers: as-built\n")
    image_id = repository.make_image()
    repository.passed(image_id)
    repository.push(check=True)
    assert pull(repository, registry).id == image_id


def test_what_was_published_can_be_pulled_and_has_the_same_files_and_settings(
    repository: Repository, registry: LocalRegistry
) -> None:
    files = {"large": noise(9 * MB), "etc/a": b"a", "srv/b": b"", "noise": noise(MB)}
    image_id = repository.make_image(files=files)
    repository.passed(image_id)
    repository.push(check=True)
    pulled = pull(repository, registry)
    assert len(pulled.attrs["RootFS"]["Layers"]) > 1
    built = repository.client.images.get(image_id)
    assert pulled.attrs["Config"] == built.attrs["Config"]
    container = repository.client.containers.create(pulled, ["/none"])
    try:
        for name, content in files.items():
            stream, _ = container.get_archive(name)
            with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
                member = tar.extractfile(tar.next() or "")
                assert member is not None
                assert member.read() == content
    finally:
        container.remove()


def test_one_changed_file_moves_one_layer_whatever_the_build_made(repository: Repository) -> None:
    files = {"a": noise(9 * MB, 1), "b": noise(10 * MB, 2)}
    repository.passed(repository.make_image(files=files))
    first = json.loads(repository.push("--json", check=True).stdout)[0]
    repository.write(more="# another commit\n")
    repository.passed(repository.make_image(files=files | {"a": noise(9 * MB, 3)}))
    second = json.loads(repository.push("--json", check=True).stdout)[0]
    assert first["uploaded_bytes"] > 19 * MB
    assert 9 * MB < second["uploaded_bytes"] < 9.1 * MB
    assert second["reused_bytes"] > 10 * MB


def test_a_build_of_the_same_content_sends_next_to_nothing(repository: Repository) -> None:
    repository.passed(repository.make_image(files={"a": noise(20 * MB)}))
    repository.push(check=True)
    repository.write(more="# another commit\n")
    repository.passed(repository.make_image(files={"a": noise(20 * MB)}, seed=1))
    told = json.loads(repository.push("--json", check=True).stdout)[0]
    assert told["uploaded_bytes"] < 10_000


def test_layers_that_a_sibling_has_are_taken_from_there(
    repository: Repository, front: Front, login: Credentials
) -> None:
    files = {"a": noise(20 * MB, 1), "b": noise(10 * MB, 2)}
    repository.passed(repository.make_image(files=files))
    repository.push(check=True)
    sibling = repository.name
    repository.name += "-other"
    repository.write(more=f"share_layers_with: [{front.host}/{sibling}]\n")
    repository.passed(repository.make_image(files=files | {"b": noise(10 * MB, 3)}))
    told = json.loads(repository.push("--json", check=True).stdout)[0]
    assert 10 * MB < told["uploaded_bytes"] < 11 * MB
    assert told["reused_bytes"] > 20 * MB
    assert [seen for seen in front.requests("POST") if "mount=" in seen.path and "-other/" in seen.path]


@pytest.mark.parametrize("digest", ["the base's", "another", "none"])
def test_layers_are_taken_from_what_the_image_was_built_on(repository: Repository, front: Front, digest: str) -> None:
    files = {"a": noise(20 * MB, 1), "b": noise(10 * MB, 2)}
    repository.passed(repository.make_image(files=files))
    pushed = json.loads(repository.push("--json", check=True).stdout)[0]
    named = {"the base's": f"@{pushed['digest']}", "another": f"@sha256:{'0' * 64}", "none": ""}[digest]
    base = f"{front.host}/{repository.name}:{repository.tag}{named}"
    repository.name += "-child"
    repository.write()
    repository.passed(repository.make_image(files=files | {"c": noise(10 * MB, 3)}, base=base))
    told = json.loads(repository.push("--json", check=True).stdout)[0]
    assert (told["uploaded_bytes"] < 11 * MB) == (digest == "the base's")


def test_layers_are_zstd_where_asked_for_and_what_is_inside_is_attached(
    repository: Repository, login: Credentials
) -> None:
    repository.write(more="compression: zstd\n")
    image_id = repository.make_image()
    repository.passed(image_id)
    repository.push(check=True)
    with client_for(repository.reference, login) as client:
        manifest = client.get_manifest(repository.tag)
        assert manifest is not None
        document = json.loads(manifest.content)
        (attached,) = client.referrers(manifest.digest)
    assert [layer["mediaType"] for layer in document["layers"]] == ["application/vnd.oci.image.layer.v1.tar+zstd"]
    assert document["annotations"]["hubtool.image-id"] == image_id
    assert attached.artifact_type == "application/vnd.cyclonedx+json"


def test_the_second_push_has_nothing_to_do(repository: Repository, front: Front) -> None:
    repository.passed(repository.make_image())
    first = repository.push(check=True)
    before = len(front.seen)
    second = repository.push(check=True)
    assert second.stdout == first.stdout
    assert "nothing to do" in second.stderr
    assert "taking" not in second.stderr
    assert not [seen for seen in front.seen[before:] if seen.method in ("PUT", "PATCH")]


def test_only_layers_that_the_registry_lacks_travel(repository: Repository) -> None:
    repository.passed(repository.make_image(size=3 * MB))
    first = json.loads(repository.push("--json", check=True).stdout)[0]
    repository.write(more="# another commit\n")
    repository.passed(repository.make_image(size=3 * MB))
    second = json.loads(repository.push("--json", check=True).stdout)[0]
    assert first["uploaded_bytes"] > 3 * MB > 10_000 > second["uploaded_bytes"]
    assert (first["state"], second["state"]) == ("pushed", "pushed")
    assert second["reused_bytes"] > 3 * MB
    assert set(second) == {"image", "reference", "digest", "uploaded_bytes", "reused_bytes", "seconds", "state"}


def test_a_push_that_was_killed_sends_only_what_is_missing_when_run_again(repository: Repository, front: Front) -> None:
    repository.passed(repository.make_image(files={"a": noise(20 * MB), "b": noise(MB)}))
    front.fault("PUT", "/manifests/", status=500, times=10_000)  # holds it there, with the layers sent
    argv = [sys.executable, "-m", "hubtool", "push", "--root", str(repository.root)]
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as running:
        until = time.monotonic() + 60
        while not front.requests("PUT", "/manifests/") and time.monotonic() < until:
            time.sleep(0.05)
        running.send_signal(signal.SIGKILL)
    assert find_release(repository.reference) is None
    front.faults.clear()
    sent_before = len(front.requests("PATCH"))
    told = json.loads(repository.push("--json", check=True).stdout)[0]
    assert told["state"] == "pushed"
    assert told["uploaded_bytes"] < 10_000  # what is attached
    assert sum(seen.sent for seen in front.requests("PATCH")[sent_before:]) < 10_000  # what is attached
    assert find_release(repository.reference) is not None


def test_the_tag_comes_last(repository: Repository, front: Front) -> None:
    repository.passed(repository.make_image())
    repository.push(check=True)
    writing = [seen.path for seen in front.seen if seen.method in ("PUT", "PATCH")]
    assert [
        path.rpartition("/")[2].partition(":")[0]
        for path in writing
        if "/manifests/" in path and "/sha256-" not in path
    ] == [
        "sha256",  # the image
        "sha256",  # what is inside; a registry that lists no referrers has a tag for that, too
        repository.tag,
        "hubtool-newest",
    ]
    assert [f"/manifests/{repository.tag}" in path for path in writing][-2:] == [True, False]


def test_two_pushes_at_once_of_the_same_image_both_end_well(repository: Repository) -> None:
    repository.passed(repository.make_image(size=2 * MB))
    argv = [sys.executable, "-m", "hubtool", "push", "--root", str(repository.root)]
    running = [subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=120) for process in running]
    assert [process.returncode for process in running] == [0, 0], told
    assert told[0][0] == told[1][0]


def test_a_dry_run_tells_what_would_travel_and_changes_nothing(repository: Repository, front: Front) -> None:
    repository.passed(repository.make_image(size=2 * MB))
    told = json.loads(repository.push("--dry-run", "--json", check=True).stdout)[0]
    assert (told["state"], len(told["blobs"])) == ("planned", 3)
    assert not [seen for seen in front.seen if seen.method in ("PUT", "PATCH")]
    assert find_release(repository.reference) is None
    record = read_record(repository.root, repository.image)
    assert record is not None
    assert record.digest is None
    really = json.loads(repository.push("--json", check=True).stdout)[0]
    assert (really["reference"], really["uploaded_bytes"]) == (told["reference"], told["uploaded_bytes"])


def test_in_github_actions_outputs_and_a_summary_are_written(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs, summary = tmp_path / "outputs", tmp_path / "summary"
    monkeypatch.setenv("GITHUB_OUTPUT", str(outputs))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    repository.passed(repository.make_image())
    pushed = repository.push(check=True).stdout.strip()
    lines = outputs.read_text().splitlines()
    values = {lines[at].partition("<<")[0]: lines[at + 1] for at in range(0, len(lines), 3)}
    assert values == {"reference": pushed, "digest": pushed.partition("@")[2], "tag": repository.tag}
    assert f"`{pushed}` | pushed" in summary.read_text()


def test_a_registry_that_breaks_in_mid_layer_ends_in_one_error_without_a_tag(
    repository: Repository, front: Front
) -> None:
    repository.passed(repository.make_image())
    front.fault("PATCH", "", status=403, times=1000)
    done = repository.push()
    assert done.returncode == 1
    said = [line for line in done.stderr.splitlines() if line.startswith("hubtool: ")]
    assert [line.startswith("hubtool: may not push to") for line in said] == [True]
    assert find_release(repository.reference) is None


def test_nothing_is_left_in_the_temporary_folder(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "large"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    repository.passed(repository.make_image())
    repository.push(check=True)
    assert list(folder.iterdir()) == []
