"""HTTP to one registry: plain or TLS, retries with back-off, answers of bounded size."""

from __future__ import annotations

import email.utils
import ipaddress
import os
import random
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from hubtool import __version__
from hubtool.console import say
from hubtool.registries.model import RegistryError

ATTEMPTS = 5
FIRST_PAUSE = 0.5  # seconds; doubles with each attempt
LONGEST_PAUSE = 60.0  # seconds; a registry that asks for more is not waited for
SILENT_ATTEMPTS = 2
BODY_LIMIT = 8 * 1024 * 1024  # bytes; manifests may have 4 MiB (OCI distribution spec v1.1, "Pushing Manifests")
RETRIED = frozenset({408, 429, 500, 502, 503, 504})

Content = Callable[[], Iterator[bytes]]


@dataclass(frozen=True)
class Patience:
    """Seconds without a sign of life after which a registry is taken for silent."""

    connect: float = 15
    other: float = 30
    storing: float = 300  # until the answer to PUT and PATCH: a registry first stores a large blob


USUAL = Patience()


class Dropped(RegistryError):
    """The connection broke or never came about; trying again may help."""


class Silent(Dropped):
    """No answer came in time; trying again helps rarely, and costs that time again."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, whole but for where ``open`` holds one whose body is still to be read."""

    status: int
    headers: httpx.Headers
    body: bytes
    url: httpx.URL
    open: httpx.Response | None = None


def insecure_allowed(host: str) -> bool:
    """Whether plain HTTP is acceptable to HOST[:PORT]: loopback, and hosts in $HUBTOOL_INSECURE_REGISTRIES."""
    listed = os.environ.get("HUBTOOL_INSECURE_REGISTRIES", "").replace(",", " ").split()
    name = httpx.URL(f"//{host}").host
    return is_loopback(name) or host in listed or name in listed


def is_loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def tls_context(host: str) -> ssl.SSLContext:
    """Trust of $SSL_CERT_FILE (and $SSL_CERT_DIR) where set, else of the system and of certifi; in either case
    also of /etc/docker/certs.d/HOST/*.crt, where Docker keeps the CA of a private registry."""
    context = ssl.create_default_context()
    written = os.environ.get("SSL_CERT_FILE")
    if written and not Path(written).is_file():
        raise RegistryError(f"$SSL_CERT_FILE names {written}, which is not there")
    if not written and not os.environ.get("SSL_CERT_DIR"):
        import certifi

        context.load_verify_locations(certifi.where())
    for extra in sorted(Path("/etc/docker/certs.d", host).glob("*.crt")) if host else ():
        context.load_verify_locations(extra)
    return context


