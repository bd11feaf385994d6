"""What `hubtool push` may publish, and under which tag."""

from __future__ import annotations

import json

import pytest

from hubtool.plan.records import read_record
from hubtool.registries import Credentials, find_release
from tests.commands.pushing import Repository
from tests.conftest import LocalRegistry
from tests.registries.front import Front
from tests.registries.parts import client_for, put_image


@pytest.mark.parametrize("contract", [None, "another image"])
def test_an_image_that_was_not_tested_is_refused(repository: Repository, front: Front, contract: str | None) -> None:
    image_id = repository.make_image()
    if contract is None:
        repository.passed(image_id, None)
    else:
        repository.passed("sha256:" + "0" * 64)
    done = repository.push()
    assert done.returncode == 1
    assert "did not pass its contract (jupyterhub)" in done.stderr
    assert f"hubtool test {repository.image}" in done.stderr
    assert not front.seen


def test_untested_is_published_when_told_so_with_a_warning(repository: Repository) -> None:
    repository.make_image()
    done = repository.push("--untested", check=True)
    assert "warning: " in done.stderr
    record = read_record(repository.root, repository.image)
    assert record is not None
    assert (record.tested, record.digest is None) == (None, False)


def test_where_no_contract_is_asked_for_none_must_be_passed(repository: Repository) -> None:
    repository.write(contract="none")
    repository.make_image()
    assert "warning" not in repository.push(check=True).stderr


def test_an_image_that_was_not_built_is_pointed_to_build(repository: Repository) -> None:
    done = repository.push()
    assert done.returncode == 1
    assert f"docker has no image {repository.reference}" in done.stderr
    assert f"hubtool build {repository.image}" in done.stderr


def test_a_tag_does_not_move_to_another_image_unless_told(repository: Repository) -> None:
    repository.passed(repository.make_image(seed=1))
    repository.push(check=True)
    before = find_release(repository.reference)
    repository.passed(repository.make_image(seed=2))
    done = repository.push()
    assert done.returncode == 1
    assert "tags that hubs pin must not change" in done.stderr
    assert "--move-tag" in done.stderr
    assert find_release(repository.reference) == before
    moved = repository.push("--move-tag", check=True)
    after = find_release(repository.reference)
    assert after is not None
    assert after != before
    assert moved.stdout.strip() == str(after.reference)


def test_a_tag_that_somebody_else_sets_meanwhile_is_not_overwritten(
    repository: Repository, front: Front, login: Credentials
) -> None:
    repository.passed(repository.make_image())
    other: list[str] = []

    def set_by_another(headers: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
        with client_for(repository.reference, login) as client:
            other.append(put_image(client, repository.tag))
        return headers, body

    front.fault("PUT", "/manifests/sha256", change=set_by_another)
    done = repository.push()
    assert done.returncode == 1
    assert f"names {other[0]} already" in done.stderr


def test_check_says_who_may_push_and_needs_no_image(repository: Repository, registry: LocalRegistry) -> None:
    (repository.root / "not-committed").write_text("x")
    done = repository.push("--check", check=True)
    assert f"{registry.username} (credentials from $HUBTOOL_REGISTRY_USERNAME" in done.stdout
    assert registry.password not in done.stdout + done.stderr


def test_check_fails_where_pushing_is_refused(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBTOOL_REGISTRY_PASSWORD", "not-the-password")
    done = repository.push("--check", "--json")
    assert done.returncode == 1
    (told,) = json.loads(done.stdout)
    assert told["may_push"] is False
    assert "did not take the credentials" in told["error"]
    assert "not-the-password" not in done.stdout + done.stderr


def test_a_refused_login_is_said_before_the_image_is_taken_out_of_the_engine(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.passed(repository.make_image())
    monkeypatch.setenv("HUBTOOL_REGISTRY_PASSWORD", "not-the-password")
    done = repository.push()
    assert done.returncode == 1
    assert "did not take the credentials" in done.stderr
    assert "taking" not in done.stderr


def test_a_dirty_tree_is_published_only_under_a_name_of_its_own(repository: Repository) -> None:
    (repository.root / "new-file").write_text("x")
    refused = repository.push()
    assert refused.returncode == 1
    assert "not committed: new-file" in refused.stderr
    repository.make_image(tag=f"{repository.tag}-dirty")
    refused = repository.push("--dirty", "--untested")
    assert refused.returncode == 1
    assert "--tag" in refused.stderr
    repository.make_image(tag="try-1")
    assert "try-1@sha256:" in repository.push("--dirty", "--untested", "--tag", "try-1", check=True).stdout


def test_a_tag_gives_the_last_build_of_this_commit_another_name(repository: Repository) -> None:
    image_id = repository.make_image()
    repository.passed(image_id)
    done = repository.push("--tag", "2026.11.20", check=True)
    repository.made.append(f"{repository.host}/{repository.name}:2026.11.20")
    assert f"{repository.name}:2026.11.20@sha256:" in done.stdout
    record = read_record(repository.root, repository.image)
    assert record is not None
    assert record.reference.endswith(":2026.11.20")
    assert repository.client.images.get(record.reference).id == image_id


def test_a_tag_is_not_given_to_a_build_of_another_commit(repository: Repository) -> None:
    repository.passed(repository.make_image())
    repository.write(more="# another commit\n")
    done = repository.push("--tag", "2026.11.20")
    assert done.returncode == 1
    assert "docker has no image" in done.stderr
