"""What travels to a worker and back: one variant to make, with the files that it is made of, and what came of it."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import zstandard

from hubtool.builders.context import Context, Entry
from hubtool.builders.dockerfile.context import context_of
from hubtool.builders.secrets import why_left_out
from hubtool.commands.build_cache import CacheRules
from hubtool.commands.one_push import PushRules
from hubtool.commands.promotion import BROWSER_TESTS, IMAGE_TESTS
from hubtool.config import FILE_NAME
from hubtool.console import bytes_text
from hubtool.errors import HubtoolError, Where
from hubtool.plan import Variant
from hubtool.plan.records import FOLDER, Record

if sys.version_info >= (3, 12):
    import tarfile
else:
    from backports import tarfile

MOST = 512_000_000  # bytes of a variant's files; the scheduler has them in its memory for as long as they wait
MOST_LOG = 16_000_000  # bytes of a log that come back: its last
_REPOSITORY, _FILES, _BUNDLE = "repository", "files.tar.zst", "ca-bundle.pem"


@dataclass(frozen=True)
class Task:
    """What a worker does with each variant: build it with ``engine`` (its own choice where None) and push it by its
    fingerprint; those named in ``again`` whatever is there; with ``test`` hold it against its contract between the
    two."""

    engine: str | None
    cache: CacheRules
    rules: PushRules
    again: frozenset[str] = frozenset()
    test: bool = False


@dataclass(frozen=True)
class Parcel:
    """One ``variant``, whose paths are relative to ``root``, the folder of hubtool.yaml on the machine that asks."""

    task: Task
    variant: Variant
    root: str
    files: bytes = field(repr=False)

    def unpack(self, where: Path) -> Variant:
        """The variant, with its files below the empty folder WHERE."""
        unpacked = zstandard.ZstdDecompressor().stream_reader(self.files)
        with tarfile.open(fileobj=unpacked, mode="r|") as tar:
            tar.extractall(where, filter="fully_trusted")  # who may send parcels may run programs here anyway
        root, job = self.root_in(where), self.variant.job
        bundle = where / _BUNDLE if job.ca_bundle else None
        return replace(self.variant, root=root, job=replace(job, context=root / job.context, ca_bundle=bundle))

    def root_in(self, where: Path) -> Path:
        """The variant's root, where it is unpacked to WHERE."""
        return where / _REPOSITORY


def pack(variant: Variant, task: Task) -> bytes:
    """VARIANT and TASK as bytes. Nothing that may hold credentials is among its files, wherever they are. Raises
    HubtoolError where there is too much of them."""
    root = variant.root.resolve()
    files = Context(list(_entries(variant, root)))
    size = sum(one.source.lstat().st_size for one in files.entries if isinstance(one.source, Path))
    if size > MOST:
        raise HubtoolError(
            f"the files of {variant.image} are {bytes_text(size)}; at most {bytes_text(MOST)} travel to a worker",
            where=Where(variant.job.context),
            hint="name in .dockerignore what the build does not need, or have the build fetch it",
        )
    context = variant.job.context.relative_to(root)
    job = replace(variant.job, context=context, ca_bundle=Path(_BUNDLE) if variant.job.ca_bundle else None)
    with files.tar(0) as stream:
        packed = zstandard.ZstdCompressor(3).compress(stream.read())
    return pickle.dumps(Parcel(task, replace(variant, root=Path(), job=job), str(variant.root), packed))


def _entries(variant: Variant, root: Path) -> Iterator[Entry]:
    """The files that decide how VARIANT is built and tested: each once."""
    job = variant.job
    found = {f"{_REPOSITORY}/{FILE_NAME}": Entry(f"{_REPOSITORY}/{FILE_NAME}", root / FILE_NAME)}
    below = "/".join([_REPOSITORY, *job.context.relative_to(root).parts])
    for entry in _context(variant).entries:
        found[f"{below}/{entry.name}"] = replace(entry, name=f"{below}/{entry.name}")
    for path in _tests(variant, root):
        name = f"{_REPOSITORY}/{path.relative_to(root).as_posix()}"
        found[name] = Entry(name, path)
    if job.ca_bundle:
        found[_BUNDLE] = Entry(_BUNDLE, job.ca_bundle.read_bytes(), 0o644)
    return iter([found[name] for name in sorted(found)])


def _tests(variant: Variant, root: Path) -> Iterator[Path]:
    for name in filter(None, (IMAGE_TESTS, BROWSER_TESTS, variant.job.settings.tests)):
        inside = (root / name).resolve().is_relative_to(root)
        for path in (root / name).rglob("*") if inside else ():
            if "__pycache__" not in path.parts and why_left_out(path.relative_to(root).as_posix(), path) is None:
                yield path


def _context(variant: Variant) -> Context:
    job = variant.job
    if job.settings.builder == "dockerfile":
        return context_of(job.context, job.settings.dockerfile, for_site=False)
    context = Context()  # others read files that .dockerignore may name
    context.add_repository(job.context, "", [])
    return context


@dataclass(frozen=True)
class Answer:
    """What came of a parcel: an image in the registry with its ``record``, or an ``error``, with paths as the machine
    has them that asked. ``told`` is for people, ``logs`` are files of .hubtool/logs. With ``unfit`` the worker is to
    blame, and another may do better; with ``bug`` hubtool is."""

    record: Record | None = None
    seconds: float = 0
    size: int = 0
    reused: bool = False
    log: str | None = None
    error: HubtoolError | None = None
    told: str = ""
    logs: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    unfit: bool = False
    bug: str = ""


def read_logs(root: Path) -> dict[str, bytes]:
    """The last of each log of ROOT."""
    return {path.name: path.read_bytes()[-MOST_LOG:] for path in (root / FOLDER / "logs").glob("*") if path.is_file()}


def as_seen_at(home: str, root: Path, text: str) -> str:
    """TEXT with paths below HOME where it has them below ROOT."""
    return text.replace(f"{root}/", "" if home == "." else f"{home}/").replace(str(root), home)


def error_as_seen_at(home: str, root: Path, error: HubtoolError) -> HubtoolError:
    """The same of ERROR, as a plain HubtoolError, which travels."""
    seen = partial(as_seen_at, home, root)
    where = error.where and replace(error.where, file=seen(str(error.where.file)))
    return HubtoolError(seen(error.message), where=where, hint=error.hint and seen(error.hint))
