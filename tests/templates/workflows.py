"""Reading workflows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.templates.conftest import PROJECT

OURS = PROJECT / ".github" / "workflows"


def read(file: Path) -> dict[str, Any]:
    """A workflow, with the key `on` that YAML 1.1 reads as a boolean put right."""
    data = yaml.safe_load(file.read_text())
    data["on"] = data.pop(True)
    return dict(data)


def steps(file: Path) -> Iterator[dict[str, Any]]:
    for job in read(file)["jobs"].values():
        yield from job.get("steps", [])


def script_of(workflow: str, job: str, step: str) -> str:
    for found in read(OURS / workflow)["jobs"][job]["steps"]:
        if found.get("name") == step:
            return str(found["run"])
    raise AssertionError(f"no step '{step}'")
