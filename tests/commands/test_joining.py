"""Images for several platforms joined under the tags that they share, in a real registry."""

from __future__ import annotations

from pathlib import Path

import git
import pytest

from hubtool.commands.joining import join
from hubtool.commands.one_push import Pushed, PushRules, State
from hubtool.config import load
from hubtool.errors import HubtoolError
from hubtool.plan import Variant, make_plan
from hubtool.plan.records import read_record
from hubtool.plan.source import read_source
from hubtool.registries import Credentials
from hubtool.sandbox import deployment
from tests.builders.conftest import write_files
from tests.registries.front import Front
from tests.registries.parts import client_for, fresh_reference, put_image

YAML = """\
registry: {registry}
repository: "{repository}"
axes: {{platform: [amd64, arm64]}}
images: {{app: {{axes: [platform], tags: ['v{{version}}', latest], version: "1"}}}}
"""


class Case:
    """Two variants of one image, and what became of each."""

    def __init__(self, root: Path, front: Front, login: Credentials) -> None:
        self.reference = fresh_reference(front.host)
        registry, _, repository = self.reference.name.rpartition("/")
        write_files(root, {"hubtool.yaml": YAML.format(registry=registry, repository=repository)})
        deployment.commit_all(git.Repo.init(root, initial_branch="main"), "one")
        self.variants: list[Variant] = make_plan(load(root, {}), root, read_source(root))
        self.root, self.login = root, login

    def pushed(self, state: State, endings: tuple[str, str] = ("", ""), seed: str = "") -> list[Pushed]:
        found = []
        with client_for(self.reference, self.login) as client:
            for variant, ending in zip(self.variants, endings, strict=True):
                tag = variant.reference.tag + ending
                architecture = str(variant.job.settings.platform).partition("/")[2]
                digest = put_image(client, tag, architecture=architecture, labels={"seed": seed})
                found.append(Pushed(variant.image, variant.reference.with_tag(tag, digest), state, uploaded_bytes=5))
        return found

    def tags(self) -> dict[str, str]:
        """Digests of the tags that are no platform's own."""
        with client_for(self.reference, self.login) as client:
            tags = [tag for tag in client.list_tags() if "amd64" not in tag and "arm64" not in tag]
            found = {tag: client.head_manifest(tag) for tag in tags}
        return {tag: manifest.digest for tag, manifest in found.items() if manifest}


@pytest.fixture
def case(tmp_path: Path, front: Front, login: Credentials, monkeypatch: pytest.MonkeyPatch) -> Case:
    monkeypatch.setenv("HUBTOOL_REGISTRY_USERNAME", login.username)
    monkeypatch.setenv("HUBTOOL_REGISTRY_PASSWORD", login.password)
    return Case(tmp_path / "repository", front, login)


def test_all_shared_tags_name_one_index(case: Case) -> None:
    (joined,) = join(case.variants, case.pushed("pushed"), PushRules())
    assert (joined.image, joined.state, joined.uploaded_bytes) == ("app", "pushed", 10)
    assert joined.reference.tag == "v1"
    assert case.tags() == {"v1": joined.digest, "latest": joined.digest}
    record = read_record(case.root, "app")
    assert record
    assert (record.reference, record.digest) == (str(case.reference.with_tag("v1")), joined.digest)
    (again,) = join(case.variants, case.pushed("unchanged"), PushRules())
    assert (again.state, again.digest) == ("unchanged", joined.digest)


@pytest.mark.parametrize("endings", [("-20261121", "-20261121"), ("", "-20261121")], ids=["both", "one"])
def test_a_rebuild_is_joined_under_a_tag_of_its_own_and_the_first_stays(case: Case, endings: tuple[str, str]) -> None:
    (first,) = join(case.variants, case.pushed("pushed"), PushRules())
    (second,) = join(case.variants, case.pushed("promoted", endings, seed="2"), PushRules())
    assert (second.reference.tag, second.state) == ("v1-20261121", "promoted")
    assert case.tags() == {"v1": first.digest, "v1-20261121": second.digest, "latest": second.digest}


def test_a_dry_run_sets_nothing(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    (planned,) = join(case.variants, case.pushed("planned"), PushRules(dry_run=True))
    assert (planned.state, planned.reference.tag) == ("planned", "v1")
    assert "would set v1, latest to an index over linux/amd64, linux/arm64" in capsys.readouterr().err
    assert case.tags() == {}


def test_another_image_at_a_tag_that_never_moves_is_refused_unless_told_to(case: Case) -> None:
    (first,) = join(case.variants, case.pushed("pushed"), PushRules())
    other = case.pushed("pushed", seed="2")
    with pytest.raises(HubtoolError, match=f"v1 names {first.digest} already"):
        join(case.variants, other, PushRules())
    (moved,) = join(case.variants, other, PushRules(move_tag=True))
    assert case.tags()["v1"] == moved.digest != first.digest


def test_one_without_its_partner_is_left_out(case: Case) -> None:
    assert join(case.variants[:1], case.pushed("pushed")[:1], PushRules()) == []
    assert case.tags() == {}
