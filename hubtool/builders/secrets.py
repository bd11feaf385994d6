"""What never travels into an image, whatever a repository's .dockerignore says.

The case that made this list: a workflow sets ``DOCKER_CONFIG: $HOME/.docker``, which GitHub does not expand, so
that docker keeps its credentials in a folder called ``$HOME`` inside the checkout; google-github-actions/auth
leaves ``gha-creds-*.json`` there, and the checkout's own token is in ``.git/config``.
"""

from __future__ import annotations

import json
import re
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

FOLDERS = {
    ".git": "the repository's history and settings",
    ".hubtool": "hubtool's own notes",
    "$HOME": "a home folder made by an unexpanded $HOME",
    "${HOME}": "a home folder made by an unexpanded ${HOME}",
    ".aws": "cloud credentials",
    ".azure": "cloud credentials",
    ".ssh": "SSH keys",
    ".gnupg": "GPG keys",
    ".kube": "cluster credentials",
}
FILES = {
    "gha-creds-*.json": "cloud credentials",
    "application_default_credentials.json": "cloud credentials",
    ".netrc": "passwords",
    "_netrc": "passwords",
    ".git-credentials": "passwords",
    ".pypirc": "passwords",
    ".dockercfg": "docker credentials",
    ".dockerconfigjson": "docker credentials",
    "id_rsa": "an SSH key",
    "id_dsa": "an SSH key",
    "id_ecdsa": "an SSH key",
    "id_ed25519": "an SSH key",
}
_PRIVATE_KEY = re.compile(rb"^-----BEGIN [A-Z0-9 ]*PRIVATE KEY", re.MULTILINE)
_NPM_AUTH = re.compile(rb"^\s*[^#;\s].*_(?:authToken|auth|password)\s*=", re.MULTILINE)
LOOK_AT = 64 * 1024
MAX_JSON = 1024 * 1024


def why_left_out(name: str, path: Path) -> str | None:
    """Why the file or folder NAME (relative, ``/``) at PATH may not travel; None where it may."""
    for part in PurePosixPath(name).parts:
        if part in FOLDERS:
            return FOLDERS[part]
    if name == ".docker/config.json" or name.endswith("/.docker/config.json"):
        return "docker credentials"
    last = PurePosixPath(name).name
    for pattern, why in FILES.items():
        if fnmatch(last, pattern):
            return why
    if path.is_symlink() or not path.is_file():
        return None
    return _why_by_content(last, path)


def _why_by_content(name: str, path: Path) -> str | None:
    with path.open("rb") as file:
        head = file.read(LOOK_AT)
    if _PRIVATE_KEY.search(head):
        return "a private key"
    if name == ".npmrc" and _NPM_AUTH.search(head):
        return "npm credentials"
    if name.endswith(".json") and (b'"auths"' in head or b'"private_key"' in head):
        return _why_json(path)
    return None


def _why_json(path: Path) -> str | None:
    if path.stat().st_size > MAX_JSON:
        return None
    try:
        data = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict):
        return None
    if isinstance(data.get("auths"), dict):
        return "docker credentials"
    if "private_key" in data and data.get("type") == "service_account":
        return "a cloud service account's key"
    return None
