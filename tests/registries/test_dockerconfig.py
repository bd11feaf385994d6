from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hubtool.errors import HubtoolError
from hubtool.reference import ImageReference
from hubtool.registries.dockerconfig import HUB_KEY, find
from hubtool.registries.model import Credentials

IMAGE = ImageReference.parse("harbor.example.org/team/image:v1")
HUB = ImageReference.parse("team/image:v1")
SECRET = "se:cret-word"


def auth(user: str, password: str = SECRET) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path


def write(folder: Path, document: Any) -> Path:
    file = folder / "config.json"
    file.write_text(json.dumps(document))
    return file


@pytest.mark.parametrize(
    ("auths", "reference", "user"),
    [
        ({"harbor.example.org": auth("a")}, IMAGE, "a"),
        ({"https://harbor.example.org": auth("a")}, IMAGE, "a"),
        ({"https://harbor.example.org/v1/": auth("a")}, IMAGE, "a"),
        ({"harbor.example.org/team": auth("team"), "harbor.example.org": auth("a")}, IMAGE, "team"),
        ({"harbor.example.org/other": auth("a")}, IMAGE, None),
        ({"example.org": auth("a"), "xharbor.example.org": auth("b")}, IMAGE, None),
        ({HUB_KEY: auth("a")}, HUB, "a"),
        ({"docker.io": auth("a")}, HUB, "a"),
        ({HUB_KEY: auth("a")}, ImageReference.parse("docker.io/x/y"), "a"),
        ({HUB_KEY: auth("a")}, IMAGE, None),
        ({"harbor.example.org": {}}, IMAGE, None),
        ({"harbor.example.org": {"username": "a", "password": SECRET}}, IMAGE, "a"),
        (None, IMAGE, None),
    ],
)
def test_a_login_is_found_under_the_keys_that_docker_and_podman_write(
    folder: Path, auths: object, reference: ImageReference, user: str | None
) -> None:
    write(folder, {"auths": auths})
    found = find(reference)
    assert (found and found.username) == user
    assert found is None or found.password == SECRET


def test_an_identity_token_is_taken_before_the_rest(folder: Path) -> None:
    write(folder, {"auths": {"harbor.example.org": {**auth("00000000"), "identitytoken": "long-token"}}})
    found = find(IMAGE)
    assert found is not None
    assert (found.identity_token, found.password) == ("long-token", "")


@pytest.mark.parametrize("content", [b"", b"  \n", None])
def test_no_file_or_an_empty_one_is_no_login(folder: Path, content: bytes | None) -> None:
    if content is not None:
        (folder / "config.json").write_bytes(content)
    assert find(IMAGE) is None


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("{", "config.json:1"),
        ('{\n "auths": {,}\n}', "config.json:2"),
        ("[]", "config.json"),
        ("\xff", "config.json"),
        ('{"auths": []}'.replace("[]", "[1]"), "config.json: auths"),
        ('{"auths": {"harbor.example.org": "x"}}', "config.json: auths.harbor.example.org"),
        ('{"auths": {"harbor.example.org": {"auth": "%%%"}}}', "config.json: auths.harbor.example.org.auth"),
        ('{"auths": {"harbor.example.org": {"auth": "bm9jb2xvbg=="}}}', "auths.harbor.example.org.auth"),
        ('{"credHelpers": {"harbor.example.org": "../x"}}', "harbor.example.org: not the name of a"),
        ('{"credHelpers": {"harbor.example.org": 7}}', "harbor.example.org: not the name of a"),
        ('{"credsStore": "a b; rm -rf"}', None),
        ("[" * 100_000, "config.json"),
    ],
)
def test_a_broken_file_is_one_error_that_names_the_place(folder: Path, content: str, place: str | None) -> None:
    (folder / "config.json").write_bytes(content.encode("latin-1"))
    if place is None:
        assert find(IMAGE) is None  # a store that is not there: a warning, as without one
        return
    with pytest.raises(HubtoolError) as caught:
        find(IMAGE)
    assert place in str(caught.value)
    assert "nocolon" not in str(caught.value)


def test_a_file_that_may_not_be_read_is_named(folder: Path) -> None:
    (folder / "config.json").mkdir()
    with pytest.raises(HubtoolError, match=r"config.json: cannot be read"):
        find(IMAGE)


