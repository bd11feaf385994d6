"""Whether an IDE is dark, as its own settings say: with DARK_MODE=true, beside one that was started without."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from hubtool.contracts.onyxia.service import Service

# Whether it is dark, None where the variable changed nothing; and what was found.
Verdict = tuple[bool | None, str]
CODE_SERVER = '"${XDG_DATA_HOME:-$HOME/.local/share}/code-server/User/settings.json"'
RSTUDIO = '"${XDG_CONFIG_HOME:-$HOME/.config}/rstudio/rstudio-prefs.json"'
THEMES = "lab/api/settings/@jupyterlab/apputils-extension:themes"


class NotReadable(Exception):
    """A settings file is none that the IDE can read."""


def plain_json(text: str) -> str:
    """TEXT without the comments and last commas that VS Code allows in its settings."""
    bare = re.sub(r'("(?:\\.|[^"\\\n])*")|//[^\n]*|/\*.*?\*/', lambda match: match[1] or "", text, flags=re.S)
    return re.sub(r'("(?:\\.|[^"\\\n])*")|,(?=\s*[}\]])', lambda match: match[1] or "", bare)


def _of_file(service: Service, file: str, key: str) -> str:
    """The value of KEY in the JSON FILE, a word for a shell; "" where there is none."""
    told = service.run("sh", "-c", f"cat {file}")
    if told.returncode != 0 or not told.stdout.strip():
        return ""
    try:
        content: Any = json.loads(plain_json(told.stdout))
    except ValueError as error:
        raise NotReadable(f"{file.strip(chr(34))} is no JSON: {error}") from error
    return str(content.get(key, "")) if isinstance(content, dict) else ""


def _of_jupyter(service: Service) -> str:
    """The theme that JupyterLab tells its page."""
    url = f"{service.url(service.platform.port)}{THEMES}"
    headers = {"Authorization": f"token {service.platform.password}"}
    try:
        answer = httpx.get(url, headers=headers, timeout=30, trust_env=False)
        told = answer.raise_for_status().json()
        default = told["schema"]["properties"]["theme"].get("default", "")
        return str(told.get("settings", {}).get("theme") or default)
    except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotReadable(f"JupyterLab does not tell its theme: {error}") from error


def _is_dark(theme: Callable[[Service], str]) -> Callable[[Service, Service], Verdict]:
    def asked(dark: Service, light: Service) -> Verdict:
        try:
            found = theme(dark)
            if "dark" in found.lower() or (found and found != theme(light)):
                return True, found
        except NotReadable as error:
            return False, str(error)
        return None, f"the theme is '{found}'" if found else "no theme is set"

    return asked


DARK: Mapping[str, Callable[[Service, Service], Verdict]] = {
    "code-server": _is_dark(lambda service: _of_file(service, CODE_SERVER, "workbench.colorTheme")),
    "jupyter": _is_dark(_of_jupyter),
    "rstudio": _is_dark(lambda service: _of_file(service, RSTUDIO, "editor_theme")),
}
