from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from hubtool.errors import HubtoolError
from hubtool.reference import ImageReference
from hubtool.registries import Credentials, RegistryError, find_release, may_push, open_client, registry_for
from tests.conftest import LocalRegistry
from tests.registries.cloud import cloud_registry
from tests.registries.front import running
from tests.registries.parts import put_image
from tests.registries.tokens import make_authority

HOST = "us-central1-docker.pkg.dev"
IMAGE = ImageReference.parse(f"{HOST}/my-project/user-images/base:v1")
AUDIENCE = "//iam.googleapis.com/projects/123/locations/global/workloadIdentityPools/pool/providers/github"
EMAIL = "pusher@my-project.iam.gserviceaccount.com"


@dataclass
class Google:
    """Google's token services: what was asked of them, and how they answer."""

    url: str = ""
    asked: list[tuple[str, dict[str, Any], str]] = field(default_factory=list)
    status: int = 200


class _Services(BaseHTTPRequestHandler):
    google: Google

    def log_message(self, format: str, *args: object) -> None: ...

    def do_GET(self) -> None:
        self._note({})
        if self.headers.get("Metadata-Flavor") != "Google":
            self._answer(403, {})
        elif self.path.startswith("/computeMetadata/v1/instance/service-accounts/default/token"):
            self._answer(200, {"access_token": "metadata-token", "expires_in": 3600, "token_type": "Bearer"})
        elif self.path.startswith("/computeMetadata/v1/instance/service-accounts/"):
            self._answer(200, {"email": EMAIL, "scopes": ["https://www.googleapis.com/auth/cloud-platform"]})
        else:
            self._answer(200, {})

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"])).decode()
        is_json = self.headers.get("Content-Type", "").startswith("application/json")
        self._note(json.loads(raw) if is_json else {key: values[0] for key, values in parse_qs(raw).items()})
        if self.google.status != 200:
            self._answer(self.google.status, {"error": "invalid_grant", "error_description": "no such pool"})
        elif "generateAccessToken" in self.path:
            self._answer(200, {"accessToken": "impersonated-token", "expireTime": "2099-01-01T00:00:00Z"})
        else:
            self._answer(200, {"access_token": "exchanged-token", "expires_in": 3600, "token_type": "Bearer"})

    def _note(self, form: dict[str, Any]) -> None:
        self.google.asked.append((self.path, form, self.headers.get("Authorization", "")))

    def _answer(self, status: int, data: object) -> None:
        body = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Metadata-Flavor", "Google")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def google() -> Iterator[Google]:
    state = Google()
    handler = type("Handler", (_Services,), {"google": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    with running(server):
        yield state


@pytest.fixture
def federation(google: Google, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The external_account file that google-github-actions/auth writes."""
    (tmp_path / "oidc").write_text("the-oidc-token")
    file = tmp_path / "gha-creds.json"
    document = {
        "type": "external_account",
        "audience": AUDIENCE,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{google.url}/v1/token",
        "service_account_impersonation_url": f"{google.url}/v1/serviceAccounts/{EMAIL}:generateAccessToken",
        "credential_source": {"file": str(tmp_path / "oidc")},
    }
    file.write_text(json.dumps(document))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    return file


def test_workload_identity_federation_ends_in_an_access_token(google: Google, federation: Path) -> None:
    found = registry_for(IMAGE).credentials(IMAGE)
    assert found is not None
    assert (found.username, found.password) == ("oauth2accesstoken", "impersonated-token")
    (exchange, impersonation) = google.asked
    assert exchange[0] == "/v1/token"
    assert exchange[1]["subject_token"] == "the-oidc-token"
    assert exchange[1]["audience"] == AUDIENCE
    assert impersonation[0].endswith(":generateAccessToken")
    assert impersonation[2] == "Bearer exchanged-token"
    assert impersonation[1]["scope"] == ["https://www.googleapis.com/auth/cloud-platform"]


def test_a_service_account_s_key_signs_for_an_access_token(
    google: Google, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = make_authority().key
    document = {
        "type": "service_account",
        "project_id": "my-project",
        "private_key_id": "1",
        "private_key": key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
        "client_email": EMAIL,
        "client_id": "1",
        "token_uri": f"{google.url}/token",
    }
    file = tmp_path / "key.json"
    file.write_text(json.dumps(document))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    found = registry_for(IMAGE).credentials(IMAGE)
    assert found is not None
    assert found.password == "exchanged-token"
    claims = jwt.decode(
        google.asked[0][1]["assertion"],
        key.public_key(),
        algorithms=["RS256"],
        audience="https://oauth2.googleapis.com/token",
    )
    assert claims["iss"] == EMAIL


def _elsewhere(environment: dict[str, str], home: Path) -> str:
    """What a new process finds: google-auth reads some of its settings only when it is imported."""
    code = (
        "from hubtool.registries import registry_for; from hubtool.reference import ImageReference as R;"
        f"c = registry_for(R.parse('{IMAGE}')).credentials(R.parse('{IMAGE}'));"
        "print(c and (c.username, c.password))"
    )
    env = {"PATH": "/usr/bin:/bin", "HOME": str(home), "CLOUDSDK_CONFIG": str(home), **environment}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


def test_on_google_s_machines_the_metadata_server_is_asked(google: Google, tmp_path: Path) -> None:
    host = google.url.removeprefix("http://")
    said = _elsewhere({"GCE_METADATA_HOST": host, "GCE_METADATA_IP": host, "GCE_METADATA_ROOT": host}, tmp_path)
    assert said == "('oauth2accesstoken', 'metadata-token')"


def test_a_machine_that_google_does_not_know_has_no_credentials(tmp_path: Path) -> None:
    assert _elsewhere({"NO_GCE_CHECK": "true"}, tmp_path) == "None"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "was not found"),
        ("{", "not a valid json file"),
        ('{"type": "service_account"}', "Failed to load service account"),
        ('{"type": "x"}', "does not have a valid type"),
        ('{"type": "external_account"}', "Failed to load external account"),
    ],
)
def test_a_credentials_file_that_is_broken_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None, said: str
) -> None:
    file = tmp_path / "creds.json"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    with pytest.raises(HubtoolError, match=said) as caught:
        registry_for(IMAGE).credentials(IMAGE)
    assert str(caught.value).startswith(f"{file}: ")


def test_a_token_service_that_refuses_is_said_without_the_token(google: Google, federation: Path) -> None:
    google.status = 400
    with pytest.raises(HubtoolError, match="Google Cloud gave no access token") as caught:
        registry_for(IMAGE).credentials(IMAGE)
    assert "the-oidc-token" not in str(caught.value)


def test_the_access_token_opens_the_registry(
    google: Google,
    federation: Path,
    registry: LocalRegistry,
    login: Credentials,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = ["oauth2accesstoken:impersonated-token"]
    with cloud_registry(HOST, registry.host, login, expected, tmp_path, monkeypatch):
        with open_client(IMAGE) as client:
            digest = put_image(client, "v1")
        found = find_release(IMAGE)
    assert found is not None
    assert found.reference.digest == digest


@pytest.mark.parametrize("user", ["_json_key", "_json_key_base64", "oauth2accesstoken"])
def test_the_users_that_stand_for_a_key_are_taken_as_they_are(
    user: str, registry: LocalRegistry, login: Credentials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = json.dumps({"type": "service_account", "private_key": "x:y"})
    monkeypatch.setenv("HUBTOOL_REGISTRY_USERNAME", user)
    monkeypatch.setenv("HUBTOOL_REGISTRY_PASSWORD", key)
    with cloud_registry(HOST, registry.host, login, [f"{user}:{key}"], tmp_path, monkeypatch):
        may_push(IMAGE)


def test_who_may_not_push_learns_which_role_is_missing(
    registry: LocalRegistry, login: Credentials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBTOOL_REGISTRY_USERNAME", "oauth2accesstoken")
    monkeypatch.setenv("HUBTOOL_REGISTRY_PASSWORD", "t")
    with cloud_registry(HOST, registry.host, login, ["oauth2accesstoken:t"], tmp_path, monkeypatch) as front:
        front.fault("POST", "/uploads/", status=403, times=5)
        with pytest.raises(RegistryError) as caught:
            may_push(IMAGE)
        assert "roles/artifactregistry.writer on repository 'user-images' of project 'my-project'" in str(caught.value)
        front.faults.clear()
        front.fault("POST", "/uploads/", status=404, times=5)
        with pytest.raises(RegistryError, match="gcloud artifacts repositories create user-images"):
            may_push(IMAGE)
