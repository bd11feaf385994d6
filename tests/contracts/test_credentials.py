"""What counts as a credential in an image, and what does not."""

from __future__ import annotations

import functools
import io
import json
import tarfile

import pytest

from hubtool.contracts.credentials import credential, credentials_in_config, credentials_in_files
from hubtool.image.files import ImageFiles

# Made for these tests: random bytes, no key of anyone.
BODY = "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g"


def pem(kind: str) -> str:
    return f"-----BEGIN {kind}-----\n{BODY}\n-----END {kind}-----\n"


KEY = pem("PRIVATE KEY")
ACCOUNT = json.dumps({"type": "service_account", "project_id": "p", "private_key": KEY, "client_email": "a@b"})
LOGIN = json.dumps({"auths": {"r.example": {"auth": "dXNlcjpwYXNz"}}})
CREDENTIALS: dict[str, tuple[str, str]] = {
    "srv/repo/gha-creds-0123.json": ("{}", "a Google credential of GitHub Actions"),
    "srv/repo/$HOME/.docker/config.json": (LOGIN, "a registry login"),
    "root/.docker/config.json": (json.dumps({"auths": {"r": {"identitytoken": "x"}}}), "a registry login"),
    "run/containers/auth.json": (LOGIN, "a registry login"),
    "home/x/.dockercfg": (json.dumps({"r": {"auth": "eA=="}}), "a registry login"),
    "home/x/.netrc": ("machine a login b password cccc\n", "a password"),
    "home/x/.git-credentials": ("https://user:token1@github.com\n", "a git login"),
    "home/x/.pypirc": ("[pypi]\nusername = __token__\npassword = pypi-abc\n", "a PyPI login"),
    "home/x/.npmrc": ("//registry.npmjs.org/:_authToken=abc123\n", "an npm login"),
    "home/x/.pgpass": ("host:5432:db:user:secret\n", "a database password"),
    "root/.aws/credentials": ("[default]\naws_secret_access_key = abc/def\n", "an AWS key"),
    "root/.kube/config": ("users:\n- user:\n    token: abcdef\n", "a Kubernetes login"),
    "root/.config/gcloud/credentials.db": ("SQLite", "a Google credential"),
    "root/.azure/msal_token_cache.json": ("{}", "an Azure credential"),
    "srv/key.json": (ACCOUNT, "the key of a Google service account"),
    "srv/adc.json": (json.dumps({"type": "authorized_user", "refresh_token": "1//x"}), "a Google credential"),
    "srv/deploy": (KEY, "a private key"),
    "home/x/.ssh/id_ed25519": (pem("OPENSSH PRIVATE KEY"), "a private key"),
    "etc/ssh/ssh_host_rsa_key": (pem("RSA PRIVATE KEY"), "a private key"),
    "srv/encrypted.pem": (
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n" + BODY + "\n",
        "a private key",
    ),
    "srv/chain.pem": (pem("CERTIFICATE") + KEY, "a private key"),
    "srv/putty.ppk": ("PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n", "a private key"),
    "opt/venv/lib/python3.11/site-packages/mine/key.pem": (KEY, "a private key"),
    "srv/tests/key.pem": (KEY, "a private key"),
}


@pytest.mark.parametrize(("path", "content", "what"), [(p, c, w) for p, (c, w) in CREDENTIALS.items()], ids=CREDENTIALS)
def test_this_is_a_credential(path: str, content: str, what: str) -> None:
    assert judge(path, content.encode()) == what


