"""Who hubtool is at GitHub: a user's token, or a GitHub App's key. All of it comes from the environment."""

from __future__ import annotations

import os
from pathlib import Path

from hubtool.errors import HubtoolError

TOKENS = ("HUBTOOL_GITHUB_TOKEN", "GH_TOKEN", "GITHUB_TOKEN")
APP_ID, APP_KEY, APP_KEY_FILE = (
    "HUBTOOL_GITHUB_APP_ID",
    "HUBTOOL_GITHUB_APP_PRIVATE_KEY",
    "HUBTOOL_GITHUB_APP_PRIVATE_KEY_FILE",
)
NEEDED = {"contents": "write", "pull_requests": "write"}
NEEDS = "it needs contents:write and pull_requests:write on the deployment repository"


def who() -> str:
    """Who hubtool is, in words that hold no secret."""
    return "the GitHub App" if app_id() else f"the token in ${_given()[0]}"


def app_id() -> str | None:
    return os.environ.get(APP_ID) or None


def user_token() -> str:
    return _given()[1]


def private_key() -> str:
    """The App's key, as it was given."""
    key = os.environ.get(APP_KEY, "")
    file = os.environ.get(APP_KEY_FILE)
    if not key and file:
        try:
            key = Path(file).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise HubtoolError(f"${APP_KEY_FILE}: no private key can be read from {file}") from error
    if not key.strip():
        raise HubtoolError(f"${APP_ID} is set, but no private key", hint=f"set {APP_KEY} or {APP_KEY_FILE}")
    return key


def _given() -> tuple[str, str]:
    for name in TOKENS:
        value = os.environ.get(name, "").strip()
        if value:
            return name, value
    raise HubtoolError(
        "no GitHub token to open pull requests with",
        hint=f"set one of {', '.join(TOKENS)}, or {APP_ID} and {APP_KEY} (or {APP_KEY_FILE}); {NEEDS}",
    )
