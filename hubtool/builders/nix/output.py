"""What a derivation yields, as an archive."""

from __future__ import annotations

import os
from pathlib import Path

from hubtool.errors import HubtoolError, Where
from hubtool.process import ProcessError, run

SCRIPTS = (b"#!", b"\x7fELF")
HINT = "let the expression yield what dockerTools.buildLayeredImage, buildImage or streamLayeredImage do"


def archive_of(link: Path, folder: Path) -> Path:
    """The image's archive that LINK leads to; where that is a program, what it writes, in a file of FOLDER."""
    made = link.resolve()
    if made.is_dir():
        raise HubtoolError("is a folder, not an image archive", where=Where(made), hint=HINT)
    if not _is_program(made):
        return made
    target = folder / "streamed.tar"
    try:
        with target.open("wb") as output:
            run(made, output=output)
    except (ProcessError, OSError) as error:
        raise HubtoolError(f"the image's stream script failed: {error}", where=Where(made)) from error
    return target


def _is_program(file: Path) -> bool:
    with file.open("rb") as stream:
        return os.access(file, os.X_OK) and stream.read(4).startswith(SCRIPTS)
