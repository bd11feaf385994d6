from __future__ import annotations

import time
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from hubtool.errors import HubtoolError
from hubtool.forges.checkout import Checkout
from tests.forges.conftest import FILE, NAME, PROPOSAL, forge_at
from tests.forges.github_server import ALL, App, GitHubServer
from tests.forges.repositories import sha


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def app(github: GitHubServer, key: rsa.RSAPrivateKey, monkeypatch: pytest.MonkeyPatch) -> App:
    """An App that is installed on the repository, its id and key in the environment."""
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    github.apps["123"] = App(public.decode())
    monkeypatch.setenv("HUBTOOL_GITHUB_APP_ID", "123")
    monkeypatch.setenv("HUBTOOL_GITHUB_APP_PRIVATE_KEY", _pem(key))
    return github.apps["123"]


def _pem(key: rsa.RSAPrivateKey) -> str:
    formats = (serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    return key.private_bytes(serialization.Encoding.PEM, *formats).decode()


def test_an_app_opens_requests_with_its_installations_token(
    app: App, github: GitHubServer, branch: str, tmp_path: Path
) -> None:
    forge = forge_at(github.api, pause=0.01)
    assert forge.may_open() == "the GitHub App"
    assert forge.open_request(PROPOSAL).state == "created"
    Checkout(forge.remote(), "staging", tmp_path / "clone")
    assert [token[:4] for token in github.tokens] == ["ghs_"]
    assert next(iter(github.tokens.values())) == {"contents": "write", "pull_requests": "write", "metadata": "read"}


def test_an_app_pushes_without_a_clone(app: App, github: GitHubServer, hubs: Path) -> None:
    with forge_at(github.api).open_branch("staging") as branch:
        made = branch.commit(branch.write_tree({FILE: b"a: 1\n"}), "m\n")
        branch.push(made, PROPOSAL.head, None)
    assert sha(hubs, PROPOSAL.head) == made
    assert [token[:4] for token in github.tokens] == ["ghs_"]
    assert github.git_seen == []


def test_an_apps_key_may_stand_in_a_file(
    app: App, github: GitHubServer, key: rsa.RSAPrivateKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key.pem").write_text(_pem(key))
    monkeypatch.delenv("HUBTOOL_GITHUB_APP_PRIVATE_KEY")
    monkeypatch.setenv("HUBTOOL_GITHUB_APP_PRIVATE_KEY_FILE", str(tmp_path / "key.pem"))
    assert forge_at(github.api).default_branch() == "staging"


def test_an_app_that_is_not_installed_is_said_so(app: App, github: GitHubServer) -> None:
    app.granted = None
    with pytest.raises(HubtoolError, match="is not installed on an-org/some-hubs"):
        forge_at(github.api).may_open()


def test_an_app_that_lacks_a_permission_is_said_so(app: App, github: GitHubServer) -> None:
    app.granted = {**ALL, "pull_requests": "read"}
    with pytest.raises(HubtoolError, match="lacks permissions on an-org/some-hubs"):
        forge_at(github.api).may_open()


def test_another_apps_key_is_refused(app: App, github: GitHubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    monkeypatch.setenv("HUBTOOL_GITHUB_APP_PRIVATE_KEY", _pem(other))
    with pytest.raises(HubtoolError, match="does not accept the GitHub App"):
        forge_at(github.api).may_open()


@pytest.mark.parametrize(
    ("key_text", "message"), [("no key", "is not a private key"), ("", "is set, but no private key")]
)
def test_a_key_that_is_none_is_an_error(
    app: App, github: GitHubServer, monkeypatch: pytest.MonkeyPatch, key_text: str, message: str
) -> None:
    monkeypatch.setenv("HUBTOOL_GITHUB_APP_PRIVATE_KEY", key_text)
    with pytest.raises(HubtoolError, match=message):
        forge_at(github.api).may_open()


def test_the_key_of_an_app_signs_a_short_lived_token(app: App, github: GitHubServer, key: rsa.RSAPrivateKey) -> None:
    """The server refuses what GitHub refuses: a token that lives longer than ten minutes."""
    now = int(time.time())
    long_lived = jwt.encode({"iat": now, "exp": now + 3600, "iss": "123"}, _pem(key), algorithm="RS256")
    answer = github.answer("GET", f"/repos/{NAME}/installation", "", f"Bearer {long_lived}", None)
    assert answer.status == 401
