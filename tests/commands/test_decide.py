from __future__ import annotations

from pathlib import Path

import git

from hubtool.commands.decide import changed_since
from hubtool.config import load
from hubtool.plan import Variant, make_plan
from hubtool.plan.source import read_source
from hubtool.sandbox import deployment
from tests.builders.conftest import write_files


def variant_of(root: Path) -> tuple[Variant, str]:
    """A variant of a repository with two commits, and the first of them."""
    files = {"hubtool.yaml": "registry: quay.io/team\nimages: {one: {context: sub}}\n", "sub/a": "1", "sub/b": "1"}
    repo = git.Repo.init(write_files(root, files), initial_branch="main")
    deployment.commit_all(repo, "first")
    first = repo.head.commit.hexsha
    write_files(root, {"sub/a": "2", "beside": "1"})
    deployment.commit_all(repo, "second")
    return make_plan(load(root, {}), root, read_source(root))[0], first


def test_the_files_of_the_context_that_changed_are_named(tmp_path: Path) -> None:
    variant, first = variant_of(tmp_path)
    assert changed_since(variant, first) == ["a"]
    assert changed_since(variant, f"{first}-dirty") == ["a"]
    assert changed_since(variant, variant.source.commit) == []


def test_a_label_that_is_no_commit_names_nothing_and_does_nothing(tmp_path: Path) -> None:
    variant, _ = variant_of(tmp_path)
    for label in ("", "0" * 40, "main", f"--output={tmp_path / 'made'}"):
        assert changed_since(variant, label) == []
    assert not (tmp_path / "made").exists()
