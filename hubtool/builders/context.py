"""The build context: which files travel to the engine, as a list first and then as a tar stream.

The layout is repo2docker's own (``Dockerfile``, ``build_script_files/``, ``src/``; its buildpacks/base.py), so
that its Dockerfiles hold; what is added is that nothing of ``secrets`` is ever in it.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import stat
import tarfile
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from docker.utils.build import exclude_paths

from hubtool.builders.needless import needless_names
from hubtool.builders.secrets import why_left_out

IGNORE_FILES = (".dockerignore", ".containerignore")


@dataclass(frozen=True)
class Entry:
    """One file, folder or link of the context: its name there, and its content or where that is."""

    name: str
    source: Path | bytes
    mode: int | None = None


@dataclass
class Context:
    """What travels. ``left_out`` maps what does not to the reason; ``dockerfile`` is a name in it."""

    entries: list[Entry] = field(default_factory=list)
    dockerfile: str = "Dockerfile"
    left_out: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, source: Path | bytes, mode: int | None = None) -> None:
        self.entries.append(Entry(name, source, mode))

    def add_repository(self, root: Path, below: str, ignored: Sequence[str]) -> None:
        """Add the files below ROOT that neither the patterns IGNORED nor ``secrets`` nor ``needless`` leave out."""
        folders = set(needless_names(root))
        for name in sorted(exclude_paths(str(root), list(ignored)) or ()):
            path = root / name
            if name in folders or any(name.startswith(f"{folder}/") for folder in folders):
                continue
            why = why_left_out(name, path)
            if why is None:
                self.add(f"{below}{name}", path)
                continue
            self.left_out[name] = why
            folders.add(name)

    def notes(self) -> list[str]:
        """A line for each thing left out for safety, to show to whoever builds."""
        shown = {name: why for name, why in self.left_out.items() if name not in (".git", ".hubtool")}
        return [f"left out of the image: {name} ({why})" for name, why in shown.items()]

    def hash_into(self, digest: hashlib._Hash) -> None:
        """Feed all that decides the built files: names, kinds, execute bits, content. The Dockerfile is left out."""
        for entry in (entry for entry in self.entries if entry.name != self.dockerfile):
            kind, data = _kind(entry)
            digest.update(f"{len(entry.name.encode(errors='surrogateescape'))}:".encode())
            digest.update(entry.name.encode(errors="surrogateescape") + kind)
            digest.update(hashlib.sha256(data).digest() if isinstance(data, bytes) else _hash_file(data))

    def write(self, folder: Path) -> None:
        """Write it to the new FOLDER, with times that say nothing."""
        folder.mkdir()
        for entry in self.entries:
            _write(entry, folder / entry.name)
        for top, _, names in os.walk(folder, topdown=False):
            for path in (top, *(os.path.join(top, name) for name in names)):
                os.utime(path, (1, 1), follow_symlinks=False)

    def tar(self, uid: int) -> IO[bytes]:
        """The context as a tar stream in a temporary file, rewound. Files belong to UID."""
        stream = tempfile.TemporaryFile(prefix="hubtool-context-")  # noqa: SIM115 - the caller closes it
        try:
            with tarfile.open(fileobj=stream, mode="w") as tar:
                tar.addfile(_first())
                for entry in self.entries:
                    _add(tar, entry, uid)
        except BaseException:
            stream.close()
            raise
        stream.seek(0)
        return stream


def read_ignore_files(paths: Iterable[Path]) -> list[str]:
    """The patterns of .dockerignore files, as repo2docker reads them; missing files count as empty."""
    patterns: list[str] = []
    for path in paths:
        if path.exists():
            lines = (line.strip() for line in path.read_text().splitlines())
            patterns += [line for line in lines if line and not line.startswith("#")]
    return patterns


def _kind(entry: Entry) -> tuple[bytes, bytes | Path]:
    if isinstance(entry.source, bytes):
        return b"x" if (entry.mode or 0) & 0o100 else b"f", entry.source
    status = entry.source.lstat()
    if stat.S_ISLNK(status.st_mode):
        return b"l", os.fsencode(os.readlink(entry.source))
    if not stat.S_ISREG(status.st_mode):
        return b"d" if stat.S_ISDIR(status.st_mode) else b"o", b""
    return b"x" if (entry.mode or status.st_mode) & 0o100 else b"f", entry.source


def _write(entry: Entry, target: Path) -> None:
    kind, data = _kind(entry)
    target.parent.mkdir(parents=True, exist_ok=True)
    if kind == b"d":
        target.mkdir(exist_ok=True)
    elif kind == b"l":
        target.symlink_to(os.fsdecode(data) if isinstance(data, bytes) else data)
    elif kind != b"o":
        target.write_bytes(data) if isinstance(data, bytes) else shutil.copyfile(data, target)
        target.chmod(0o755 if kind == b"x" else 0o644)


def _hash_file(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _first() -> tarfile.TarInfo:
    """The context's own folder: the docker program takes standard input for a tar only if a whole entry stands in
    its first 512 bytes, and an entry with a long name or a fraction of a second does not."""
    info = tarfile.TarInfo(".")
    info.type, info.mode = tarfile.DIRTYPE, 0o755
    return info


def _add(tar: tarfile.TarFile, entry: Entry, uid: int) -> None:
    def owned(info: tarfile.TarInfo) -> tarfile.TarInfo:
        info.uid = info.gid = uid
        info.uname = info.gname = ""
        if entry.mode is not None:
            info.mode = entry.mode
        return info

    if isinstance(entry.source, bytes):
        info = owned(tarfile.TarInfo(entry.name))
        info.size = len(entry.source)
        tar.addfile(info, io.BytesIO(entry.source))
    else:
        tar.add(entry.source, entry.name, recursive=False, filter=owned)
