"""A stand-in for nixpkgs, and a Nix store to build with it in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.builders.nix.store import SETTINGS

NIXPKGS = Path(__file__).parent


@contextmanager
def running_store(folder: Path) -> Iterator[dict[str, str]]:
    """The environment in which Nix has a store of its own in FOLDER, and sees this machine's programs."""
    folders = {f"NIX_{name.upper()}_DIR": str(folder.resolve() / name) for name in ("store", "state", "log", "conf")}
    settings = f"{SETTINGS}build-users-group =\n"
    yield {**folders, "NIX_CONFIG": settings, "NIX_REMOTE": "", "HOME": str(folder)}
    for path in folder.rglob("*"):  # read-only, as Nix leaves it
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
