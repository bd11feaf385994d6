"""What hubtool remembers between its verbs: ``.hubtool/IMAGE.json`` beside hubtool.yaml."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from hubtool.files import write_whole

FOLDER = ".hubtool"
REGISTRY = "registry"


@dataclass(frozen=True)
class Record:
    """The last build of an image: its reference and the engine's id; which contract that very id passed
    (``tested``), and the digest it was pushed as (``digest``); the ``commit`` that it was last built for, and when it
    was ``built`` (ISO 8601, UTC). ``rebuilt`` is the day, YYYYMMDD, of a build of what was released already. An image
    that the registry had, and no engine built, has the engine "registry"."""

    reference: str
    image_id: str
    engine: str
    tested: str | None = None
    test_summary: str | None = None
    digest: str | None = None
    commit: str | None = None
    built: str | None = None
    rebuilt: str | None = None

    @property
    def in_registry(self) -> bool:
        """Whether the registry had it, so that there is nothing to build, test or send."""
        return self.engine == REGISTRY


def read_record(root: Path, image: str) -> Record | None:
    """The record of IMAGE; None where there is none or it can't be read."""
    try:
        return Record(**json.loads((root / FOLDER / f"{image}.json").read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def write_record(root: Path, image: str, record: Record) -> None:
    write_whole(folder(root) / f"{image}.json", json.dumps(asdict(record), indent=2) + "\n")


@contextmanager
def unfinished(root: Path, image: str, what: str) -> Iterator[bool]:
    """Remembers until the block ends well that WHAT was begun with IMAGE; gives whether that was so before."""
    mark = folder(root) / f"{image}.unfinished"
    try:
        before = mark.read_text() == what
    except (OSError, ValueError):
        before = False
    write_whole(mark, what)
    yield before
    mark.unlink(missing_ok=True)


def folder(root: Path) -> Path:
    """ROOT/.hubtool, made where missing, with a .gitignore of its own so that it is never committed."""
    path = root / FOLDER
    path.mkdir(exist_ok=True)
    ignore = path / ".gitignore"
    if not ignore.exists():
        write_whole(ignore, "*\n")
    return path
