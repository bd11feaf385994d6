"""Build hook: a distribution carries the commit it was built from, which the templates pin their workflows to."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NAME = "COMMIT"
TARGETS = {"sdist": NAME, "wheel": f"hubtool/_templates/{NAME}"}


class CommitHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the commit to sdist and wheel; where it cannot be known, the template asks for it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        commit = carried(Path(self.root)) or checked_out(Path(self.root))
        if version == "standard" and commit and self.target_name in TARGETS:
            self.folder = tempfile.TemporaryDirectory()
            file = Path(self.folder.name) / NAME
            file.write_text(commit + "\n")
            build_data["force_include"][str(file)] = TARGETS[self.target_name]

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()


def carried(root: Path) -> str:
    """The commit that an unpacked sdist names."""
    file = root / NAME
    return file.read_text().strip() if file.is_file() else ""


def checked_out(root: Path) -> str:
    """The commit of the checkout at ROOT; "" where it is not one, or merely lies inside another."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "--show-cdup", "HEAD"], capture_output=True, text=True
        )
    except OSError:
        return ""
    above, _, commit = done.stdout.partition("\n")
    known = done.returncode == 0 and not above and re.fullmatch("[0-9a-f]{40}", commit.strip())
    return commit.strip() if known else ""
