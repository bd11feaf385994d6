"""Writing files so that a reader sees the old one or the new one, never half of one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hubtool.errors import HubtoolError


def write_whole(file: Path, text: str) -> None:
    """Write FILE whole or not at all: beside, then renamed. Everybody may read it."""
    if not file.parent.is_dir():
        raise HubtoolError(f"{file}: there is no folder {file.parent}")
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        os.fchmod(handle, 0o644)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
