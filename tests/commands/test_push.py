from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path

import docker
import docker.errors
import git
import pytest
from docker.models.images import Image

from hubtool import main
from hubtool.plan.records import Record, read_record, write_record
from hubtool.reference import ImageReference
from hubtool.registries import Credentials, find_release
from tests.conftest import LocalRegistry
from tests.registries import front as fronts
from tests.registries.front import Front
from tests.registries.parts import client_for, fresh_reference, noise, put_image

WHO = ["-c", "user.name=Tests", "-c", "user.email=tests@example.org"]
MB = 1_000_000


@dataclass(frozen=True)
class Ended:
    returncode: int
    stdout: str
    stderr: str


def run_hubtool(*words: str) -> Ended:
    """The program in this process, which saves its start-up."""
    out, err = io.StringIO(), io.StringIO()
    before = sys.argv
    sys.argv = ["hubtool", *words]
    try:
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main.run()
    finally:
        sys.argv = before
    assert "Traceback" not in err.getvalue(), err.getvalue()
    return Ended(int(ended.value.code or 0), out.getvalue(), err.getvalue())


@dataclass
class Repository:
    """An image repository whose images are imported into a real engine rather than built."""

    root: Path
    host: str
    client: docker.DockerClient
    name: str
    made: list[str] = field(default_factory=list)

    @property
    def tag(self) -> str:
        return str(git.Repo(self.root).head.commit.hexsha[:12])

    @property
    def reference(self) -> ImageReference:
        return ImageReference.parse(f"{self.host}/{self.name}:{self.tag}")

    def write(self, contract: str = "jupyterhub", more: str = "") -> None:
        registry, _, image = f"{self.host}/{self.name}".rpartition("/")
        (self.root / "hubtool.yaml").write_text(
            f"registry: {registry}\nimages:\n  {image}:\n    contract: {contract}\n{more}"
        )
        repo = git.Repo.init(self.root)
        repo.git.execute(["git", "-C", str(self.root), "add", "-A"])
        repo.git.execute(["git", "-C", str(self.root), *WHO, "commit", "-q", "--allow-empty", "-m", "x"])

    @property
    def image(self) -> str:
        return self.name.rpartition("/")[2]

    def make_image(
        self, size: int = MB, seed: int = 0, tag: str | None = None, files: Mapping[str, bytes] | None = None
    ) -> str:
        """Put an image with one layer, of noise or FILES, into the engine; returns its id."""
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as tar:
            for name, content in (files or {"noise": noise(size, seed)}).items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        labels = [f"LABEL org.opencontainers.image.revision={git.Repo(self.root).head.commit.hexsha}"]
        name = f"{self.host}/{self.name}"
        self.client.api.import_image_from_data(stream.getvalue(), repository=name, tag=tag or self.tag, changes=labels)
        self.made.append(f"{name}:{tag or self.tag}")
        return str(self.client.images.get(self.made[-1]).id)

    def passed(self, image_id: str, contract: str | None = "jupyterhub") -> None:
        write_record(self.root, self.image, Record(str(self.reference), image_id, "docker", tested=contract))

    def push(self, *words: str, check: bool = False) -> Ended:
        done = run_hubtool("push", *words, "--root", str(self.root))
        if check:
            assert done.returncode == 0, done.stderr
        return done


