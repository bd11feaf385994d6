"""Docker archives made by hand, whole and broken."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import zstandard


def sha256(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def layer_tar(files: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def config_of(layers: Sequence[bytes], **more: Any) -> bytes:
    diff_ids = [sha256(layer) for layer in layers]
    document = {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }
    return json.dumps({**document, **more}).encode()


Link = tuple[str, str]


def write_tar(path: Path, members: Mapping[str, bytes | Link]) -> Path:
    """A tar of files (bytes) and links (kind "symlink" or "link", target)."""
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
                continue
            member.type = tarfile.SYMTYPE if content[0] == "symlink" else tarfile.LNKTYPE
            member.linkname = content[1]
            tar.addfile(member)
    return path


def manifest_of(config: str, layers: Sequence[str], tags: Sequence[str] = ("team/image:v1",)) -> bytes:
    return json.dumps([{"Config": config, "RepoTags": list(tags), "Layers": list(layers)}]).encode()


def old_members(layers: Sequence[bytes], **more: Any) -> dict[str, bytes | Link]:
    """As docker save wrote until 24: a folder a layer; a layer that is there already is a symbolic link."""
    config = config_of(layers, **more)
    members: dict[str, bytes | Link] = {}
    names: list[str] = []
    seen: dict[bytes, str] = {}
    for number, layer in enumerate(layers):
        name = f"{number:064x}/layer.tar"
        names.append(name)
        members[name] = ("symlink", f"../{seen[layer]}") if layer in seen else layer
        seen.setdefault(layer, name)
    file = f"{sha256(config).removeprefix('sha256:')}.json"
    return {**members, file: config, "manifest.json": manifest_of(file, names)}


def new_members(layers: Sequence[bytes], pack: str = "none") -> dict[str, bytes | Link]:
    """As docker save writes since 25: an OCI layout; with containerd's store the layers are compressed."""
    config = config_of(layers)
    packers: dict[str, Callable[[bytes], bytes]] = {
        "none": bytes,
        "gzip": gzip.compress,
        "zstd": zstandard.ZstdCompressor().compress,
    }
    stored = [packers[pack](layer) for layer in layers]
    blobs = {f"blobs/sha256/{sha256(blob).removeprefix('sha256:')}": blob for blob in (*stored, config)}
    names = [f"blobs/sha256/{sha256(blob).removeprefix('sha256:')}" for blob in (*stored, config)]
    return {
        **blobs,
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "index.json": b"{}",
        "manifest.json": manifest_of(names[-1], names[:-1]),
    }
