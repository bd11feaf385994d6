"""What of a repository says nothing to an image: a change there shall neither build nor release anything."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

NAMES = (
    ".github",
    "image-tests",
    "browser-tests",
    "hubtool.yaml",
    "README*",
    "LICENSE*",
    "LICENCE*",
    "CONTRIBUTING*",
    "CODE_OF_CONDUCT*",
)
BUILD_FILES = (".", "binder", ".binder")  # folders whose files say how to build
LOOK_AT = 1_000_000


def needless_names(root: Path) -> frozenset[str]:
    """The files and folders right below ROOT that stay out of the image: those of NAMES, but for what a file there
    that goes into the image names, as a pyproject.toml its README."""
    found = {path.name for path in root.iterdir() if any(fnmatch(path.name, pattern) for pattern in NAMES)}
    if not found:
        return frozenset()
    others = [path for folder in BUILD_FILES if (root / folder).is_dir() for path in sorted((root / folder).iterdir())]
    said = b"\n".join(_text(path) for path in others if path.parent != root or path.name not in found)
    return frozenset(name for name in found if name.encode(errors="surrogateescape") not in said)


def _text(path: Path) -> bytes:
    if path.is_symlink() or not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(LOOK_AT)
