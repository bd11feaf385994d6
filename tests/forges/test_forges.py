from __future__ import annotations

from pathlib import Path

import pytest

from hubtool.errors import HubtoolError
from hubtool.forges import open_forge


@pytest.mark.parametrize(
    "repository",
    [
        "an-org/some-hubs",
        "an-org/some-hubs.git",
        "https://github.com/an-org/some-hubs",
        "https://github.com/an-org/some-hubs.git",
        "https://github.com/an-org/some-hubs/",
        "git@github.com:an-org/some-hubs.git",
        "ssh://git@github.com/an-org/some-hubs",
    ],
)
def test_names_and_addresses_of_github_lead_there(repository: str) -> None:
    forge = open_forge(repository)
    assert (forge.name, forge.repository) == ("github", "an-org/some-hubs")


def test_a_path_is_a_repository_on_disk(hubs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_forge(str(hubs)).name == "local"
    assert open_forge(hubs.as_uri()).name == "local"
    monkeypatch.chdir(hubs.parent.parent)
    assert open_forge("an-org/some-hubs.git").name == "local"
    assert open_forge("./an-org").name == "local"
    assert open_forge("an-org/some-hubs.git", "github").name == "github"


@pytest.mark.parametrize("repository", ["https://gitlab.com/a/b", "git@gitlab.com:a/b.git"])
def test_another_host_is_an_error_that_says_what_is_known(repository: str) -> None:
    with pytest.raises(HubtoolError, match=r"no way to open pull requests at gitlab\.com"):
        open_forge(repository)


def test_an_enterprise_servers_api_makes_its_host_known() -> None:
    assert open_forge("https://git.example.org/a/b", api="https://git.example.org/api/v3").name == "github"


@pytest.mark.parametrize("repository", ["", "hubs", "a/b/c", "https://github.com/only-owner", "-x/y", "a b/c"])
def test_what_is_neither_is_an_error(repository: str) -> None:
    with pytest.raises(HubtoolError, match="is not a deployment repository that hubtool knows"):
        open_forge(repository)


def test_a_password_in_an_address_is_not_repeated() -> None:
    with pytest.raises(HubtoolError) as caught:
        open_forge("https://me:s3cret@example.org/too/many/parts")
    assert "s3cret" not in str(caught.value)
