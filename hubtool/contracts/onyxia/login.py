"""How a person gets into an IDE, asked from outside: is it open, and does a password let somebody in?

code-server: GET / leads to /login; POST /login with the form field password gives a cookie (src/node/routes/login.ts).
Jupyter: the REST API wants a token (jupyter-server.readthedocs.io, "Security in the Jupyter Server").
RStudio: GET / leads to /auth-sign-in; the form sends user and password encrypted with the key that /auth-public-key
gives (src/cpp/server/auth in rstudio/rstudio).
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx

HOPS = 10
LOGIN_PAGES = ("/login", "/auth-sign-in")


@dataclass(frozen=True)
class Login:
    """How an IDE is asked: ``is_open`` says whether the client is in, ``enter`` sends a user's name and a password."""

    is_open: Callable[[httpx.Client], bool]
    enter: Callable[[httpx.Client, str, str], None]


def gets_in(login: Login, base: str, user: str, password: str | None) -> bool:
    """Whether somebody new at BASE with PASSWORD (None: without any) gets into the IDE.

    Raises httpx.HTTPError where there is no answer.
    """
    with httpx.Client(base_url=base, timeout=30, trust_env=False) as http:
        if password is not None:
            login.enter(http, user, password)
        return login.is_open(http)


def follow(http: httpx.Client, path: str = "/") -> httpx.Response:
    """The answer that PATH leads to. Redirects are followed on this very service, whatever host they name: to the
    outside it has the name of its proxy."""
    for _ in range(HOPS):
        answer = http.get(path)
        if not answer.is_redirect:
            break
        target = urlsplit(urljoin(str(answer.url), answer.headers["location"]))
        path = target.path + (f"?{target.query}" if target.query else "")
    return answer


def _shows_more_than_a_login_page(http: httpx.Client) -> bool:
    answer = follow(http)
    return answer.status_code == 200 and not answer.url.path.rstrip("/").endswith(LOGIN_PAGES)


def _post_password(http: httpx.Client, user: str, password: str) -> None:
    http.post("/login", data={"password": password, "base": ".", "href": str(http.base_url)})


def _lists_files(http: httpx.Client) -> bool:
    return http.get("/api/contents").status_code == 200


def _take_token(http: httpx.Client, user: str, password: str) -> None:
    http.headers["Authorization"] = f"token {password}"


class _Form(HTMLParser):
    """The fields of a page's forms that are there already."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        if tag == "input" and told.get("name"):
            self.fields[str(told["name"])] = told.get("value") or ""


def _sign_in(http: httpx.Client, user: str, password: str) -> None:
    form = _Form()
    form.feed(follow(http, "/auth-sign-in").text)
    key = http.get("/auth-public-key").text
    who = {"username": user, "password": password}
    if re.fullmatch(r"[0-9A-Fa-f]+:[0-9A-Fa-f]+", key.strip()):
        who = {"v": encrypted(f"{user}\n{password}", *key.strip().split(":"))}
    http.post("/auth-do-sign-in", data={**form.fields, "persist": "0", "clientPath": "/auth-sign-in", **who})


def encrypted(text: str, exponent: str, modulus: str) -> str:
    """TEXT for the RSA key of hexadecimal EXPONENT and MODULUS, PKCS #1 v1.5 (RFC 8017, 7.2.1), in base64."""
    number = int(modulus, 16)
    size = (number.bit_length() + 7) // 8
    message = text.encode()
    padding = bytes(secrets.randbelow(255) + 1 for _ in range(size - 3 - len(message)))
    block = int.from_bytes(b"\0\2" + padding + b"\0" + message, "big")
    return base64.b64encode(pow(block, int(exponent, 16), number).to_bytes(size, "big")).decode()


LOGINS: Mapping[str, Login] = {
    "code-server": Login(_shows_more_than_a_login_page, _post_password),
    "jupyter": Login(_lists_files, _take_token),
    "rstudio": Login(_shows_more_than_a_login_page, _sign_in),
}
