"""Logging in as a registry asks: HTTP Basic, or the token flow
(distribution.github.io/distribution/spec/auth/token, .../spec/auth/oauth)."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

import httpx

from hubtool.registries.model import Credentials, RegistryError
from hubtool.registries.wire import Answer, Wire

_PARAMETER = re.compile(r'([a-zA-Z_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')
_TOKEN = re.compile(r"[\x21-\x7e]+\Z")
DEFAULT_LIFE = 60  # seconds, where the token server does not say
EARLY = 10  # seconds before its end that a token is no longer used


class Refused(RegistryError):
    """The registry did not take the credentials, or wants some and there are none."""


@dataclass(frozen=True)
class Token:
    """An Authorization header's value and the monotonic time it ends at."""

    header: str
    ends: float

    def good(self) -> bool:
        return time.monotonic() < self.ends


class Access:
    """The Authorization headers for one registry, by scope; safe to use from several threads.

    A scope may be several, parted by spaces.
    """

    def __init__(self, wire: Wire, credentials: Credentials | None) -> None:
        self.wire = wire
        self.credentials = credentials
        self._tokens: dict[str, Token] = {}
        self._challenge: dict[str, str] | None = None
        self._basic_asked = False
        self._lock = threading.Lock()

    def header(self, scope: str) -> str | None:
        """The header to send for SCOPE; None as long as nothing is known. A token near its end is renewed."""
        with self._lock:
            token = self._tokens.get(scope)
            if token and token.good():
                return token.header
            if self._basic_asked and self.credentials:
                return self.credentials.basic()
            if self._challenge is None:
                return None
            return self._renew(scope).header

    def answer(self, refusal: Answer, scope: str, sent: str | None) -> str | None:
        """A new header after the 401 REFUSAL of a request that had the header SENT; None where that very
        header is all there is."""
        with self._lock:
            token = self._tokens.get(scope)
            if token and token.good() and token.header != sent:
                return token.header  # another thread was faster
            challenges = read_challenges(refusal.headers)
            if "bearer" in challenges:
                self._challenge = challenges["bearer"]
                return self._renew(scope).header
            return self._basic(sent) if "basic" in challenges else None

    def _basic(self, sent: str | None) -> str | None:
        if self.credentials is None or self.credentials.identity_token:
            return None
        self._basic_asked = True
        header = self.credentials.basic()
        return header if header != sent else None

    def _renew(self, scope: str) -> Token:
        challenge = self._challenge or {}
        realm = self._realm(challenge.get("realm", ""))
        answer = self._ask(realm, challenge.get("service", ""), scope)
        if answer.status in (401, 403):
            raise Refused(f"{realm.host} refused to log in", status=answer.status)
        if answer.status != 200:
            raise RegistryError(f"{realm.host} answered {answer.status} instead of a token", status=answer.status)
        token = _read_token(answer, realm.host)
        self._tokens[scope] = token
        return token

    def _realm(self, written: str) -> httpx.URL:
        try:
            realm = httpx.URL(written)
        except httpx.InvalidURL as error:
            raise RegistryError(f"{self.wire.host} names a token server that is no URL") from error
        if not realm.host or not self.wire.allowed(realm):
            raise RegistryError(f"{self.wire.host} wants the credentials sent to '{realm.host}' without TLS")
        return realm

    def _ask(self, realm: httpx.URL, service: str, scope: str) -> Answer:
        known = self.credentials
        named = {"service": service} if service else {}
        if known is None or not known.identity_token:
            headers = {"Authorization": known.basic()} if known else {}
            return self.wire.exchange(
                "GET", realm.copy_merge_params({"scope": scope.split(), **named}), headers=headers
            )
        form = {"grant_type": "refresh_token", "client_id": "hubtool", "refresh_token": known.identity_token}
        form |= {"scope": scope, **named}
        body = urlencode(form).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": str(len(body))}
        return self.wire.exchange("POST", realm, headers=headers, content=lambda: _once(body))


def _once(body: bytes) -> Iterator[bytes]:
    yield body


def _read_token(answer: Answer, host: str) -> Token:
    try:
        data = json.loads(answer.body)
        value = data.get("token") or data.get("access_token")
        life = data.get("expires_in") or DEFAULT_LIFE
        if not isinstance(value, str) or not _TOKEN.match(value):
            raise ValueError("no token")
        return Token(f"Bearer {value}", time.monotonic() + max(1.0, float(life) - EARLY))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise RegistryError(f"{host} sent no usable token") from error


def read_challenges(headers: httpx.Headers) -> dict[str, dict[str, str]]:
    """The WWW-Authenticate challenges of an answer: lower-case scheme to its parameters."""
    found: dict[str, dict[str, str]] = {}
    for line in headers.get_list("WWW-Authenticate"):
        for scheme, rest in re.findall(r"(?i)\b(basic|bearer)\b(.*?)(?=,\s*(?:basic|bearer)\s|$)", line):
            pairs = _PARAMETER.findall(rest)
            found.setdefault(scheme.lower(), {key.lower(): quoted or plain for key, quoted, plain in pairs})
    return found
