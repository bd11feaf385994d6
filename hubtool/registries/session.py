"""Requests to one repository of a registry: logged in, redirected with care, refusals explained."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import NoReturn

import httpx

from hubtool.reference import ImageReference
from hubtool.registries.access import Access, Refused
from hubtool.registries.model import Credentials, Registry, RegistryError
from hubtool.registries.wire import USUAL, Answer, Content, Patience, Wire

PULL, PUSH = "pull", "pull,push"
CANCEL = "pull,push,delete"  # distribution wants "delete" even to take back an upload that has just begun
REDIRECTS = 5
DOCKER_HUB_API = "registry-1.docker.io"


class Session:
    """Requests about the repository of REFERENCE. Every error it raises is a RegistryError without secrets."""

    def __init__(
        self,
        reference: ImageReference,
        registry: Registry,
        credentials: Credentials | None,
        *,
        pause: Callable[[float], None] = time.sleep,
        patience: Patience = USUAL,
    ) -> None:
        self.reference = reference.normalized()
        self.registry = registry
        self.credentials = credentials
        host = self.reference.registry
        self.wire = Wire(DOCKER_HUB_API if host == "docker.io" else host, pause=pause, patience=patience)
        self.access = Access(self.wire, credentials)
        self._worked = False  # whether the credentials did
        self._lock = threading.Lock()
        self.begun: list[httpx.URL] = []  # uploads that stand open, with nothing in them
        self.wants_length = False  # whether the registry took no body without a Content-Length

    def close(self) -> None:
        self.wire.close()

    def url(self, path: str) -> httpx.URL:
        """The address of PATH (like "manifests/TAG") below the repository."""
        return self.wire.base.copy_with(path=f"/v2/{self.reference.repository}/{path}")

    def request(
        self,
        method: str,
        url: httpx.URL,
        *,
        actions: str = PULL,
        headers: Mapping[str, str] | None = None,
        content: Content | None = None,
        retry: bool = True,
        stream: bool = False,
        beside: str = "",
    ) -> Answer:
        """Send a request, log in where asked to, follow the redirects of GET and HEAD. BESIDE is another repository
        of this registry that has to be readable; STREAM as in Wire.exchange.

        Returns the answer whatever its status, but a refusal of the credentials (401) raises.
        """
        scope = f"repository:{self.reference.repository}:{actions}"
        scope += f" repository:{beside}:{PULL}" if beside else ""
        send = partial(self.wire.exchange, method, content=content, retry=retry, stream=stream)
        for _ in range(REDIRECTS + 1):
            answer = self._logged_in(send, url, scope, dict(headers or {}))
            if answer.status not in (301, 302, 303, 307, 308) or method not in ("GET", "HEAD"):
                return answer
            url = self.location(answer)
        raise RegistryError(f"{self.wire.host} redirects without end")

    def location(self, answer: Answer) -> httpx.URL:
        """The absolute address in an answer's Location header.

        A registry behind a proxy that ends TLS often names itself with http://: its own address is used then.
        """
        try:
            url = answer.url.join(answer.headers["Location"])
        except (KeyError, httpx.InvalidURL, ValueError) as error:
            raise RegistryError(f"{self.wire.host} named no usable Location", status=answer.status) from error
        base = self.wire.base
        if url.host == base.host and url.scheme == "http" and base.scheme == "https":
            url = url.copy_with(scheme="https", port=base.port)
        if not self.wire.allowed(url):
            raise RegistryError(f"{self.wire.host} leads to {url.netloc.decode()}, which is not asked without TLS")
        return url

    def _logged_in(self, send: Callable[..., Answer], url: httpx.URL, scope: str, headers: dict[str, str]) -> Answer:
        if (url.scheme, url.netloc) != (self.wire.base.scheme, self.wire.base.netloc):
            return send(url, headers=headers)
        actions = scope.split()[0].rpartition(":")[2]
        used = self.credentials
        try:
            answer = self._authorized(send, url, scope, headers)
            if answer.status == 401 and self._replace(used):
                answer = self._authorized(send, url, scope, headers)
        except Refused as refused:
            if not self._replace(used):
                raise self._not_logged_in(f"for {self.reference.name}", refused.status) from refused
            return self._logged_in(send, url, scope, headers)
        if answer.status == 401:
            self.fail(answer, actions)
        self._worked = True
        return answer

    def _authorized(self, send: Callable[..., Answer], url: httpx.URL, scope: str, headers: dict[str, str]) -> Answer:
        sent = self.access.header(scope)
        answer = send(url, headers=_with(headers, sent))
        renewed = self.access.answer(answer, scope, sent) if answer.status == 401 else None
        return send(url, headers=_with(headers, renewed)) if renewed else answer

    def _replace(self, used: Credentials | None) -> bool:
        """Look for others than the USED credentials, which were good before: a cloud's end after an hour."""
        with self._lock:
            if self.credentials == used and self._worked and used is not None:
                self._worked = False  # nor are others looked for before these were good
                self.credentials = self.registry.credentials(self.reference) or used
                self.access.credentials = self.credentials
            return self.credentials != used

    def fail(self, answer: Answer, actions: str = PULL) -> NoReturn:
        """Raise what an answer that was not expected means, and what to do about it."""
        said = self._said(answer)
        if answer.url.netloc != self.wire.base.netloc:
            raise RegistryError(
                f"{answer.url.netloc.decode()}, where {self.wire.host} sends us, answered {answer.status}",
                status=answer.status,
            )
        doing = "push to" if "push" in actions else "read"
        scoped = "insufficient_scope" in answer.headers.get("WWW-Authenticate", "")
        if answer.status == 401 and not (self.credentials and scoped):
            raise self._not_logged_in(f"to {doing} {self.reference.name}", 401)
        if answer.status in (401, 403):
            who = f" as {self.credentials.username}" if self.credentials and self.credentials.username else ""
            raise RegistryError(
                f"may not {doing} {self.reference.name}{who}: {self.wire.host} answered {answer.status}{said}",
                status=answer.status,
                hint=self.registry.hint("push" if self.credentials and "push" in actions else "login", self.reference),
            )
        if answer.status == 404:
            raise RegistryError(
                f"{self.wire.host} has no repository {self.reference.repository}{said}",
                status=404,
                hint=self.registry.hint("missing", self.reference),
            )
        hint = "it asks for fewer requests; run the same command again later" if answer.status == 429 else None
        raise RegistryError(f"{self.wire.host} answered {answer.status}{said}", status=answer.status, hint=hint)

    def _not_logged_in(self, what_for: str, status: int | None) -> RegistryError:
        host = self.reference.registry
        message = (
            f"{host} did not take the credentials from {self.credentials.source} {what_for}"
            if self.credentials
            else f"{host} asks for a login {what_for}"
        )
        return RegistryError(message, status=status, hint=self.registry.hint("login", self.reference))

    def _said(self, answer: Answer) -> str:
        """The registry's own words, on one line, with nothing secret in them; "" where it said nothing."""
        try:
            first = json.loads(answer.body)["errors"][0]
            text = f"{first.get('code', '')}: {first.get('message', '')}".strip(": ")
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return ""
        text = re.sub(r"[^\x20-\x7e]+", " ", text)[:200]
        for secret in self.credentials.secrets() if self.credentials else ():
            text = text.replace(secret, "***")
        return f" ({text})" if text else ""


def _with(headers: dict[str, str], authorization: str | None) -> dict[str, str]:
    return {**headers, "Authorization": authorization} if authorization else headers