class Wire:
    """Sends requests to the registry HOST[:PORT]; safe to use from several threads.

    ``pause`` waits for a number of seconds.
    """

    def __init__(self, host: str, *, pause: Callable[[float], None] = time.sleep, patience: Patience = USUAL) -> None:
        self.host = host
        self.pause = pause
        self.patience = patience
        loopback = is_loopback(httpx.URL(f"//{host}").host)
        self.http = httpx.Client(
            verify=tls_context(host),
            trust_env=not loopback,  # a proxy can't reach this machine's loopback
            headers={"User-Agent": f"hubtool/{__version__}", "Accept-Encoding": "identity"},
        )
        self.base = httpx.URL(f"{self._scheme()}://{host}")

    def close(self) -> None:
        self.http.close()

    def _scheme(self) -> str:
        if not insecure_allowed(self.host):
            return "https"
        try:
            self.http.head(f"https://{self.host}/v2/", timeout=5)
        except httpx.TransportError as error:
            cause = _ssl_error(error)
            return "https" if isinstance(cause, ssl.SSLCertVerificationError) else "http"
        return "https"

    def allowed(self, url: httpx.URL) -> bool:
        """Whether URL may be asked: HTTPS, or a host where plain HTTP is acceptable; and a port that can be."""
        if url.port is not None and not 0 < url.port < 65536:
            return False
        return url.scheme == "https" or (url.scheme == "http" and insecure_allowed(url.netloc.decode()))

    def exchange(
        self,
        method: str,
        url: httpx.URL,
        *,
        headers: Mapping[str, str] | None = None,
        content: Content | None = None,
        retry: bool = True,
        stream: bool = False,
    ) -> Answer:
        """One request and its answer. With RETRY, dropped connections and the statuses of RETRIED are tried
        again a few times, as slowly as Retry-After asks; the last answer is returned whatever it is.
        With STREAM the answer to a GET that went well is left open, its body for the caller to read and close.
        Raises Dropped for a connection that broke, RegistryError for what will not get better."""
        for attempt in range(1, ATTEMPTS + 1):
            last = attempt == ATTEMPTS or not retry
            try:
                answer = self._once(method, url, headers or {}, content, stream)
            except Dropped as dropped:
                if last or (isinstance(dropped, Silent) and attempt >= SILENT_ATTEMPTS):
                    raise
                say(f"{dropped.message}; trying again")
                self.wait(attempt)
                continue
            if answer.status not in RETRIED or last:
                return answer
            self.wait(attempt, answer)
        raise AssertionError("unreachable")

    def wait(self, attempt: int, answer: Answer | None = None) -> None:
        """Back off before attempt ATTEMPT + 1, as long as the answer's Retry-After says, if it says so."""
        asked = retry_after(answer.headers) if answer else None
        if asked is not None and asked > LONGEST_PAUSE:
            raise RegistryError(
                f"{self.host} asks to come back in {asked:.0f} s (Retry-After)",
                status=answer.status if answer else None,
                hint="run the same command again then",
            )
        own = FIRST_PAUSE * 2 ** (attempt - 1) * random.uniform(0.8, 1.2)
        seconds = own if asked is None else asked
        if answer is not None:
            say(f"{self.host} answered {answer.status}; trying again in {seconds:.0f} s")
        self.pause(seconds)

    def _once(
        self, method: str, url: httpx.URL, headers: Mapping[str, str], content: Content | None, stream: bool
    ) -> Answer:
        other, storing = self.patience.other, self.patience.storing
        read = storing if method in ("PUT", "PATCH") else other
        timeout = httpx.Timeout(other, connect=self.patience.connect, read=read, pool=None)
        body = content() if content else None
        request = self.http.build_request(method, url, headers=dict(headers), content=body, timeout=timeout)
        try:
            response = self.http.send(request, stream=True)
            if stream and response.status_code in (200, 206):
                return Answer(response.status_code, response.headers, b"", url, response)
            try:
                answered = self._read(response)
            finally:
                response.close()
        except (httpx.TransportError, httpx.StreamError) as error:
            raise self.explain(error, url) from error
        except (httpx.InvalidURL, httpx.DecodingError) as error:
            raise RegistryError(f"{url.host} sent an answer that can't be read") from error
        return Answer(response.status_code, response.headers, answered, url)

    def _read(self, response: httpx.Response) -> bytes:
        body = b""
        for piece in response.iter_raw():
            body += piece
            if len(body) > BODY_LIMIT:
                raise RegistryError(f"{self.host} sent an answer of more than {BODY_LIMIT} bytes")
        return body

    def explain(self, error: Exception, url: httpx.URL) -> RegistryError:
        """What to raise for an error of a connection with URL."""
        cause = _ssl_error(error)
        if isinstance(cause, ssl.SSLCertVerificationError):
            return RegistryError(
                f"the certificate of {url.host} is not trusted: {cause.verify_message}",
                hint="name the PEM file of its certificate authority in $SSL_CERT_FILE, or put it into "
                f"/etc/docker/certs.d/{url.netloc.decode()}/ca.crt",
            )
        if cause is not None and "WRONG_VERSION_NUMBER" in str(cause):
            return RegistryError(
                f"{url.host} does not speak TLS",
                hint=f"if plain HTTP is meant: HUBTOOL_INSECURE_REGISTRIES={url.netloc.decode()}",
            )
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
            return Dropped(f"{url.netloc.decode()} can't be reached: {error}", hint="check the name, network and proxy")
        hint = "run the same command again; it sends what is missing"
        if isinstance(error, httpx.ReadTimeout | httpx.WriteTimeout):
            return Silent(f"{url.netloc.decode()} did not answer in time", hint=hint)
        return Dropped(f"{url.netloc.decode()} broke the connection", hint=hint)


def retry_after(headers: httpx.Headers) -> float | None:
    """The seconds that a Retry-After header asks for (RFC 9110, 10.2.3); None where there is none to read."""
    written = headers.get("Retry-After", "").strip()
    if written.isdecimal():
        return float(written[:9])
    try:
        moment = email.utils.parsedate_to_datetime(written)
        return max(0.0, moment.timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None


def _ssl_error(error: BaseException) -> ssl.SSLError | None:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLError):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None
