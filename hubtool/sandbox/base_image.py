"""A base image made from Debian packages, for machines that cannot pull one."""

from __future__ import annotations

import datetime
import hashlib
import io
import json
import platform
import tarfile
import tempfile
from pathlib import Path

from hubtool import process
from hubtool.engines import Engine
from hubtool.errors import HubtoolError
from hubtool.sandbox import packages

SUITE = "bookworm"
NAME = "localhost/hubtool-base"  # a host that no engine looks up elsewhere
# What repo2docker's own base (buildpack-deps) has and its Dockerfile takes for granted, less the compilers.
INCLUDE = ("ca-certificates", "locales", "python3", "git", "wget", "bzip2", "xz-utils", "procps")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def base_image(engine: Engine, cache: Path) -> str:
    """The tag of a Debian image that ENGINE holds; made when it has none.

    The archive is kept in CACHE, so that another engine loads it in seconds. Raises HubtoolError where
    mmdebstrap is not there and can't be installed, or Debian's archive can't be reached.
    """
    key = hashlib.sha256(" ".join((SUITE, *INCLUDE)).encode()).hexdigest()[:12]
    tag = f"{NAME}:{SUITE}-{key}"
    if engine.inspect(tag) is not None:
        return tag
    archive = cache / f"base-{SUITE}-{key}.tar"
    if not archive.exists():
        packages.ensure(["mmdebstrap"])
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            root = Path(folder) / "root.tar"
            process.run("mmdebstrap", "--variant=minbase", "--include=" + ",".join(INCLUDE), SUITE, root, timeout=1200)
            whole = Path(folder) / "image.tar"
            write_docker_archive(root, tag, whole)
            whole.rename(archive)
    engine.load(archive)
    return tag


def write_docker_archive(layer: Path, tag: str, target: Path) -> None:
    """Wrap the tar LAYER as a one-layer image called TAG, in docker save's format."""
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        raise HubtoolError(f"no base image can be made for a {machine} machine")
    with layer.open("rb") as stream:
        diff_id = "sha256:" + hashlib.file_digest(stream, "sha256").hexdigest()
    config = json.dumps(
        {
            "architecture": ARCHITECTURES[machine],
            "os": "linux",
            "created": datetime.datetime.now(datetime.UTC).isoformat(),
            "config": {
                "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
                "Cmd": ["/bin/bash"],
            },
            "rootfs": {"type": "layers", "diff_ids": [diff_id]},
            "history": [{"created_by": f"mmdebstrap {SUITE}"}],
        }
    ).encode()
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": name, "RepoTags": [tag], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(target, "w") as archive:
        archive.add(layer, "layer.tar")
        for member, data in ((name, config), ("manifest.json", manifest)):
            info = tarfile.TarInfo(member)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
