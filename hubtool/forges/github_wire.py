"""What travels to GitHub and back: PyGithub's client, plain requests for what it lacks, and GraphQL; all with the
same manners: waits as long as GitHub says, tries again what passes, and errors in one voice."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import urlsplit

import github
import jwt
import requests
from github.Repository import Repository
from requests.adapters import HTTPAdapter

from hubtool.errors import HubtoolError
from hubtool.forges import GITHUB_API, github_auth
from hubtool.forges.github_auth import APP_ID, APP_KEY, NEEDED, NEEDS

FIND = "find the App's installation on"
ATTEMPTS = 5
LONGEST_WAIT = 120.0
TIMEOUT = 30
AT_ONCE = 4

# What GraphQL says of a mutation, or of its input's type, that the server does not know.
_UNKNOWN = ("undefinedField", "variableRequiresValidType", "undefinedType")
# The statuses that REST has for what GraphQL answers with 200.
_STATUS = {"NOT_FOUND": 404, "FORBIDDEN": 403, "RATE_LIMITED": 429, "RATE_LIMIT": 429}

T = TypeVar("T")


class Exists(Exception):
    """There is a pull request of these branches already."""


class UnknownMutation(Exception):
    """The server is too old for it."""


def api_url(given: str | None) -> str:
    """The API's address: GIVEN, else $GITHUB_API_URL (which Actions sets), else github.com's."""
    return (given or os.environ.get("GITHUB_API_URL") or GITHUB_API).rstrip("/")


def web_host(api: str) -> str:
    """The host of the web pages and of git. github.com's API (and ghe.com's) has a host of its own, api.HOST;
    Enterprise servers have theirs under HOST/api/v3."""
    url = urlsplit(api)
    return url.netloc if url.path.startswith("/api/") else url.netloc.removeprefix("api.")


class Wire:
    """The API at ``api``, as whoever may work on ``repository``. ``pause`` is the first wait, in seconds, after a
    failure that passes."""

    def __init__(self, api: str, repository: str, pause: float) -> None:
        self.api = api
        self.repository = repository
        self.pause = pause

    @cached_property
    def auth(self) -> github.Auth.Token:
        """A token: given, or the one that the App's installation on the repository gets for an hour."""
        app = github_auth.app_id()
        if not app:
            return github.Auth.Token(github_auth.user_token())
        integration = github.GithubIntegration(
            auth=github.Auth.AppAuth(app, github_auth.private_key()), base_url=self.api, timeout=TIMEOUT, retry=0
        )
        owner, name = self.repository.split("/")
        try:
            installation = self.call(FIND, lambda: integration.get_repo_installation(owner, name))
            granted = self.call(
                "get a token for", lambda: integration.get_access_token(installation.id, permissions=NEEDED)
            )
        except (ValueError, jwt.PyJWTError) as error:
            raise HubtoolError(f"${APP_KEY} is not a private key", hint="a PEM file, as GitHub gave it out") from error
        return github.Auth.Token(granted.token)

    @cached_property
    def client(self) -> github.Github:
        return github.Github(
            auth=self.auth,
            base_url=self.api,
            timeout=TIMEOUT,
            retry=0,
            per_page=100,
            seconds_between_requests=None,
            seconds_between_writes=None,
        )

    @cached_property
    def home(self) -> Repository:
        """What GitHub says of the repository; its name may be a newer one."""
        return self.call("read", lambda: self.client.get_repo(self.repository))

    # ---- requests

    def get(self, doing: str, path: str, absent: Collection[int] = ()) -> Any:
        """The answer to GET; None where its status is among ABSENT. May be called from several threads."""
        return self._send(doing, "GET", self.api + path, None, absent)

    def post(self, doing: str, path: str, body: Mapping[str, Any]) -> Any:
        return self._send(doing, "POST", self.api + path, body)

    def graphql(self, doing: str, query: str, variables: Mapping[str, Any]) -> Any:
        """What QUERY gives; UnknownMutation where the server does not know it."""
        address = self.api.removesuffix("/v3") + "/graphql"
        answer = self._send(doing, "POST", address, {"query": query, "variables": variables})
        if not isinstance(answer, dict) or not answer.get("data"):
            raise HubtoolError(f"{address} gave no answer to what was asked", hint="run the same command again")
        return answer["data"]

    @cached_property
    def _session(self) -> requests.Session:
        session = requests.Session()
        session.auth = _Token(self.auth.token)
        for scheme in ("https://", "http://"):
            session.mount(scheme, HTTPAdapter(pool_maxsize=AT_ONCE))
        return session

    def _send(
        self, doing: str, method: str, url: str, body: Mapping[str, Any] | None, absent: Collection[int] = ()
    ) -> Any:
        session = self._session  # made before any thread needs it

        def send() -> Any:
            headers, follow = {"Accept": "application/vnd.github+json"}, method == "GET" and 301 not in absent
            answer = session.request(method, url, json=body, headers=headers, timeout=TIMEOUT, allow_redirects=follow)
            if answer.status_code in absent:
                return None
            data = _json(answer)
            if answer.status_code >= 300:
                raise github.GithubException(answer.status_code, data, dict(answer.headers))
            _raise_errors(data, dict(answer.headers))
            return data

        return self.call(doing, send)

    # ---- manners

    def call(self, doing: str, call: Callable[[], T]) -> T:
        """Do CALL; again, a few times, where GitHub says that it passes and for how long it lasts. DOING goes
        before the repository's name in errors."""
        for attempt in range(ATTEMPTS):
            last = attempt + 1 == ATTEMPTS
            try:
                return call()
            except github.GithubException as error:
                wait = _wait(error, self.pause * 2**attempt)
                if wait is None or wait > LONGEST_WAIT or last:
                    raise self._explain(doing, error, wait) from error
            except requests.RequestException as error:
                wait = self.pause * 2**attempt
                if last:
                    raise HubtoolError(f"{self.api} can't be reached: {type(error).__name__}") from error
            time.sleep(wait)
        raise AssertionError("unreachable")

    def _explain(self, doing: str, error: github.GithubException, wait: float | None) -> Exception:
        said, status, who = _said(error), error.status, github_auth.who()
        if wait is not None and status in (403, 429):
            return HubtoolError(
                f"GitHub's rate limit is used up for {wait:.0f} s more", hint="run the same command again then"
            )
        if status == 401:
            return HubtoolError(f"GitHub does not accept {who}: {said}", hint="is it expired or revoked?")
        if status == 422 and "already exists" in said:
            return Exists()
        if status == 422 and "permissions requested" in said:
            return HubtoolError(f"the GitHub App ${APP_ID} lacks permissions on {self.repository}", hint=NEEDS)
        if doing == FIND and status == 404:
            return HubtoolError(f"the GitHub App ${APP_ID} is not installed on {self.repository}", hint=NEEDS)
        if status == 403 or (status == 404 and doing != "read"):
            return HubtoolError(f"no permission to {doing} {self.repository} with {who}: {said}", hint=NEEDS)
        if status == 404:
            return HubtoolError(f"no repository {self.repository} on {web_host(self.api)} that {who} may see")
        return HubtoolError(f"GitHub refused to {doing} {self.repository} ({status}): {said}")


