"""OCI layouts, as tars and as folders, whole and broken."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from hubtool.errors import HubtoolError
from hubtool.image.archive import Archive
from hubtool.image.files import ImageFiles
from hubtool.process import which
from tests.image.archives import Link, config_of, layer_tar, new_members, old_members, sha256, write_tar

LAYERS = [layer_tar({"etc/a": b"one"}), layer_tar({"etc/b": b"two" * 1000})]
OCI = "application/vnd.oci.image"
DOCKER = "application/vnd.docker"
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "+gzip": gzip.compress,
    "+zstd": zstandard.ZstdCompressor().compress,
}
Blobs = dict[str, bytes]
Json = dict[str, Any]


def add(blobs: Blobs, content: bytes | Json, media_type: str, **more: Any) -> Json:
    """Put CONTENT among BLOBS; gives its descriptor."""
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    blobs[f"blobs/sha256/{sha256(data).removeprefix('sha256:')}"] = data
    return {"mediaType": media_type, "digest": sha256(data), "size": len(data), **more}


def manifest(blobs: Blobs, pack: str = "+gzip", architecture: str = "amd64", **more: Any) -> Json:
    config = add(blobs, config_of(LAYERS, architecture=architecture), f"{OCI}.config.v1+json")
    layers = [add(blobs, PACKERS[pack](layer), f"{OCI}.layer.v1.tar{pack}") for layer in LAYERS]
    document = {"schemaVersion": 2, "mediaType": f"{OCI}.manifest.v1+json", "config": config, "layers": layers}
    return {**document, **more}


def layout(*descriptors: Json, blobs: Blobs, **more: Any) -> Blobs:
    index = {"schemaVersion": 2, "manifests": list(descriptors), **more}
    return {**blobs, "oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": json.dumps(index).encode()}


def whole(pack: str = "+gzip") -> Blobs:
    blobs: Blobs = {}
    tag = {"org.opencontainers.image.ref.name": "v1", "io.containerd.image.name": "registry.example/team/image:v1"}
    return layout(add(blobs, manifest(blobs, pack), f"{OCI}.manifest.v1+json", annotations=tag), blobs=blobs)


def write(path: Path, blobs: Blobs, form: str) -> Path:
    if form == "folder":
        for name, content in blobs.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
        return path
    members: dict[str, bytes | Link] = dict(blobs)
    write_tar(path, members)
    if form == "packed":
        path.write_bytes(gzip.compress(path.read_bytes()))
    return path


@pytest.mark.parametrize("form", ["tar", "packed", "folder"])
@pytest.mark.parametrize("pack", PACKERS)
def test_an_oci_layout_is_read_in_every_form(tmp_path: Path, pack: str, form: str) -> None:
    with Archive(write(tmp_path / "a", whole(pack), form)) as archive:
        assert archive.config_bytes == config_of(LAYERS, architecture="amd64")
        assert archive.tags == ("registry.example/team/image:v1",)
        assert [layer.diff_id for layer in archive.layers] == [sha256(layer) for layer in LAYERS]
        assert [layer.digest for layer in archive.layers] == [sha256(PACKERS[pack](layer)) for layer in LAYERS]
        archive.check()
        files = ImageFiles([layer.open_tar for layer in archive.layers])
        assert files.text("etc/a") == "one"
        assert sorted(files.visible) == ["etc", "etc/a", "etc/b"]


def test_an_image_in_an_index_in_the_index_is_found_and_what_attests_it_is_passed_over(tmp_path: Path) -> None:
    blobs: Blobs = {}
    image = add(blobs, manifest(blobs), f"{OCI}.manifest.v1+json", platform={"os": "linux", "architecture": "amd64"})
    said = {"vnd.docker.reference.type": "attestation-manifest"}
    attests = add(blobs, {"any": "thing"}, f"{OCI}.manifest.v1+json", annotations=said)
    inner = add(blobs, {"manifests": [image, attests]}, f"{DOCKER}.distribution.manifest.list.v2+json")
    with Archive(write(tmp_path / "a", layout(inner, blobs=blobs), "tar")) as archive:
        assert len(archive.layers) == 2


def test_one_image_under_two_tags_is_one(tmp_path: Path) -> None:
    blobs: Blobs = {}
    image = add(blobs, manifest(blobs), f"{OCI}.manifest.v1+json")
    tags = [{**image, "annotations": {"org.opencontainers.image.ref.name": tag}} for tag in ("v1", "v2", "v1")]
    with Archive(write(tmp_path / "a", layout(*tags, blobs=blobs), "tar")) as archive:
        assert archive.tags == ("v1", "v2")


def test_dockers_media_types_are_known(tmp_path: Path) -> None:
    blobs: Blobs = {}
    document = manifest(blobs)
    document["mediaType"] = f"{DOCKER}.distribution.manifest.v2+json"
    document["config"]["mediaType"] = f"{DOCKER}.container.image.v1+json"
    for layer in document["layers"]:
        layer["mediaType"] = f"{DOCKER}.image.rootfs.diff.tar.gzip"
    image = add(blobs, document, f"{DOCKER}.distribution.manifest.v2+json")
    with Archive(write(tmp_path / "a", layout(image, blobs=blobs), "folder")) as archive:
        archive.check()


@pytest.mark.parametrize("kind", ["oci", "docker-archive"])
def test_what_buildah_writes_is_read(tmp_path: Path, kind: str) -> None:
    program = which("buildah")
    if program is None:
        pytest.skip("buildah is not installed")
    store: list[str | Path] = ["--storage-driver", "vfs", "--root", tmp_path / "root", "--runroot", tmp_path / "run"]

    def run(*words: str | Path) -> str:
        return subprocess.run([program, *store, *words], check=True, capture_output=True, text=True).stdout.strip()

    (tmp_path / "file").write_text("content")
    try:
        container = run("from", "scratch")
        run("copy", container, tmp_path / "file", "/opt/file")
        image = run("commit", container, "image:v1")
        place = tmp_path / "written"
        run("push", "image:v1", f"{kind}:{place}:image:v1")
        with Archive(place) as archive:
            archive.check()
            assert archive.config_digest == f"sha256:{image}"
            assert ImageFiles([layer.open_tar for layer in archive.layers]).text("/opt/file") == "content"
    finally:
        run("rm", "--all")
        run("rmi", "--all", "--force")


def spoilt(spoil: Callable[[Json, Blobs], None]) -> Blobs:
    """A layout whose manifest SPOIL changed."""
    blobs: Blobs = {}
    document = manifest(blobs)
    spoil(document, blobs)
    return layout(add(blobs, document, f"{OCI}.manifest.v1+json"), blobs=blobs)


def of_index(**changes: Any) -> Blobs:
    blobs: Blobs = {}
    return layout({**add(blobs, manifest(blobs), f"{OCI}.manifest.v1+json"), **changes}, blobs=blobs)


def with_layer(**changes: Any) -> Blobs:
    return spoilt(lambda document, blobs: document["layers"][1].update(changes))


def several(*architectures: str) -> Blobs:
    blobs: Blobs = {}
    images = [
        add(
            blobs,
            manifest(blobs, architecture=name),
            f"{OCI}.manifest.v1+json",
            platform={"os": "linux", "architecture": name},
        )
        for name in architectures
    ]
    return layout(*images, blobs=blobs)


def nested(depth: int) -> Blobs:
    blobs: Blobs = {}
    inner = add(blobs, manifest(blobs), f"{OCI}.manifest.v1+json")
    for _ in range(depth):
        inner = add(blobs, {"manifests": [inner]}, f"{OCI}.index.v1+json")
    return layout(inner, blobs=blobs)


def with_layers(count: int) -> Blobs:
    blobs: Blobs = {}
    layer = layer_tar({})
    config = add(blobs, config_of([layer] * count), f"{OCI}.config.v1+json")
    layers = [add(blobs, layer, f"{OCI}.layer.v1.tar")] * count
    document = {"schemaVersion": 2, "config": config, "layers": layers}
    return layout(add(blobs, document, f"{OCI}.manifest.v1+json"), blobs=blobs)


def many_manifests() -> Blobs:
    blobs: Blobs = {}
    image = add(blobs, manifest(blobs), f"{OCI}.manifest.v1+json")
    return layout(*[image] * 1001, blobs=blobs)


def flipped(number: int) -> Blobs:
    """A layout one of whose blobs is other than its name says."""
    blobs = whole()
    name = list(blobs)[number]
    blobs[name] = blobs[name][:-9] + bytes([blobs[name][-9] ^ 1]) + blobs[name][-8:]
    return blobs


BROKEN: dict[str, tuple[Blobs, str]] = {
    "no index": ({"oci-layout": b"{}"}, r"'manifest\.json' is missing"),
    "an index that is not JSON": ({**whole(), "index.json": b"{"}, "index.json is not JSON"),
    "an index that is a list": ({**whole(), "index.json": b"[]"}, "index.json is not a JSON object"),
    "an index of nothing": (layout(blobs={}), "index.json names no image"),
    "manifests that are none": ({**whole(), "index.json": b'{"manifests": 7}'}, "has no list of manifests"),
    "manifests that are words": ({**whole(), "index.json": b'{"manifests": ["x"]}'}, "has no list of manifests"),
    "two images": (several("amd64", "arm64"), r"names 2 images \(linux/amd64, linux/arm64\); expected one"),
    "indexes without end": (nested(9), "unknown media type"),
    "a manifest of unknown type": (of_index(mediaType="text/x\x1b[31m"), r"unknown media type 'text/x\\x1b\[31m'"),
    "a manifest without type": (of_index(mediaType=None), "unknown media type 'None'"),
    "a manifest of another size": (of_index(size=7), "bytes, but shall have 7"),
    "a manifest that is not there": (of_index(digest="sha256:" + "0" * 64), "is missing"),
    "a digest that climbs": (of_index(digest="sha256:../../../etc/passwd"), "is no digest that is known here"),
    "a digest of another kind": (of_index(digest="sha512:" + "0" * 128), "is no digest that is known here"),
    "a digest that is none": (of_index(digest=7), "'7' is no digest"),
    "another manifest inside": (
        spoilt(lambda document, blobs: document.update(mediaType="x/y")),
        "manifest is of the unknown media type 'x/y'",
    ),
    "no image but a chart": (
        spoilt(lambda document, blobs: document["config"].update(mediaType="application/vnd.cncf.helm.config.v1+json")),
        "not a container image: its config's media type is 'application/vnd.cncf.helm",
    ),
    "no config": (spoilt(lambda document, blobs: document.update(config=None)), "not a container image"),
    "a layer of unknown type": (
        with_layer(mediaType=f"{OCI}.layer.v1.tar+gzip+encrypted"),
        "a layer is of the unknown media type 'application/vnd.oci.image.layer.v1.tar.gzip.encrypted'",
    ),
    "a layer of another size": (with_layer(size=-1), "bytes, but shall have -1"),
    "a layer that is not there": (with_layer(digest="sha256:" + "0" * 64), "is missing"),
    "a layer less": (spoilt(lambda document, blobs: document["layers"].pop()), "do not fit"),
    "too many layers": (with_layers(501), "it has 501 layers; more than 500 are too many"),
    "too many manifests": (many_manifests(), "names more than 1000 manifests"),
    "a config with another hash": (flipped(0), "does not have the hash that it is named by"),
    "a manifest with another hash": (flipped(3), "does not have the hash that it is named by"),
}


@pytest.mark.parametrize("form", ["tar", "folder"])
@pytest.mark.parametrize(("blobs", "said"), BROKEN.values(), ids=BROKEN.keys())
def test_a_layout_that_is_none_is_an_error_that_names_it(tmp_path: Path, blobs: Blobs, said: str, form: str) -> None:
    path = write(tmp_path / "a", blobs, form)
    with pytest.raises(HubtoolError, match=said) as caught:
        Archive(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("pack", PACKERS)
def test_a_layer_with_another_hash_is_found_by_the_check(tmp_path: Path, pack: str) -> None:
    blobs = whole(pack)
    name = list(blobs)[2]
    blobs[name] = blobs[name][:600] + b"x" + blobs[name][601:] if not pack else blobs[name][:-1] + b"x"
    with (
        Archive(write(tmp_path / "a", blobs, "folder")) as archive,
        pytest.raises(HubtoolError, match=r"is damaged|can't be decompressed"),
    ):
        archive.check()


def test_a_layer_whose_config_gives_it_another_hash_is_found_by_the_check(tmp_path: Path) -> None:
    for pack in ("none", "gzip", "zstd"):
        members = new_members(LAYERS, pack)
        listed = json.loads(members["manifest.json"])  # type: ignore[arg-type]
        config = json.loads(members[listed[0]["Config"]])  # type: ignore[arg-type]
        config["rootfs"]["diff_ids"].reverse()
        members |= {"c.json": json.dumps(config).encode()}
        members["manifest.json"] = json.dumps([{**listed[0], "Config": "c.json"}]).encode()
        with (
            Archive(write_tar(tmp_path / "a.tar", members)) as archive,
            pytest.raises(HubtoolError, match="is damaged"),
        ):
            archive.check()


def test_a_pipe_or_device_in_the_place_of_a_blob_does_not_hold_the_reader(tmp_path: Path) -> None:
    for name in ("index.json", next(iter(whole()))):
        folder = write(tmp_path / name.replace("/", "-"), whole(), "folder")
        (folder / name).unlink()
        os.mkfifo(folder / name)
        with pytest.raises(HubtoolError, match=r"is not a file|is missing"):
            Archive(folder)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(HubtoolError, match="'pipe' is not a file"):
        Archive(tmp_path / "pipe")


def test_every_file_is_closed_again(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for form in ("tar", "folder", "packed"):
        with Archive(write(tmp_path / form, whole(), form)) as archive:
            archive.check()
        with pytest.raises(HubtoolError):
            Archive(write(tmp_path / f"bad-{form}", several("a", "b"), form))
    assert len(os.listdir("/proc/self/fd")) == before


def test_an_archive_cut_at_any_block_is_an_error_or_whole(tmp_path: Path) -> None:
    for members in (old_members(LAYERS), new_members(LAYERS, "gzip"), dict(whole())):
        content = write_tar(tmp_path / "whole.tar", members).read_bytes()
        ended = 0
        for length in range(0, len(content), 512):
            (tmp_path / "cut.tar").write_bytes(content[:length])
            try:
                with Archive(tmp_path / "cut.tar") as archive:
                    archive.check()
                    ended += 1
                    assert [layer.diff_id for layer in archive.layers] == [sha256(layer) for layer in LAYERS]
            except HubtoolError as error:
                told = str(error)
                assert "cut.tar" in told
        assert 0 < ended < 20  # where only the zeros behind the last member are missing
