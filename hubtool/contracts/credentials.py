"""Credentials inside an image: which files count, and why.

The rule, for every file of every layer, so also for one that a later layer deletes (whoever pulls the image has
all its layers):

- by name alone: ``.git``, ``gha-creds-*.json``, and the token stores of gcloud and the Azure CLI;
- by name and content: registry logins (``config.json`` and the like with a login in ``auths``), ``.netrc``,
  ``.git-credentials``, ``.pypirc``, ``.npmrc``, ``.pgpass``, AWS credentials, kubeconfigs;
- by content: private keys (PEM and OpenSSH, at the start of any file, anywhere in one named like a key) and Google
  service accounts and user credentials.

Not counted: private keys that a package brings for its own tests, examples or documentation (everyone has those:
below site-packages, node_modules, gems and the like, in a folder named so), Python's own test keys, and Debian's
snakeoil key. A placeholder that holds no key, and a value that is only a ${VARIABLE}, are no credentials either.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase, translate
from typing import Any

from hubtool.image.files import Entry, ImageFiles

START = 4096
SMALL = 256 * 1024

Reader = Callable[[int], bytes]


@dataclass(frozen=True)
class Finding:
    """A credential: what it is, and the path or variable that holds it. ``layer`` counts from 0, None for a
    variable; ``deleted`` when a later layer hides the file."""

    what: str
    place: str
    layer: int | None = None
    deleted: bool = False


def credentials_in_files(files: ImageFiles) -> list[Finding]:
    """Every credential in every layer; one finding for a ``.git`` however much is below it."""
    found: dict[tuple[str, int], Finding] = {}
    for entries in files.layers:
        for entry in entries:
            what, place = _judge(entry, files)
            if what:
                found.setdefault((place, entry.layer), Finding(what, f"/{place}", entry.layer, _gone(place, files)))
    return list(found.values())


def _gone(place: str, files: ImageFiles) -> bool:
    """Whether a container sees nothing at PLACE; a layer may hold files and not the folder that they are in."""
    return place not in files.visible and not any(path.startswith(place + "/") for path in files.visible)


def _judge(entry: Entry, files: ImageFiles) -> tuple[str | None, str]:
    """What credential ENTRY is, if any, and the path to name it by."""
    parts = entry.path.split("/")
    if ".git" in parts:
        return "a git repository", "/".join(parts[: parts.index(".git") + 1])
    if entry.kind != "file" or entry.size == 0:
        return None, entry.path
    return credential(entry.path, entry.size, lambda limit: files.read(entry, limit)), entry.path


def credential(path: str, size: int, read: Reader) -> str | None:
    """What credential the file at PATH of SIZE bytes is, or None; READ gives its first bytes."""
    name = path.rpartition("/")[2]
    listed = LAST_PARTS.match(name)  # of hundreds of thousands of files, nearly none
    for named, kind in BY_NAME.items() if listed else ():
        if _matches(path, named):
            return kind
    if size > SMALL:
        return None
    for pattern, (what, holds) in BY_CONTENT.items() if listed else ():
        if _matches(path, pattern) and holds(read(SMALL)):
            return what
    if name.endswith(".json") and (cloud := _cloud_key(read(SMALL))):
        return cloud
    return "a private key" if _is_private_key(path, name, read) else None


def _matches(path: str, pattern: str) -> bool:
    return fnmatchcase("/" + path, "*/" + pattern)


def _login(data: bytes) -> bool:
    """Whether a docker config holds a login (docker's config.json, ``auths``; .dockercfg has no such key)."""
    document = _json(data)
    auths = document.get("auths", document)
    if not isinstance(auths, Mapping):
        return False
    keys = ("auth", "identitytoken", "registrytoken", "password")
    return any(isinstance(value, Mapping) and any(value.get(key) for key in keys) for value in auths.values())


def _config_login(data: bytes) -> bool:
    return b'"auths"' in data and _login(data)


def _json(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _holds(pattern: bytes) -> Callable[[bytes], bool]:
    """Whether the content has a value after PATTERN that isn't only a variable's name."""
    compiled = re.compile(pattern + rb"[\"']?(?!\$|%|<|\{|\s|[\"'])\S{2,}", re.MULTILINE | re.IGNORECASE)
    return lambda data: compiled.search(data) is not None


BY_NAME: Mapping[str, str] = {
    "gha-creds-*.json": "a Google credential of GitHub Actions",
    ".config/gcloud/credentials.db": "a Google credential",
    ".config/gcloud/access_tokens.db": "a Google credential",
    ".config/gcloud/application_default_credentials.json": "a Google credential",
    ".azure/accessTokens.json": "an Azure credential",
    ".azure/msal_token_cache.*": "an Azure credential",
}
BY_CONTENT: Mapping[str, tuple[str, Callable[[bytes], bool]]] = {
    "config.json": ("a registry login", _config_login),
    "containers/auth.json": ("a registry login", _config_login),
    ".dockercfg": ("a registry login", _login),
    ".netrc": ("a password", _holds(rb"\bpassword\s+")),
    "_netrc": ("a password", _holds(rb"\bpassword\s+")),
    ".git-credentials": ("a git login", _holds(rb"^\w+://[^/\s:@]*:")),
    ".pypirc": ("a PyPI login", _holds(rb"^\s*password\s*[:=]\s*")),
    ".npmrc": ("an npm login", _holds(rb"_(?:authToken|auth|password)\s*=\s*")),
    ".pgpass": ("a database password", _holds(rb"^[^#\s:]*:[^:\s]*:[^:\s]*:[^:\s]*:")),
    ".aws/credentials": ("an AWS key", _holds(rb"aws_secret_access_key\s*=\s*")),
    ".kube/config": ("a Kubernetes login", _holds(rb"\b(?:token|client-key-data|password):\s*")),
}
LAST_PARTS = re.compile("|".join(translate(pattern.rpartition("/")[2]) for pattern in [*BY_NAME, *BY_CONTENT]))


def _cloud_key(data: bytes) -> str | None:
    if b'"private_key"' in data and b'"service_account"' in data:
        document = _json(data)
        key = str(document.get("private_key", ""))
        if document.get("type") == "service_account" and PRIVATE_KEY.search(key.encode()):
            return "the key of a Google service account"
    if b'"refresh_token"' in data and b'"authorized_user"' in data and _json(data).get("refresh_token"):
        return "a Google credential"
    return None


# 48 base64 characters: the shortest private key (Ed25519 in PKCS #8) has 64.
PRIVATE_KEY = re.compile(
    rb"^-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----\s*(?:[A-Za-z-]+: [^\n]*\s+)*(?:[A-Za-z0-9+/=]\s*){48}", re.MULTILINE
)
KEY_NAMES = re.compile(r"(?:\.pem|\.key|\.crt|\.cert|\.p8|^id_(?:rsa|dsa|ecdsa|ed25519)|_key)$")
PUTTY_KEY = re.compile(rb"\APuTTY-User-Key-File-\d")
PACKAGES = re.compile(
    r"(?:^|/)(?:site-packages|dist-packages|node_modules|gems|R/(?:site-)?library|share/(?:doc|perl5|julia)"
    r"|julia/(?:[^/]+/)?packages|go/pkg/mod)/"
)
FOR_TESTS = re.compile(
    r"(?:^|/)(?:_?tests?|testing|test_?data|fixtures|examples?|docs?|demos?|samples?)/", re.IGNORECASE
)
KNOWN_TO_ALL = re.compile(r"(?:^|/)lib(?:64)?/python3\.\d+/test/|(?:^|/)etc/ssl/private/ssl-cert-snakeoil\.key$")


def _is_private_key(path: str, name: str, read: Reader) -> bool:
    start = read(START)
    if KEY_NAMES.search(name) and b"PRIVATE KEY-----" not in start:
        start = read(SMALL)
    elif not start.lstrip().startswith((b"-----BEGIN ", b"PuTTY-User-Key-File-")):
        return False
    if not (PRIVATE_KEY.search(start) or PUTTY_KEY.match(start)):
        return False
    return not _of_a_package(path)


def _of_a_package(path: str) -> bool:
    """Whether a key at PATH is one that a package brings for its tests: no secret, everyone has it."""
    packages = PACKAGES.search(path)
    return bool(KNOWN_TO_ALL.search(path) or (packages and FOR_TESTS.search(path, packages.end() - 1)))


SECRET_VARIABLES = re.compile(
    r"(?:AWS_SECRET_ACCESS_KEY|AWS_SESSION_TOKEN|(?:GITHUB|GH|GITLAB|HF|DOCKER|JUPYTERHUB_API|JUPYTER|PYPI|NPM)_TOKEN"
    r"|GITHUB_PAT|[A-Z0-9_]*(?:_PASSWORD|_SECRET|_SECRET_KEY|_API_KEY)|PASSWORD)$"
)
TOKEN = re.compile(
    r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60,}|glpat-[A-Za-z0-9_-]{20}|hf_[A-Za-z0-9]{34}"
    r"|xox[bp]-[A-Za-z0-9-]{20,}|pypi-[A-Za-z0-9_-]{60,}|npm_[A-Za-z0-9]{36}|AKIA[A-Z0-9]{16})"
)


def credentials_in_config(environment: Sequence[str], history: Sequence[str] = ()) -> list[Finding]:
    """Credentials in the image's environment variables (NAME=VALUE) and in the commands it was built with."""
    return [*_in_environment(environment), *_in_history(history)]


def _in_environment(environment: Sequence[str]) -> Iterator[Finding]:
    for variable in environment:
        name, _, value = variable.partition("=")
        if value and (SECRET_VARIABLES.match(name) or TOKEN.search(value)):
            yield Finding("a secret", f"environment variable {name}")


def _in_history(history: Sequence[str]) -> Iterator[Finding]:
    for number, command in enumerate(history, 1):
        if TOKEN.search(command):
            yield Finding("a token", f"build step {number} of the image's history")
