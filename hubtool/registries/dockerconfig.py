"""Logins that docker and podman keep: config.json, credential helpers, auth.json
(docs.docker.com/reference/cli/docker/login; github.com/containers/image, containers-auth.json.5)."""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hubtool import process
from hubtool.console import warn
from hubtool.errors import HubtoolError, Where
from hubtool.reference import ImageReference
from hubtool.registries.model import Credentials

HUB_KEY = "https://index.docker.io/v1/"
_HUB_NAMES = frozenset({"", "docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"})
_MAX_BYTES = 10_000_000
_HELPER_SECONDS = 60
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")


def hub_name(host: str) -> str:
    """HOST, with Docker Hub's several names made one."""
    return "docker.io" if host in _HUB_NAMES else host


def files() -> list[Path]:
    """The files that are looked into, in order; not all need to be there."""
    docker = os.environ.get("DOCKER_CONFIG")
    found = [(Path(docker) if docker else Path.home() / ".docker") / "config.json"]
    if os.environ.get("REGISTRY_AUTH_FILE"):
        found.append(Path(os.environ["REGISTRY_AUTH_FILE"]))
    elif os.environ.get("XDG_RUNTIME_DIR"):
        found.append(Path(os.environ["XDG_RUNTIME_DIR"]) / "containers" / "auth.json")
    return found


def find(reference: ImageReference) -> Credentials | None:
    """The login for the reference's registry, None where no file has one.

    Raises HubtoolError that names the file where it can't be read or a helper fails.
    """
    for file in files():
        document = _read(file)
        found = _from_helpers(document, file, reference) or _from_auths(document, file, reference)
        if found is not None:
            return found
    return None


def _read(file: Path) -> Mapping[str, Any]:
    try:
        data = file.read_bytes()
        document = json.loads(data) if data.strip() and len(data) <= _MAX_BYTES else {}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise HubtoolError(f"cannot be read: {error.strerror}", where=Where(file)) from error
    except (ValueError, RecursionError) as error:
        line = error.lineno if isinstance(error, json.JSONDecodeError) else None
        raise _broken(file, "not JSON", line=line) from None
    if not isinstance(document, dict):
        raise _broken(file, "expected a JSON object")
    return document


def _broken(file: Path, message: str, *, line: int | None = None, key: str | None = None) -> HubtoolError:
    return HubtoolError(message, where=Where(file, line, key), hint="mend it, or remove it and log in again")


def _section(document: Mapping[str, Any], file: Path, key: str) -> Mapping[str, Any]:
    section = document.get(key) or {}
    if not isinstance(section, dict):
        raise _broken(file, "expected a JSON object", key=key)
    return section


def _keys(reference: ImageReference) -> Iterator[str]:
    """The keys under which a login may stand, the most special first."""
    normal = reference.normalized()
    host = hub_name(normal.registry)
    parts = normal.repository.split("/")
    for length in range(len(parts), 0, -1):
        yield f"{host}/{'/'.join(parts[:length])}"  # podman logs in to namespaces, too
    if host == "docker.io":
        yield HUB_KEY
        yield from sorted(_HUB_NAMES - {""})
        return
    yield host
    for scheme in ("https", "http"):
        yield from (f"{scheme}://{host}", f"{scheme}://{host}/", f"{scheme}://{host}/v1/", f"{scheme}://{host}/v2/")


def _from_helpers(document: Mapping[str, Any], file: Path, reference: ImageReference) -> Credentials | None:
    host = hub_name(reference.normalized().registry)
    server = HUB_KEY if host == "docker.io" else host
    per_host = _section(document, file, "credHelpers")
    for key in (server, host):
        if key in per_host:
            return _ask(per_host[key], server, file, f"credHelpers.{key}")
    store = document.get("credsStore")
    if not store:
        return None
    if isinstance(store, str) and process.which(f"docker-credential-{store}") is None:
        warn(f"{file}: credsStore names docker-credential-{store}, which is not installed; going on without it")
        return None
    return _ask(store, server, file, "credsStore")


def _ask(helper: object, server: str, file: Path, key: str) -> Credentials | None:
    """A helper's answer. What it prints may be secret, hence is never part of an error."""
    if not isinstance(helper, str) or not _HELPER.match(helper):
        raise _broken(file, "not the name of a credential helper", key=key)
    program = f"docker-credential-{helper}"
    if process.which(program) is None:
        raise HubtoolError(f"{program} is not installed", where=Where(file, key=key), hint=f"install {program}")
    try:
        done = process.run(program, "get", input=server + "\n", timeout=_HELPER_SECONDS, check=False)
    except process.ProcessError:
        raise HubtoolError(f"{program} took more than {_HELPER_SECONDS} s", where=Where(file, key=key)) from None
    if done.returncode != 0:
        if "credentials not found" in done.stdout:
            return None
        raise HubtoolError(
            f"{program} failed (code {done.returncode}) for {server}",
            where=Where(file, key=key),
            hint=f"try it by hand: echo {server} | {program} get",
        )
    try:
        answer = json.loads(done.stdout)
        user, secret = answer["Username"], answer["Secret"]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise HubtoolError(f"{program} gave no usable answer for {server}", where=Where(file, key=key)) from None
    return _credentials(str(user), str(secret), f"{program} ({file})")


def _credentials(user: str, secret: str, source: str) -> Credentials | None:
    if not secret:
        return None
    if user == "<token>":
        return Credentials("", identity_token=secret, source=source)
    return Credentials(user, secret, source=source)


def _from_auths(document: Mapping[str, Any], file: Path, reference: ImageReference) -> Credentials | None:
    auths = _section(document, file, "auths")
    for key in _keys(reference):
        if key not in auths:
            continue
        entry = auths[key]
        if not isinstance(entry, dict):
            raise _broken(file, "expected a JSON object", key=f"auths.{key}")
        found = _from_entry(entry, file, key)
        if found is not None:
            return found
    return None


def _from_entry(entry: Mapping[str, Any], file: Path, key: str) -> Credentials | None:
    if entry.get("identitytoken"):
        return Credentials("", identity_token=str(entry["identitytoken"]), source=str(file))
    if entry.get("username") and entry.get("password"):
        return Credentials(str(entry["username"]), str(entry["password"]), source=str(file))
    if not entry.get("auth"):
        return None
    try:
        user, colon, password = base64.b64decode(str(entry["auth"]), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        colon = ""
    if not colon:
        raise _broken(file, "not the base64 of user:password", key=f"auths.{key}.auth") from None
    return _credentials(user, password.rstrip("\0"), str(file))
