from __future__ import annotations

from collections.abc import Iterator

import pytest

from hubtool.registries import Credentials
from tests.conftest import LocalRegistry
from tests.registries import front as fronts

VARIABLES = (
    "HUBTOOL_REGISTRY",
    "HUBTOOL_REGISTRY_USERNAME",
    "HUBTOOL_REGISTRY_PASSWORD",
    "HUBTOOL_INSECURE_REGISTRIES",
    "DOCKER_REGISTRY",
    "DOCKER_USERNAME",
    "DOCKER_PASSWORD",
    "REGISTRY_AUTH_FILE",
    "XDG_RUNTIME_DIR",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "AWS_PROFILE",
)


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No login of the person who runs the tests gets in."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path_factory.mktemp("docker-config")))


@pytest.fixture
def login(registry: LocalRegistry) -> Credentials:
    return Credentials(registry.username, registry.password, source="the test")


@pytest.fixture
def front(registry: LocalRegistry) -> Iterator[fronts.Front]:
    """A front of its own before the real registry."""
    with fronts.front(registry.host) as server:
        yield server
