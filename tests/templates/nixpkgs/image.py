"""Writes a docker archive as dockerTools does: a layer for each store path, the rest together where there are more than
maxLayers, and the customisation layer on top."""

import gzip
import hashlib
import io
import json
import os
import platform
import tarfile
from pathlib import Path

GIVEN = dict(os.environ)
STORE, MOST = GIVEN["store"], int(GIVEN["maxLayers"])


def closure(graph: str) -> list[str]:
    """The store paths of a reference graph, as Nix writes it: path, deriver, number of references, references."""
    lines, paths = iter(Path(graph).read_text().splitlines()), []
    for path in lines:
        paths.append(path)
        next(lines)
        for _ in range(int(next(lines))):
            next(lines)
    return paths


def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 1
    return entry


def layer_of(paths: list[str]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for parent in (*reversed(Path(STORE).parents), Path(STORE)):
            if str(parent) != "/":
                folder = tarfile.TarInfo(str(parent))
                folder.type, folder.mode, folder.mtime = tarfile.DIRTYPE, 0o755, 1
                archive.addfile(folder)
        for path in paths:
            archive.add(path, filter=plain)
    return made.getvalue()


made_here = {GIVEN["customisation"], GIVEN["named"]}
paths = sorted({*closure("customisation"), *closure("named")} - made_here)
groups = [[path] for path in paths[: MOST - 2]] + ([paths[MOST - 2 :]] if paths[MOST - 2 :] else [])
layers = [layer_of(group) for group in groups]
layers.append((Path(GIVEN["customisation"]) / "layer.tar").read_bytes())

config = {
    "architecture": {"aarch64": "arm64"}.get(platform.machine(), "amd64"),
    "os": "linux",
    "created": "1970-01-01T00:00:01Z",
    "config": json.loads(Path(GIVEN["conf"]).read_text()),
    "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in layers]},
}
members = {f"{hashlib.sha256(layer).hexdigest()}/layer.tar": layer for layer in layers}
text = json.dumps(config).encode()
name = hashlib.sha256(text).hexdigest() + ".json"
manifest = [{"Config": name, "RepoTags": [GIVEN["reference"]], "Layers": list(members)}]
members |= {name: text, "manifest.json": json.dumps(manifest).encode()}
with (
    gzip.GzipFile(GIVEN["out"], "wb", compresslevel=1, mtime=0) as out,
    tarfile.open(fileobj=out, mode="w") as tar,
):
    for member, data in members.items():
        info = tarfile.TarInfo(member)
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
