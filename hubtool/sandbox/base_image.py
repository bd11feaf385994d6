"""A base image made from Debian packages, for machines that cannot pull one."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import deque
from pathlib import Path

from hubtool.builders import BuildJob
from hubtool.builders.debian import DebianBuilder
from hubtool.config import Debian, Image
from hubtool.engines import Engine
from hubtool.image.spool import spool_folder
from hubtool.reference import ImageReference
from hubtool.sandbox import packages

SUITE = "bookworm"
NAME = "localhost/hubtool-base"  # a host that no engine looks up elsewhere
# What repo2docker's own base (buildpack-deps) has and its Dockerfile takes for granted, less the compilers.
INCLUDE = ("ca-certificates", "locales", "python3", "git", "wget", "bzip2", "xz-utils", "procps")


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
        with spool_folder() as folder:
            _make(tag, folder)
            part = archive.with_name(f".{archive.name}.{os.getpid()}.part")
            shutil.copyfile(folder / "image.tar", part)
            part.rename(archive)
    engine.load(archive)
    return tag


def _make(tag: str, folder: Path) -> None:
    """Make image.tar in FOLDER."""
    debian = Debian(suite=SUITE, packages=INCLUDE)
    job = BuildJob("base", folder, ImageReference.parse(tag), Image(builder="debian", debian=debian))
    with DebianBuilder().prepare(job) as prepared:
        deque(prepared.write(folder, {}), maxlen=0)
