"""Images of few files, and what find_owners tells of them."""

from __future__ import annotations

import functools
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

from hubtool.image.files import ImageFiles
from hubtool.image.owners import find_owners


def image(files: Mapping[str, str]) -> ImageFiles:
    """An image of one layer. A path that ends in "/" is a folder; content "->X" is a symbolic link, "=X" a hard one."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", errors="surrogateescape", encoding="utf-8") as tar:
        for path, content in files.items():
            info = tarfile.TarInfo(path.rstrip("/"))
            if path.endswith("/"):
                info.type = tarfile.DIRTYPE
            elif content.startswith("->"):
                info.type, info.linkname = tarfile.SYMTYPE, content[2:]
            elif content.startswith("="):
                info.type, info.linkname = tarfile.LNKTYPE, content[1:]
            data = content.encode("utf-8", "surrogateescape") if info.isreg() else b""
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return ImageFiles([functools.partial(io.BytesIO, stream.getvalue())])


def image_of(folder: Path, tmp_path: Path, name: str = "") -> ImageFiles:
    """An image of what is in a real folder, NAME being its path in the image."""
    layer = tmp_path / "layer.tar"
    with tarfile.open(layer, "w") as tar:
        tar.add(folder, name or ".")
    return ImageFiles([lambda: layer.open("rb")])


def owners(files: Mapping[str, str]) -> dict[str, str]:
    """The owner's key of every path that has one."""
    return dict(find_owners(image(files)).owner)


def packages(files: Mapping[str, str]) -> dict[str, str]:
    """The version of each package by key."""
    return {package.key: package.version for package in find_owners(image(files)).packages}


def depends(files: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """What each package needs, by key."""
    return {package.key: package.depends for package in find_owners(image(files)).packages}


def conda_record(name: str, *files: str, version: str = "1.0", **more: object) -> str:
    """A record in conda-meta as conda and mamba write it."""
    record = {
        "arch": "x86_64",
        "build": "py311h1_0",
        "build_number": 0,
        "channel": "https://conda.anaconda.org/conda-forge/linux-64",
        "constrains": [],
        "depends": [],
        "extracted_package_dir": f"/srv/conda/pkgs/{name}-{version}-py311h1_0",
        "files": list(files),
        "fn": f"{name}-{version}-py311h1_0.conda",
        "license": "BSD-3-Clause",
        "link": {"source": f"/srv/conda/pkgs/{name}-{version}-py311h1_0", "type": 1},
        "name": name,
        "paths_data": {
            "paths": [{"_path": file, "path_type": "hardlink", "sha256": "0" * 64} for file in files],
            "paths_version": 1,
        },
        "requested_spec": name,
        "subdir": "linux-64",
        "version": version,
    }
    return json.dumps({**record, **more})


def wheel(site: str, name: str, *files: str, version: str = "1.0", needs: tuple[str, ...] = ()) -> dict[str, str]:
    """What pip leaves of a wheel in the folder SITE; FILES are relative to it."""
    info = f"{name}-{version}.dist-info"
    lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}", *(f"Requires-Dist: {need}" for need in needs)]
    listed = [*files, f"{info}/METADATA", f"{info}/RECORD", f"{info}/INSTALLER"]
    return {
        f"{site}/{info}/METADATA": "\n".join(lines) + "\n\nA package.\n",
        f"{site}/{info}/RECORD": "".join(f"{file},sha256=abc,12\n" for file in listed),
        f"{site}/{info}/INSTALLER": "pip\n",
    }
