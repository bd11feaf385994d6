"""Nix with a store of its own, in which nothing asks for a network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hubtool.sandbox import packages

# Builds see this machine's own shell and Python.
SETTINGS = "substituters =\nsandbox = false\ndownload-attempts = 1\n"


@pytest.fixture(scope="session")
def nix_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    packages.ensure(["nix-store"])
    folder = tmp_path_factory.mktemp("nix").resolve()
    yield folder
    for path in folder.rglob("*"):  # read-only, as Nix leaves it
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)


@pytest.fixture
def nix(nix_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have Nix use this store."""
    for name in ("store", "state", "log", "conf"):
        monkeypatch.setenv(f"NIX_{name.upper()}_DIR", str(nix_store / name))
    monkeypatch.setenv("NIX_CONFIG", SETTINGS)
    monkeypatch.setenv("HOME", str(nix_store))
    monkeypatch.delenv("NIX_REMOTE", raising=False)