HELPER = """#!/bin/sh
echo "$0 $*" >> "{log}"
cat >> "{log}"
{body}
"""


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Installs docker-credential-test with a shell body; returns its log."""

    def install(body: str) -> Path:
        programs = tmp_path / "bin"
        programs.mkdir(exist_ok=True)
        log = tmp_path / "helper.log"
        file = programs / "docker-credential-test"
        file.write_text(HELPER.format(log=log, body=body))
        file.chmod(0o755)
        monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
        return log

    return install


@pytest.mark.parametrize("document", [{"credHelpers": {"harbor.example.org": "test"}}, {"credsStore": "test"}])
def test_a_credential_helper_is_asked_on_its_standard_input(
    folder: Path, helper: Any, document: dict[str, object]
) -> None:
    log = helper('echo \'{"ServerURL": "x", "Username": "me", "Secret": "s3cret"}\'')
    write(folder, {**document, "auths": {"harbor.example.org": {}}})
    found = find(IMAGE)
    assert found is not None
    assert (found.username, found.password) == ("me", "s3cret")
    assert "docker-credential-test" in found.source
    words, asked = log.read_text().splitlines()
    assert words.endswith("docker-credential-test get")
    assert asked == "harbor.example.org"


def test_a_helper_s_token_user_means_an_identity_token(folder: Path, helper: Any) -> None:
    helper('echo \'{"Username": "<token>", "Secret": "long"}\'')
    write(folder, {"credsStore": "test"})
    assert find(IMAGE) == Credentials(
        "", identity_token="long", source=f"docker-credential-test ({folder}/config.json)"
    )


def test_docker_hub_is_asked_for_by_its_old_name(folder: Path, helper: Any) -> None:
    log = helper('echo \'{"Username": "me", "Secret": "s"}\'')
    write(folder, {"credsStore": "test"})
    assert find(HUB) is not None
    assert log.read_text().splitlines()[-1] == HUB_KEY


def test_a_helper_that_knows_nothing_leaves_it_to_the_others(folder: Path, helper: Any) -> None:
    helper("echo credentials not found in native keychain; exit 1")
    write(folder, {"credsStore": "test", "auths": {"harbor.example.org": auth("a")}})
    found = find(IMAGE)
    assert found is not None
    assert found.username == "a"


@pytest.mark.parametrize(
    "body", ["echo s3cret-in-output; echo s3cret >&2; exit 3", "echo s3cret", "echo '[\"s3cret\"]'"]
)
def test_a_helper_that_fails_is_named_and_its_output_is_not_shown(folder: Path, helper: Any, body: str) -> None:
    helper(body)
    write(folder, {"credHelpers": {"harbor.example.org": "test"}})
    with pytest.raises(HubtoolError, match="docker-credential-test") as caught:
        find(IMAGE)
    assert "s3cret" not in str(caught.value)


def test_a_helper_for_this_host_that_is_not_installed_is_an_error(folder: Path) -> None:
    write(folder, {"credHelpers": {"harbor.example.org": "not-there"}})
    with pytest.raises(HubtoolError, match="docker-credential-not-there is not installed"):
        find(IMAGE)


def test_a_store_that_is_not_installed_is_a_warning(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, {"credsStore": "not-there", "auths": {"harbor.example.org": auth("a")}})
    assert find(IMAGE) is not None
    assert "docker-credential-not-there, which is not installed" in capsys.readouterr().err


@pytest.mark.parametrize("variable", ["REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR"])
def test_podman_s_file_is_read_after_docker_s(folder: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    file = folder / "run" / "containers" / "auth.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"auths": {"harbor.example.org": auth("podman")}}))
    monkeypatch.setenv(variable, str(file if variable == "REGISTRY_AUTH_FILE" else folder / "run"))
    found = find(IMAGE)
    assert found is not None
    assert found.username == "podman"
    write(folder, {"auths": {"harbor.example.org": auth("docker")}})
    found = find(IMAGE)
    assert found is not None
    assert found.username == "docker"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["auths", "auth", "credHelpers", "harbor.example.org", "identitytoken", "username"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=JSON)
def test_whatever_the_file_holds_it_is_a_login_nothing_or_one_clear_error(folder: Path, document: object) -> None:
    write(folder, document)
    try:
        told: object = find(IMAGE)
    except HubtoolError as error:
        told = str(error)
    assert told is None or isinstance(told, Credentials) or "config.json" in str(told)
