"""The end of every template: the files that all have, those left out that were not asked for, hubtool's commit.

Plain Python with Jinja, which cookiecutter brings.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from jinja2 import Environment, StrictUndefined

COMMON = Path(__file__).resolve().parent
PLACEHOLDER = "0" * 40


def finish(answers: dict[str, str], unwanted: Iterable[str] = ()) -> None:
    """Make the repository in the working folder whole: what its own template wrote stays, UNWANTED files and folders
    go."""
    commit = find_commit(answers)
    for name in unwanted:
        path = Path(name)
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    add_common(answers)
    for file in sorted(Path(".github/workflows").glob("*.yaml")):
        file.write_text(file.read_text(encoding="utf-8").replace(PLACEHOLDER, commit), encoding="utf-8")


def add_common(answers: dict[str, str]) -> None:
    """Render the files of ``common/files`` that the template has not written itself."""
    left_out = {
        "LICENSE": answers["license"] == "none",
        ".github/CODEOWNERS": not answers["codeowners"].strip(),
    }
    engine = Environment(undefined=StrictUndefined, keep_trailing_newline=True)
    for file in sorted((COMMON / "files").rglob("*")):
        target = file.relative_to(COMMON / "files")
        if file.is_dir() or target.exists() or left_out.get(target.as_posix()):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        text = engine.from_string(file.read_text(encoding="utf-8")).render(cookiecutter=answers)
        target.write_text(text, encoding="utf-8", newline="\n")


def git(*words: str) -> str:
    """What git prints about the templates' folder; "" where it fails or is not there."""
    try:
        done = subprocess.run(["git", "-C", str(COMMON), *words], capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def baked() -> str:
    """The commit that a built distribution carries beside the templates."""
    file = COMMON.parent.parent / "COMMIT"
    return file.read_text().strip() if file.is_file() else ""


def checked_out() -> str:
    """The commit of the templates' clone; "" where they only lie inside some other repository."""
    if git("rev-parse", "--show-prefix") != "cookiecutter-template/common/" or not git("ls-files", "finish.py"):
        return ""
    return git("rev-parse", "HEAD")


def find_commit(answers: dict[str, str]) -> str:
    """The commit of hubtool that the workflows use."""
    answer = answers["hubtool_commit"]
    commit = answer if answer != "auto" else baked() or checked_out()
    if re.fullmatch("[0-9a-f]{40}", commit):
        return commit
    sys.exit(
        "error: hubtool_commit: 'auto': cannot tell which commit this template is from; "
        f"answer with the 40 hexadecimal digits of a commit of {answers['_hubtool_repository']}"
    )