class _Token(requests.auth.AuthBase):
    """Signs requests, and keeps requests from looking for a login in ~/.netrc."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"token {self._token}"
        return request


def _json(answer: requests.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        if answer.status_code < 300:
            raise
        return {"message": answer.text[:300] or answer.reason}


def _raise_errors(data: Any, headers: dict[str, str]) -> None:
    """GraphQL's errors, which come with status 200, as REST would have them."""
    errors = data.get("errors") if isinstance(data, dict) else None
    if not isinstance(errors, list) or not errors:
        return
    found = [one for one in errors if isinstance(one, dict)]
    if any((one.get("extensions") or {}).get("code") in _UNKNOWN for one in found):
        raise UnknownMutation
    status = next((_STATUS[one["type"]] for one in found if one.get("type") in _STATUS), 422)
    raise github.GithubException(status, {"errors": errors}, headers)


def _wait(error: github.GithubException, pause: float) -> float | None:
    """Seconds until a try may succeed, None where it won't: GitHub's words (docs.github.com, "Rate limits for
    the REST API") in retry-after and x-ratelimit-reset; a minute where a secondary limit says neither."""
    headers = {key.lower(): value for key, value in (error.headers or {}).items()}
    if error.status >= 500:
        return pause
    if error.status not in (403, 429):
        return None
    after = headers.get("retry-after", "")
    if after.isdigit():
        return float(after)
    if headers.get("x-ratelimit-remaining") == "0" and headers.get("x-ratelimit-reset", "").isdigit():
        return max(0.0, float(headers["x-ratelimit-reset"]) - time.time()) + 1
    return 60.0 if error.status == 429 or "rate limit" in _said(error).lower() else None


def _said(error: github.GithubException) -> str:
    """GitHub's own words, in one line of bounded length."""
    data = error.data if isinstance(error.data, dict) else {"message": str(error.data or "")}
    parts = [str(data.get("message", ""))]
    details = data.get("errors")
    for detail in details if isinstance(details, list) else []:
        parts.append(
            str(detail.get("message") or detail.get("code") or "") if isinstance(detail, dict) else str(detail)
        )
    return " ".join("; ".join(part for part in parts if part).split())[:300]
