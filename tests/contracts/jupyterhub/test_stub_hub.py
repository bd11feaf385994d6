"""The stub of a hub answers as a hub's API does."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import HTTPServer
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from hubtool.contracts.jupyterhub.stub_hub import Hub, handler_of

CLIENT, CALLBACK = "jupyterhub-user-ada", "/user/ada/oauth_callback"
SAID = {
    "user": "ada",
    "version": "5.4.4",
    "token": "own",
    "client_id": CLIENT,
    "callback": CALLBACK,
    "people": {"own": {"name": "ada"}, "other": {"name": "bob"}},
}
ASK = {"client_id": CLIENT, "redirect_uri": CALLBACK, "response_type": "code", "state": "s 1"}


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    hub = Hub(json.loads(json.dumps(SAID)))
    server = HTTPServer(("127.0.0.1", 0), handler_of(hub))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with httpx.Client(base_url=f"http://127.0.0.1:{server.server_port}", trust_env=False) as client:
        yield client
    server.shutdown()
    server.server_close()


def code_for(http: httpx.Client, **more: str) -> str:
    answer = http.get("/hub/api/oauth2/authorize", params={**ASK, **more})
    assert answer.status_code == 302
    sent = parse_qs(urlsplit(answer.headers["location"]).query)
    assert sent["state"] == ["s 1"]
    return sent["code"][0]


def redeem(http: httpx.Client, code_: str, **changed: str) -> httpx.Response:
    form = {"client_id": CLIENT, "client_secret": "own", "grant_type": "authorization_code", "code": code_}
    return http.post("/hub/api/oauth2/token", data={**form, "redirect_uri": CALLBACK, **changed})


def test_every_answer_has_the_hubs_version(http: httpx.Client) -> None:
    answers = [http.get("/hub/api"), http.get("/hub/api/"), http.get("/hub/api/nothing")]
    assert [answer.status_code for answer in answers] == [200, 200, 404]
    assert {answer.headers["X-JupyterHub-Version"] for answer in answers} == {"5.4.4"}
    assert answers[0].json() == {"version": "5.4.4"}


def test_a_token_tells_whose_it_is(http: httpx.Client) -> None:
    told = {token: http.get("/hub/api/user", headers={"Authorization": f"token {token}"}) for token in ("other", "no")}
    assert told["other"].json() == {"name": "bob"}
    assert told["no"].status_code == 403


@pytest.mark.parametrize(
    ("token", "body", "code"),
    [("own", '{"servers": {"": {"last_activity": "now"}}}', 200), ("other", '{"servers": {}}', 403), ("own", "[", 400)],
)
def test_only_the_server_itself_says_that_it_is_in_use(http: httpx.Client, token: str, body: str, code: int) -> None:
    headers = {"Authorization": f"token {token}"}
    assert http.post("/hub/api/users/ada/activity", content=body, headers=headers).status_code == code


def test_a_code_gives_one_token_of_the_user(http: httpx.Client) -> None:
    code = code_for(http)
    token = redeem(http, code).json()["access_token"]
    assert http.get("/hub/api/user", headers={"Authorization": f"Bearer {token}"}).json() == {"name": "ada"}
    assert redeem(http, code).status_code == 400


@pytest.mark.parametrize("changed", [{"client_id": "x"}, {"client_secret": "x"}, {"redirect_uri": "x"}, {"code": "x"}])
def test_a_code_is_not_for_others(http: httpx.Client, changed: dict[str, str]) -> None:
    assert redeem(http, code_for(http), **changed).status_code == 400


@pytest.mark.parametrize("changed", [{"client_id": "x"}, {"redirect_uri": "https://x.example"}, {"response_type": "x"}])
def test_nobody_else_gets_a_code(http: httpx.Client, changed: dict[str, str]) -> None:
    assert http.get("/hub/api/oauth2/authorize", params={**ASK, **changed}).status_code == 400


def test_a_code_with_a_challenge_wants_its_verifier(http: httpx.Client) -> None:
    challenge = base64.urlsafe_b64encode(hashlib.sha256(b"secret").digest()).decode().rstrip("=")
    more = {"code_challenge": challenge, "code_challenge_method": "S256"}
    assert redeem(http, code_for(http, **more), code_verifier="other").status_code == 400
    assert redeem(http, code_for(http, **more), code_verifier="secret").status_code == 200
