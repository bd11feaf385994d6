from __future__ import annotations

import json

import pytest

from hubtool.reference import ImageReference
from hubtool.registries import registry_for
from hubtool.registries.credentials import find, half_set
from hubtool.registries.model import Credentials

HARBOR = ImageReference.parse("harbor.example.org/team/image:v1")
HUB = ImageReference.parse("team/image:v1")


@pytest.mark.parametrize(
    ("set_to", "reference", "expected"),
    [
        ({}, HARBOR, None),
        ({"HUBTOOL_REGISTRY_USERNAME": "u", "HUBTOOL_REGISTRY_PASSWORD": "p"}, HARBOR, ("u", "p")),
        ({"DOCKER_USERNAME": "u", "DOCKER_PASSWORD": "p"}, HARBOR, ("u", "p")),
        ({"DOCKER_USERNAME": "u"}, HARBOR, None),
        ({"DOCKER_USERNAME": "u", "DOCKER_PASSWORD": ""}, HARBOR, None),
        (
            {
                "HUBTOOL_REGISTRY_USERNAME": "u",
                "HUBTOOL_REGISTRY_PASSWORD": "p",
                "DOCKER_USERNAME": "x",
                "DOCKER_PASSWORD": "y",
            },
            HARBOR,
            ("u", "p"),
        ),
        ({"DOCKER_USERNAME": "u", "DOCKER_PASSWORD": "p", "DOCKER_REGISTRY": "quay.io"}, HARBOR, None),
        ({"DOCKER_USERNAME": "u", "DOCKER_PASSWORD": "p", "DOCKER_REGISTRY": "docker.io"}, HUB, ("u", "p")),
        (
            {"DOCKER_USERNAME": "u", "DOCKER_PASSWORD": "p", "DOCKER_REGISTRY": "https://harbor.example.org/x"},
            HARBOR,
            ("u", "p"),
        ),
        (
            {
                "HUBTOOL_REGISTRY_USERNAME": "u",
                "HUBTOOL_REGISTRY_PASSWORD": "p",
                "HUBTOOL_REGISTRY": "harbor.example.org/team",
            },
            HUB,
            None,
        ),
    ],
)
def test_the_environment_is_for_the_registry_that_it_names(
    monkeypatch: pytest.MonkeyPatch,
    set_to: dict[str, str],
    reference: ImageReference,
    expected: tuple[str, str] | None,
) -> None:
    for name, value in set_to.items():
        monkeypatch.setenv(name, value)
    found = find(reference)
    assert (found and (found.username, found.password)) == expected


def test_the_environment_goes_before_docker_s_configuration(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("config")
    (folder / "config.json").write_text(
        json.dumps({"auths": {"harbor.example.org": {"username": "file", "password": "x"}}})
    )
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    before = find(HARBOR)
    assert before is not None
    assert (before.username, before.source) == ("file", str(folder / "config.json"))
    monkeypatch.setenv("DOCKER_USERNAME", "env")
    monkeypatch.setenv("DOCKER_PASSWORD", "y")
    found = find(HARBOR)
    assert found is not None
    assert (found.username, found.source) == ("env", "$DOCKER_USERNAME and $DOCKER_PASSWORD")


def test_one_half_of_a_pair_is_pointed_at(monkeypatch: pytest.MonkeyPatch) -> None:
    assert half_set() == ""
    monkeypatch.setenv("DOCKER_USERNAME", "u")
    assert half_set() == "; $DOCKER_USERNAME is set but $DOCKER_PASSWORD is not"
    assert half_set() in registry_for(HARBOR).hint("login", HARBOR)


def test_credentials_do_not_show_their_secrets() -> None:
    shown = repr(Credentials("user", "the-password", "the-token"))
    assert "the-password" not in shown
    assert "the-token" not in shown


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("us-central1-docker.pkg.dev", "gar"),
        ("gcr.io", "gar"),
        ("eu.gcr.io", "gar"),
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", "ecr"),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "ecr"),
        ("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "ecr"),
        ("public.ecr.aws", "ecr"),
        ("quay.io", "generic"),
        ("docker.io", "generic"),
        ("", "generic"),
        ("ghcr.io", "generic"),
        ("evil-docker.pkg.dev.example.org", "generic"),
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.org", "generic"),
        ("127.0.0.1:5000", "generic"),
    ],
)
def test_the_host_tells_the_kind_of_registry(host: str, name: str) -> None:
    assert registry_for(ImageReference(host, "team/image")).name == name
