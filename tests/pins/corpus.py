"""The real deployment files beside this project, where they are there."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

CORPUS = Path(os.environ.get("HUBTOOL_CORPUS", Path(__file__).parents[3] / "shared" / "corpus"))
HELD = ("datahub", "datahub-2026", "calicor-2025", "calicor-2026", "pangeo")

needs_corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no folder {CORPUS} with real deployment files")


def rows(name: str) -> list[dict[str, str]]:
    if not CORPUS.is_dir():
        return []
    with (CORPUS / name).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))


def yaml_files(folder: str) -> list[Path]:
    return sorted(path for path in (CORPUS / folder).rglob("*") if path.suffix in (".yaml", ".yml"))
