from __future__ import annotations

import re
from pathlib import Path

import git
import pytest

from hubtool.errors import HubtoolError
from hubtool.plan.source import read_source, web_url


@pytest.fixture
def repository(tmp_path: Path) -> git.Repo:
    repo = git.Repo.init(tmp_path / "repo", initial_branch="main")
    folder = Path(repo.working_dir)
    (folder / "environment.yml").write_text("name: x\n")
    repo.index.add(["environment.yml"])
    author = git.Actor("Tester", "tester@example.org")
    repo.index.commit("first", author=author, committer=author, commit_date="1772436600 -0800")
    return repo


def test_a_tag_is_the_commits_first_twelve_digits(repository: git.Repo) -> None:
    source = read_source(Path(repository.working_dir))
    assert source.tag("commit") == repository.head.commit.hexsha[:12]


def test_a_dated_tag_has_the_commits_day_in_utc(repository: git.Repo) -> None:
    source = read_source(Path(repository.working_dir))
    assert source.tag("date") == f"2026.03.02-{repository.head.commit.hexsha[:7]}"


def test_a_dirty_tree_is_refused_unless_asked_for_and_its_tag_says_so(repository: git.Repo) -> None:
    root = Path(repository.working_dir)
    (root / "new file").write_text("x")
    with pytest.raises(HubtoolError, match="not committed: new file"):
        read_source(root)
    source = read_source(root, allow_dirty=True)
    assert re.fullmatch(r"[0-9a-f]{12}-dirty", source.tag("commit"))
    assert source.labels()["org.opencontainers.image.revision"].endswith("-dirty")


def test_a_root_may_be_named_from_the_working_folder(repository: git.Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(repository.working_dir).parent)
    assert read_source(Path("repo")) == read_source(Path(repository.working_dir))


def test_a_folder_that_is_no_repository_says_so(tmp_path: Path) -> None:
    with pytest.raises(HubtoolError, match="is not a git repository"):
        read_source(tmp_path)


def test_a_repository_without_a_commit_says_so(tmp_path: Path) -> None:
    git.Repo.init(tmp_path)
    with pytest.raises(HubtoolError, match="has no commit yet"):
        read_source(tmp_path)


def test_labels_say_where_an_image_came_from(repository: git.Repo) -> None:
    repository.create_remote("origin", "git@github.com:cal-icor/base-user-image.git")
    labels = read_source(Path(repository.working_dir)).labels()
    assert labels == {
        "org.opencontainers.image.revision": repository.head.commit.hexsha,
        "org.opencontainers.image.created": "2026-03-02T07:30:00Z",
        "org.opencontainers.image.source": "https://github.com/cal-icor/base-user-image",
    }


@pytest.mark.parametrize(
    ("remote", "url"),
    [
        ("https://github.com/a/b.git", "https://github.com/a/b"),
        ("https://user:secret@github.com/a/b", "https://github.com/a/b"),
        ("ssh://git@host.example:2222/a/b.git", "https://host.example/a/b"),
        ("git@github.com:a/b", "https://github.com/a/b"),
        ("/srv/git/b.git", ""),
        ("", ""),
    ],
)
def test_a_remote_becomes_a_web_address_without_secrets(remote: str, url: str) -> None:
    assert web_url(remote) == url