@pytest.fixture(autouse=True)
def nobody_but_us(
    registry: LocalRegistry, docker_host: str, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path_factory.mktemp("docker-config")))
    monkeypatch.setenv("DOCKER_HOST", docker_host)
    monkeypatch.setenv("HUBTOOL_ENGINE", "docker")
    monkeypatch.setenv("HUBTOOL_REGISTRY_USERNAME", registry.username)
    monkeypatch.setenv("HUBTOOL_REGISTRY_PASSWORD", registry.password)
    for name in ("HUBTOOL_REGISTRY", "GITHUB_ACTIONS", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def front(registry: LocalRegistry) -> Iterator[Front]:
    with fronts.front(registry.host) as server:
        yield server


@pytest.fixture
def repository(front: Front, docker_host: str, tmp_path: Path) -> Iterator[Repository]:
    client = docker.DockerClient(base_url=docker_host)
    root = tmp_path / "repository"
    root.mkdir()
    made = Repository(root, front.host, client, fresh_reference(front.host).repository + f"-{os.getpid()}")
    made.write()
    yield made
    for tag in made.made:
        with suppress(docker.errors.ImageNotFound):
            client.images.remove(tag, force=True)
    client.close()


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
    assert (told["state"], told["uploaded_bytes"]) == ("pushed", 0)
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


@pytest.mark.parametrize("contract", [None, "another image"])
def test_an_image_that_was_not_tested_is_refused(repository: Repository, front: Front, contract: str | None) -> None:
    image_id = repository.make_image()
    if contract is None:
        repository.passed(image_id, None)
    else:
        repository.passed("sha256:" + "0" * 64)
    done = repository.push()
    assert done.returncode == 1
    assert "did not pass its contract (jupyterhub)" in done.stderr
    assert f"hubtool test {repository.image}" in done.stderr
    assert not front.seen


def test_untested_is_published_when_told_so_with_a_warning(repository: Repository) -> None:
    repository.make_image()
    done = repository.push("--untested", check=True)
    assert "warning: " in done.stderr
    record = read_record(repository.root, repository.image)
    assert record is not None
    assert (record.tested, record.digest is None) == (None, False)


def test_where_no_contract_is_asked_for_none_must_be_passed(repository: Repository) -> None:
    repository.write(contract="none")
    repository.make_image()
    assert "warning" not in repository.push(check=True).stderr


def test_an_image_that_was_not_built_is_pointed_to_build(repository: Repository) -> None:
    done = repository.push()
    assert done.returncode == 1
    assert f"docker has no image {repository.reference}" in done.stderr
    assert f"hubtool build {repository.image}" in done.stderr


def test_a_tag_does_not_move_to_another_image_unless_told(repository: Repository) -> None:
    repository.passed(repository.make_image(seed=1))
    repository.push(check=True)
    before = find_release(repository.reference)
    repository.passed(repository.make_image(seed=2))
    done = repository.push()
    assert done.returncode == 1
    assert "tags that hubs pin must not change" in done.stderr
    assert "--move-tag" in done.stderr
    assert find_release(repository.reference) == before
    moved = repository.push("--move-tag", check=True)
    after = find_release(repository.reference)
    assert after is not None
    assert after != before
    assert moved.stdout.strip() == str(after.reference)


def test_a_tag_that_somebody_else_sets_meanwhile_is_not_overwritten(
    repository: Repository, front: Front, login: Credentials
) -> None:
    repository.passed(repository.make_image())
    other: list[str] = []

    def set_by_another(headers: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
        with client_for(repository.reference, login) as client:
            other.append(put_image(client, repository.tag))
        return headers, body

    front.fault("PUT", "/manifests/sha256", change=set_by_another)
    done = repository.push()
    assert done.returncode == 1
    assert f"names {other[0]} already" in done.stderr


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
    assert (told["state"], len(told["blobs"])) == ("planned", 2)
    assert not [seen for seen in front.seen if seen.method in ("PUT", "PATCH")]
    assert find_release(repository.reference) is None
    record = read_record(repository.root, repository.image)
    assert record is not None
    assert record.digest is None
    really = json.loads(repository.push("--json", check=True).stdout)[0]
    assert (really["reference"], really["uploaded_bytes"]) == (told["reference"], told["uploaded_bytes"])


def test_check_says_who_may_push_and_needs_no_image(repository: Repository, registry: LocalRegistry) -> None:
    (repository.root / "not-committed").write_text("x")
    done = repository.push("--check", check=True)
    assert f"{registry.username} (credentials from $HUBTOOL_REGISTRY_USERNAME" in done.stdout
    assert registry.password not in done.stdout + done.stderr


def test_check_fails_where_pushing_is_refused(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBTOOL_REGISTRY_PASSWORD", "not-the-password")
    done = repository.push("--check", "--json")
    assert done.returncode == 1
    (told,) = json.loads(done.stdout)
    assert told["may_push"] is False
    assert "did not take the credentials" in told["error"]
    assert "not-the-password" not in done.stdout + done.stderr


def test_a_refused_login_is_said_before_the_image_is_taken_out_of_the_engine(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.passed(repository.make_image())
    monkeypatch.setenv("HUBTOOL_REGISTRY_PASSWORD", "not-the-password")
    done = repository.push()
    assert done.returncode == 1
    assert "did not take the credentials" in done.stderr
    assert "taking" not in done.stderr


def test_a_dirty_tree_is_published_only_under_a_name_of_its_own(repository: Repository) -> None:
    (repository.root / "new-file").write_text("x")
    refused = repository.push()
    assert refused.returncode == 1
    assert "not committed: new-file" in refused.stderr
    repository.make_image(tag=f"{repository.tag}-dirty")
    refused = repository.push("--dirty", "--untested")
    assert refused.returncode == 1
    assert "--tag" in refused.stderr
    repository.make_image(tag="try-1")
    assert "try-1@sha256:" in repository.push("--dirty", "--untested", "--tag", "try-1", check=True).stdout


def test_a_tag_gives_the_last_build_of_this_commit_another_name(repository: Repository) -> None:
    image_id = repository.make_image()
    repository.passed(image_id)
    done = repository.push("--tag", "2026.11.20", check=True)
    repository.made.append(f"{repository.host}/{repository.name}:2026.11.20")
    assert f"{repository.name}:2026.11.20@sha256:" in done.stdout
    record = read_record(repository.root, repository.image)
    assert record is not None
    assert record.reference.endswith(":2026.11.20")
    assert repository.client.images.get(record.reference).id == image_id


def test_a_tag_is_not_given_to_a_build_of_another_commit(repository: Repository) -> None:
    repository.passed(repository.make_image())
    repository.write(more="# another commit\n")
    done = repository.push("--tag", "2026.11.20")
    assert done.returncode == 1
    assert "docker has no image" in done.stderr


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


@pytest.fixture
def login(registry: LocalRegistry) -> Credentials:
    return Credentials(registry.username, registry.password)
