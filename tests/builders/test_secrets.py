from __future__ import annotations

import json
from pathlib import Path

import pytest

from hubtool.builders.secrets import why_left_out

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----\n"
AUTHS = json.dumps({"auths": {"us-docker.pkg.dev": {"auth": "X2pzb25fa2V5OnNlY3JldA=="}}})
SERVICE_ACCOUNT = json.dumps({"type": "service_account", "private_key": "-----BEGIN", "client_email": "a@b"})


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (".git/config", "[core]"),
        ("sub/.git", "gitdir: ../x"),
        (".hubtool/base.json", "{}"),
        ("$HOME/.docker/config.json", "{}"),
        ("${HOME}/x", ""),
        (".docker/config.json", "{}"),
        ("a/.docker/config.json", "not json"),
        ("gha-creds-0123.json", "{}"),
        ("deep/er/gha-creds-0123.json", "{}"),
        (".netrc", "machine github.com"),
        (".ssh/known_hosts", ""),
        (".aws/credentials", ""),
        ("id_ed25519", "anything"),
        ("settings/config.json", AUTHS),
        ("any-name.json", AUTHS),
        ("key.json", SERVICE_ACCOUNT),
        ("server.pem", "some text before\n" + KEY),
        ("no-suffix", KEY),
        (".npmrc", "//registry.npmjs.org/:_authToken=npm_abc"),
    ],
)
def test_a_credential_is_left_out(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    assert why_left_out(name, path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (".gitignore", ".git\n"),
        (".github/workflows/build.yml", "on: push"),
        (".docker/Dockerfile", "FROM scratch"),
        ("config.json", '{"theme": "dark"}'),
        ("data.json", '{"auths": ["a list"], "x": 1}'),
        ("broken.json", '{"auths": '),
        ("list.json", '["auths"]'),
        ("HOME/readme", ""),
        ("notes.md", "keys start with `-----BEGIN PRIVATE KEY-----`"),
        ("cert.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n"),
        ("id_rsa.pub", "ssh-rsa AAAA"),
        (".npmrc", "registry=https://mirror.example/\n"),
        ("binary", "\0\1\2"),
        ("empty", ""),
    ],
)
def test_an_ordinary_file_travels(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    assert why_left_out(name, path) is None


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text(KEY)
    (tmp_path / "link").symlink_to(outside)
    assert why_left_out("link", tmp_path / "link") is None
