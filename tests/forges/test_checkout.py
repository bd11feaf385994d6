from __future__ import annotations

import os
from pathlib import Path

import pytest

from hubtool.errors import HubtoolError
from hubtool.forges import Remote
from hubtool.forges.checkout import Checkout, check_branch
from tests.forges.repositories import bare, commit, git, show

FILE = "deployments/base/config/common.yaml"


@pytest.fixture
def checkout(hubs: Path, tmp_path: Path) -> Checkout:
    return Checkout(Remote(hubs.as_uri()), "staging", tmp_path / "clone")


def test_only_the_blobs_that_are_asked_for_travel(tmp_path: Path) -> None:
    files = {f"deployments/hub{n}/config/common.yaml": f"a: {n}\n" for n in range(50)}
    hubs = bare(tmp_path / "hubs.git", files)
    checkout = Checkout(Remote(hubs.as_uri()), "staging", tmp_path / "clone")
    wanted = [file for file in checkout.files() if "/hub7/" in file.path]
    assert list(checkout.read(wanted)) == [("deployments/hub7/config/common.yaml", b"a: 7\n")]
    here = git(tmp_path / "clone", "cat-file", "--batch-check=%(objecttype)", "--batch-all-objects").split()
    assert here.count("blob") == 1


def test_a_server_that_leaves_nothing_out_is_read_all_the_same(tmp_path: Path) -> None:
    hubs = bare(tmp_path / "hubs.git", {FILE: b"a: 1\r\n"})
    git(hubs, "config", "uploadpack.allowFilter", "false")
    checkout = Checkout(Remote(hubs.as_uri()), "staging", tmp_path / "clone")
    assert dict(checkout.read(checkout.files())) == {FILE: b"a: 1\r\n"}


def test_bytes_are_gits_own_whatever_attributes_and_settings_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkout with text=auto, or core.autocrlf, would rewrite every line end of the file."""
    hubs = bare(tmp_path / "hubs.git", {FILE: b"x: 1\r\ny: 2\r\n"})
    commit(hubs, "staging", {".gitattributes": "* text=auto eol=lf\n*.yaml filter=evil\n"})
    monkeypatch.setenv("GIT_CONFIG_COUNT", "2")
    for number, (key, value) in enumerate([("core.autocrlf", "true"), ("filter.evil.clean", "false")]):
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{number}", key)
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{number}", value)
    checkout = Checkout(Remote(hubs.as_uri()), "staging", tmp_path / "clone")
    data = dict(checkout.read(checkout.files()))[FILE]
    assert data == b"x: 1\r\ny: 2\r\n"
    made = checkout.commit(checkout.write_tree({FILE: data.replace(b"2", b"3")}), "m\n")
    checkout.push(made, "hubtool/x", None)
    assert show(hubs, "hubtool/x", FILE) == b"x: 1\r\ny: 3\r\n"


def test_nobody_known_to_git_is_hubtool_itself(checkout: Checkout, hubs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.delenv(f"GIT_{role}_NAME", raising=False)
        monkeypatch.delenv(f"GIT_{role}_EMAIL", raising=False)
    made = checkout.commit(checkout.write_tree({FILE: b"a: 2\n"}), "m\n")
    checkout.push(made, "hubtool/x", None)
    who = git(hubs, "log", "-1", "--format=%an <%ae> %cn <%ce>", "hubtool/x")
    assert who == "hubtool <noreply@hubtool.invalid> hubtool <noreply@hubtool.invalid>"


def test_whom_git_knows_commits(
    checkout: Checkout, hubs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gitconfig").write_text("[user]\nname = Some Team\nemail = team@example.org\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    made = checkout.commit(checkout.write_tree({FILE: b"a: 2\n"}), "m\n")
    checkout.push(made, "hubtool/x", None)
    assert git(hubs, "log", "-1", "--format=%an <%ae>", "hubtool/x") == "Some Team <team@example.org>"


def test_a_repository_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(HubtoolError, match="no git repository at"):
        Checkout(Remote((tmp_path / "no.git").as_uri()), "staging", tmp_path / "clone")


def test_a_server_that_declines_the_branch_is_quoted(checkout: Checkout, hubs: Path) -> None:
    hook = hubs / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho only on Tuesdays >&2\nexit 1\n")
    hook.chmod(0o755)
    made = checkout.commit(checkout.write_tree({FILE: b"a: 2\n"}), "m\n")
    with pytest.raises(HubtoolError, match="does not take the branch"):
        checkout.push(made, "hubtool/x", None)


def test_started_from_a_git_hook_it_still_reads_its_own_repository(
    hubs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    checkout = Checkout(Remote(hubs.as_uri()), "staging", tmp_path / "clone")
    assert [file.path for file in checkout.files()] == ["README.md", FILE]


@pytest.mark.parametrize("name", ["main", "hubtool/bump/base/x", "a@b", "v1.2", "UP_down-3", "feature/x+y"])
def test_a_branch_name_that_git_takes_is_taken(name: str) -> None:
    assert check_branch(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "-x", "--upload-pack=sh", "a..b", "a b", "a/", ".a", "a/.b", "x.lock", "a//b", "a@{1}", "a:b", "a\nb", "é"],
)
def test_a_branch_name_that_git_does_not_take_is_refused(name: str) -> None:
    with pytest.raises(HubtoolError, match="is not a branch's name"):
        check_branch(name)
