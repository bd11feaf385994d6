"""Leaves out the files that were not asked for, and pins the workflows to hubtool's commit."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

# Escaped so that no answer can end the string.
ANSWERS = json.loads(r'''{{ cookiecutter | jsonify | replace("'", "\\u0027") }}''')

TEMPLATE = Path(ANSWERS.get("_repo_dir", "."))
FOLDER = "cookiecutter-template/hub-image/"
PLACEHOLDER = "0" * 40


def unwanted() -> list[str]:
    conda = ANSWERS["environment"] == "conda"
    wanted = {
        "environment.yml": conda,
        "pyproject.toml": not conda,
        "uv.lock": not conda,
        ".python-version": not conda,
        "install.R": conda and ANSWERS["include_r"] == "yes",
        "runtime.txt": conda and ANSWERS["include_r"] == "yes",
        "LICENSE": ANSWERS["license"] != "none",
        ".github/CODEOWNERS": bool(ANSWERS["codeowners"].strip()),
    }
    return [name for name in wanted if not wanted[name]]


def git(*words: str) -> str:
    """What git prints about the template's folder; "" where it fails or is not there."""
    try:
        done = subprocess.run(["git", "-C", str(TEMPLATE), *words], capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def baked() -> str:
    """The commit that a built distribution carries beside the template."""
    file = TEMPLATE.parent.parent / "COMMIT"
    return file.read_text().strip() if file.is_file() else ""


def checked_out() -> str:
    """The commit of the template's clone; "" where the template only lies inside some other repository."""
    if git("rev-parse", "--show-prefix") != FOLDER or not git("ls-files", "cookiecutter.json"):
        return ""
    return git("rev-parse", "HEAD")


def find_commit() -> str:
    answer = ANSWERS["hubtool_commit"]
    commit = answer if answer != "auto" else baked() or checked_out()
    if re.fullmatch("[0-9a-f]{40}", commit):
        return commit
    sys.exit(
        "error: hubtool_commit: 'auto': cannot tell which commit this template is from; "
        f"answer with the 40 hexadecimal digits of a commit of {ANSWERS['_hubtool_repository']}"
    )


def pin(commit: str) -> None:
    for file in sorted(Path(".github/workflows").glob("*.yaml")):
        file.write_text(file.read_text(encoding="utf-8").replace(PLACEHOLDER, commit), encoding="utf-8")


if __name__ == "__main__":
    pin(find_commit())
    for name in unwanted():
        Path(name).unlink()