HARMLESS: dict[str, str | bytes] = {
    "root/.docker/config.json": json.dumps({"auths": {}, "credHelpers": {"gcr.io": "gcloud"}}),
    "home/x/.docker/config.json": json.dumps({"auths": {"r": {}}}),
    "srv/model/config.json": json.dumps({"model_type": "bert", "auths_per_layer": 3}),
    "srv/bad/config.json": '{"auths": ',
    "srv/list/config.json": '["auths"]',
    "srv/deep/config.json": '"auths"' + "[" * 100_000,
    "home/x/.netrc": "# machine a login b\n",
    "home/x/.npmrc": "//registry.npmjs.org/:_authToken=${NPM_TOKEN}\nregistry=https://r.example\n",
    "home/x/.pypirc": "[pypi]\nusername = me\n",
    "root/.aws/credentials": "[default]\nregion = eu-west-1\naws_secret_access_key =\n",
    "root/.aws/config": "[default]\nregion = eu-west-1\n",
    "root/.kube/config": "users: []\n",
    "home/x/.git-credentials": "",
    "srv/external.json": json.dumps({"type": "external_account", "audience": "//iam"}),
    "srv/doc.json": json.dumps({"type": "service_account", "private_key": "YOUR KEY HERE"}),
    "etc/ssl/certs/ca.pem": pem("CERTIFICATE"),
    "srv/key.pub": "ssh-ed25519 AAAAC3Nza user\n",
    "srv/public.pem": pem("PUBLIC KEY"),
    "srv/readme.md": "Put -----BEGIN PRIVATE KEY----- there.\n" + KEY,
    "srv/placeholder.pem": "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----\n",
    "etc/ssl/private/ssl-cert-snakeoil.key": KEY,
    "usr/lib/python3.11/test/certdata/keycert.pem": KEY,
    "opt/venv/lib/python3.11/site-packages/tornado/test/test.key": KEY,
    "opt/node_modules/pkg/test/fixtures/key.pem": KEY,
    "usr/share/doc/openssl/examples/key.pem": KEY,
    "srv/julia/pkg/packages/MbedTLS/x1/test/key.pem": KEY,
    "usr/lib/R/site-library/openssl/tests/key.pem": KEY,
    "srv/data.bin": bytes(range(256)) * 100,
    "srv/empty": "",
}


@pytest.mark.parametrize("path", HARMLESS)
def test_this_is_no_credential(path: str) -> None:
    content = HARMLESS[path]
    assert judge(path, content.encode() if isinstance(content, str) else content) is None


def judge(path: str, data: bytes) -> str | None:
    return credential(path, len(data), lambda limit: data[:limit])


def files(*layers: dict[str, str]) -> ImageFiles:
    streams = []
    for items in layers:
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as tar:
            for name, content in items.items():
                info = tarfile.TarInfo(name)
                info.size = len(content.encode())
                tar.addfile(info, io.BytesIO(content.encode()))
        streams.append(stream.getvalue())
    return ImageFiles([functools.partial(io.BytesIO, data) for data in streams])


def test_a_deleted_credential_is_found_in_its_layer() -> None:
    found = credentials_in_files(files({"a": "1"}, {"srv/key.pem": KEY}, {"srv/.wh.key.pem": ""}))
    assert [(f.what, f.place, f.layer, f.deleted) for f in found] == [("a private key", "/srv/key.pem", 1, True)]


def test_a_git_repository_is_one_finding() -> None:
    found = credentials_in_files(files({"srv/.git/HEAD": "ref", "srv/.git/config": "[core]", "srv/.gitignore": "x"}))
    assert [(f.what, f.place, f.deleted) for f in found] == [("a git repository", "/srv/.git", False)]


def test_a_credential_in_two_layers_is_found_in_both() -> None:
    found = credentials_in_files(files({"k.pem": KEY}, {"k.pem": KEY}))
    assert [finding.layer for finding in found] == [0, 1]


VARIABLES = [
    ("AWS_SECRET_ACCESS_KEY=abc", True),
    ("GITHUB_TOKEN=abc", True),
    ("MY_PASSWORD=abc", True),
    ("SOMETHING=ghp_" + "a" * 36, True),
    ("GITHUB_TOKEN=", False),
    ("PATH=/usr/bin", False),
    ("PASSWORD_STORE_DIR=/srv", False),
    ("JUPYTER_TOKEN_FILE=/run/token", False),
    ("nothing", False),
]


@pytest.mark.parametrize(("variable", "secret"), VARIABLES)
def test_secrets_in_variables_are_found_and_not_shown(variable: str, secret: bool) -> None:
    found = credentials_in_config([variable])
    assert bool(found) == secret
    assert all(variable.partition("=")[2] not in str(finding) for finding in found)


def test_a_token_in_a_build_step_is_found_and_not_shown() -> None:
    token = "ghp_" + "b" * 36
    (found,) = credentials_in_config([], ["RUN true", f"RUN git clone https://x:{token}@github.com/a/b"])
    assert found.place == "build step 2 of the image's history"
    assert token not in str(found)
