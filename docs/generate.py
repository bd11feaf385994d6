"""Write the pages of docs/ that follow from the code; with --check, say whether they do.

cli.md holds every verb's --help, config.md every key of hubtool.yaml, hubtool.schema.json its JSON Schema.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hubtool.config import json_schema

DOCS = Path(__file__).parent
TABLES = (
    ("images.NAME", "Image"),
    ("images.NAME.parameters", "Parameters"),
    ("images.NAME.nix", "Nix"),
    ("images.NAME.debian", "Debian"),
    ("images.NAME.debian.config", "RunConfig"),
    ("images.NAME.known_issues", "KnownIssue"),
    ("site", "Site"),
    ("deployment", "Deployment"),
)
Schema = dict[str, Any]


def help_of(*verb: str) -> str:
    """What `hubtool VERB --help` prints, 100 columns wide."""
    plain = {"COLUMNS": "100", "TERMINAL_WIDTH": "100", "NO_COLOR": "1"}
    environment = {key: value for key, value in os.environ.items() if key not in ("GITHUB_ACTIONS", "FORCE_COLOR")}
    argv = [sys.executable, "-m", "hubtool", *verb, "--help"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, env=environment | plain)
    return done.stdout.replace("python -m hubtool", "hubtool").strip()


def verbs(*above: str) -> Iterator[tuple[str, ...]]:
    """The verbs below ABOVE, as words; those that have verbs of their own are followed by these."""
    for line in help_of(*above).partition("Commands:")[2].splitlines():
        if line.startswith("  ") and line[2] != " ":
            verb = (*above, line.split()[0])
            yield verb
            yield from verbs(*verb)


def cli_page() -> str:
    top = help_of()
    parts = ["# The command line", "What `--help` prints, verb by verb. Exit codes: 0 done (also: nothing to do), "
             "1 an expected failure, 2 wrong usage, 3 a bug, 130 interrupted.", f"```text\n{top}\n```"]  # fmt: skip
    for verb in verbs():
        parts += [f"## {' '.join(verb)}", f"```text\n{help_of(*verb)}\n```"]
    return "\n\n".join(parts) + "\n"


def config_page(schema: Schema) -> str:
    parts = [
        "# hubtool.yaml",
        "One file at an image repository's root says what it makes, for whom, and where it goes. An unknown key is "
        "an error that names the nearest one. Editors complete and check it by "
        "[hubtool.schema.json](hubtool.schema.json).",
        "Environment variables override it: `HUBTOOL_REGISTRY` (registry), `HUBTOOL_REPOSITORY` (repository), "
        "`HUBTOOL_ARG_NAME` (the build argument NAME of images that have it), `HUBTOOL_DEPLOYMENT` "
        "(deployment.repository), `HUBTOOL_CA_BUNDLE` (site.ca_bundle), `HUBTOOL_ENGINE`, `HUB`, `IMAGE`.",
        *section("At the top", schema),
    ]
    for title, name in TABLES:
        parts += section(title, schema["$defs"][name])
    return "\n\n".join(parts) + "\n"


def section(title: str, schema: Schema) -> list[str]:
    rows = ["| key | default | what it says |", "|---|---|---|"]
    for key, field in schema["properties"].items():
        required = key in schema.get("required", [])
        default = "required" if required else shown(field.get("default"))
        rows.append(f"| `{key}` | {default} | {field['description']} |")
    return [f"## {title}", "\n".join(rows)]


def shown(default: object) -> str:
    return "" if default in (None, [], {}) or isinstance(default, dict) else f"`{json.dumps(default).strip(chr(34))}`"


def pages() -> dict[str, str]:
    schema = json_schema()
    return {
        "cli.md": cli_page(),
        "config.md": config_page(schema),
        "hubtool.schema.json": json.dumps(schema, indent=2) + "\n",
    }


def main(check: bool) -> int:
    stale = [name for name, text in pages().items() if not same(DOCS / name, text)]
    if check:
        print("written anew by script/docs: " + (", ".join(stale) or "nothing to do"))
        return 1 if stale else 0
    for name in stale:
        (DOCS / name).write_text(pages()[name])
    return 0


def same(file: Path, text: str) -> bool:
    return file.exists() and file.read_text() == text


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv))
