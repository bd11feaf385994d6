"""Bumps end to end: a real registry, real git remotes, and a GitHub with a memory."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from hubtool.config import Deployment
from hubtool.errors import HubtoolError
from hubtool.pins.proposals.bump import bump_hubs
from hubtool.pins.proposals.job import Bump
from hubtool.pins.proposals.request import Group
from hubtool.reference import ImageReference
from tests.forges.github_server import Fault, GitHubServer
from tests.forges.repositories import commit, git, sha, show
from tests.pins.bumping import (
    FILE,
    NAME,
    NEW,
    NEWER,
    OLD,
    OTHER,
    SOURCE,
    description,
    github,
    hubs,
    image,
    nobody,
    pin,
    run,
)

__all__ = ["description", "github", "hubs", "image", "nobody", "pin"]
BASE = Group.of(["base"])


def test_a_bump_moves_exactly_one_hubs_tag(hubs: Path, image: ImageReference, pin: str) -> None:
    done = run(hubs, image)
    assert done.request is not None
    assert (done.request.number, done.request.state) == (1, "created")
    assert done.branch == "hubtool/bump/base/team-base-user-image"
    assert done.commit == sha(hubs, done.branch)
    assert git(hubs, "diff-tree", "-r", "--name-status", "staging", done.branch) == f"M\t{FILE}"
    assert show(hubs, done.branch, FILE).decode() == pin.replace(f"tag: {OLD}", f'tag: "{NEW}"')
    assert show(hubs, "staging", FILE).decode() == pin
    assert git(hubs, "rev-parse", f"{done.branch}^") == sha(hubs, "staging")


def test_the_request_says_what_moves_where_from_and_the_way_back(hubs: Path, image: ImageReference) -> None:
    run(hubs, image)
    text = (hubs / "requests/1.md").read_text()
    assert f'title: "base: base-user-image {OLD} → {NEW}"' in text
    assert 'labels: ["hub: base"]' in text
    assert f"| `{FILE}:6` | `jupyterhub.singleuser.image.tag` | `{OLD}` | `{NEW}` |" in text
    assert f"source commit: [`{'b' * 12}`]({SOURCE}/commit/{'b' * 40})" in text
    assert f"[`{'a' * 12}...{'b' * 12}`]({SOURCE}/compare/{'a' * 12}...{'b' * 12})" in text
    assert "digest: `sha256:" in text
    assert f"hubtool rollback --hub base --image {image.name} --deployment {hubs}" in text


def test_run_twice_there_is_one_request_and_no_second_commit(hubs: Path, image: ImageReference) -> None:
    first = run(hubs, image)
    second = run(hubs, image)
    assert second.request is not None
    assert (second.request.number, second.request.state, second.commit) == (1, "unchanged", first.commit)
    assert git(hubs, "for-each-ref", "--format=%(refname)", "refs/requests").split() == ["refs/requests/1/head"]


def test_a_newer_tag_refreshes_the_same_request(hubs: Path, image: ImageReference) -> None:
    first = run(hubs, image)
    second = run(hubs, image, NEWER)
    assert second.request is not None
    assert (second.request.number, second.request.state, second.branch) == (1, "refreshed", first.branch)
    assert git(hubs, "rev-list", "--count", f"staging..{second.branch}") == "1"
    assert f"tag: {NEWER} #" in show(hubs, second.branch, FILE).decode()
    assert f"→ {NEWER}" in (hubs / "requests/1.md").read_text()


def test_a_base_that_moved_is_built_upon_again(hubs: Path, image: ImageReference, pin: str) -> None:
    run(hubs, image)
    commit(hubs, "staging", {FILE: pin.replace("hub: {}", "hub: {a: 1}")})
    again = run(hubs, image)
    assert again.request is not None
    assert (again.request.number, again.request.state) == (1, "refreshed")
    assert git(hubs, "rev-parse", f"{again.branch}^") == sha(hubs, "staging")
    assert "hub: {a: 1}" in show(hubs, again.branch, FILE).decode()


def test_a_hub_that_is_there_already_needs_nothing(hubs: Path, image: ImageReference) -> None:
    before = git(hubs, "for-each-ref")
    done = run(hubs, image, OLD)
    assert (done.changes, done.request, done.commit) == ((), None, None)
    assert git(hubs, "for-each-ref") == before


def test_after_the_merge_there_is_nothing_to_do_and_the_next_tag_is_a_new_request(
    hubs: Path, image: ImageReference
) -> None:
    first = run(hubs, image)
    git(hubs, "update-ref", "refs/heads/staging", str(first.commit))
    assert run(hubs, image).changes == ()
    second = run(hubs, image, NEWER)
    assert second.request is not None
    assert (second.request.number, second.request.state) == (2, "created")


def test_a_branch_that_a_person_pushed_on_is_not_overwritten(hubs: Path, image: ImageReference) -> None:
    first = run(hubs, image)
    theirs = commit(hubs, first.branch, {"README.md": "by hand\n"})
    with pytest.raises(HubtoolError, match="holds work of somebody else"):
        run(hubs, image, NEWER)
    assert sha(hubs, first.branch) == theirs


def test_an_amended_commit_is_not_overwritten(hubs: Path, image: ImageReference, pin: str) -> None:
    first = run(hubs, image)
    message = git(hubs, "log", "-1", "--format=%B", first.branch)
    git(hubs, "update-ref", f"refs/heads/{first.branch}", sha(hubs, "staging"))
    theirs = commit(hubs, first.branch, {FILE: pin + "# by hand\n"}, message)
    with pytest.raises(HubtoolError, match="holds work of somebody else"):
        run(hubs, image, NEWER)
    assert sha(hubs, first.branch) == theirs


def test_a_dry_run_changes_nothing_and_shows_the_truth(hubs: Path, image: ImageReference) -> None:
    before = git(hubs, "for-each-ref")
    dry = run(hubs, image, dry_run=True)
    assert git(hubs, "for-each-ref") == before
    assert not (hubs / "requests").exists()
    real = run(hubs, image)
    assert (dry.diff(), dry.title, dry.body, dry.branch) == (real.diff(), real.title, real.body, real.branch)
    assert f'-      tag: {OLD} # at the release\n+      tag: "{NEW}" # at the release\n' in dry.diff()


def test_a_tag_that_the_registry_does_not_hold_is_refused(hubs: Path, image: ImageReference) -> None:
    before = git(hubs, "for-each-ref")
    with pytest.raises(HubtoolError, match="team/base-user-image:missing is not in the registry"):
        run(hubs, image, "missing")
    assert git(hubs, "for-each-ref") == before


def test_a_hub_that_is_not_there_names_those_that_are(hubs: Path, image: ImageReference) -> None:
    with pytest.raises(HubtoolError, match="no hub 'bas'; did you mean 'base'") as caught:
        run(hubs, image, hub="bas")
    assert caught.value.hint == "hubs there: base, other"


def test_an_image_that_is_not_pinned_names_those_that_are(hubs: Path, image: ImageReference) -> None:
    with pytest.raises(HubtoolError, match=r"hub base: no pin of .*/team/bas; images pinned there:\n.*base-user-image"):
        run(hubs, ImageReference(image.registry, "team/bas"))


def test_a_file_that_can_not_be_read_but_speaks_of_the_image_is_named(hubs: Path, image: ImageReference) -> None:
    commit(hubs, "staging", {"deployments/base/config/broken.yaml": f"a: [\nimage: {image.name}:{OLD}\n"})
    done = run(hubs, image, dry_run=True)
    assert "`deployments/base/config/broken.yaml`" in done.body


def test_an_error_in_the_second_hub_leaves_the_first_alone(hubs: Path, image: ImageReference, pin: str) -> None:
    commit(hubs, "staging", {OTHER: pin + f"  more:\n    image: {image.name}:{NEWER}\n"})
    before = git(hubs, "for-each-ref")
    with pytest.raises(HubtoolError, match="stand at 2 tags"):
        bump_hubs([BASE, Group.of(["other"])], [image.with_tag(NEW)], Deployment(repository=str(hubs)))
    assert git(hubs, "for-each-ref") == before


def test_each_hub_has_a_request_of_its_own(hubs: Path, image: ImageReference) -> None:
    done = bump_hubs([BASE, Group.of(["other"])], [image.with_tag(NEW)], Deployment(repository=str(hubs)))
    assert [one.request.number for one in done if one.request] == [1, 2]
    assert [[change.file for change in one.changes] for one in done] == [[FILE], [OTHER]]


def test_two_bumps_at_once_both_land(hubs: Path, image: ImageReference) -> None:
    done: list[Bump] = []
    wanted = [("base", NEW), ("other", NEW), ("base", NEW), ("other", NEW)]
    ready = threading.Barrier(len(wanted))

    def bump_one(hub: str, tag: str) -> None:
        ready.wait()
        done.append(run(hubs, image, tag, hub))

    threads = [threading.Thread(target=bump_one, args=one) for one in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted((one.group.name, one.request.number) for one in done if one.request)[::2] in (
        [("base", 1), ("other", 2)],
        [("base", 2), ("other", 1)],
    )
    assert len(list((hubs / "requests").glob("*.md"))) == 2


def test_a_branch_that_moves_under_the_push_is_looked_at_again(hubs: Path, image: ImageReference) -> None:
    """Another run of hubtool gets in between: the server finds the branch moved at the very push."""
    first = run(hubs, image)
    message = git(hubs, "log", "-1", "--format=%B", first.branch)
    (hubs / "message").write_text(message + "\n")
    hook = hubs / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(
        "#!/bin/sh\n[ -e once ] && exit 0\ntouch once\n"
        "unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES\n"
        "export GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL=x@example.org\n"
        "export GIT_COMMITTER_NAME=x GIT_COMMITTER_EMAIL=x@example.org\n"
        f"made=$(git commit-tree '{first.branch}^{{tree}}' -p staging -F message)\n"
        f"git update-ref 'refs/heads/{first.branch}' $made\n"
    )
    hook.chmod(0o755)
    second = run(hubs, image, NEWER)
    assert (hubs / "once").exists()
    assert second.commit == sha(hubs, second.branch)
    assert f"tag: {NEWER} #" in show(hubs, second.branch, FILE).decode()


def test_a_digest_pin_moves_with_its_tag(hubs: Path, image: ImageReference) -> None:
    old = "sha256:" + "0" * 64
    commit(hubs, "staging", {FILE: f"image: {image.name}:{OLD}@{old}\n"})
    done = run(hubs, image)
    assert show(hubs, done.branch, FILE).decode() == f"image: {image.name}:{NEW}@{done.new.digest}\n"


def test_an_override_in_another_file_of_the_hub_moves_along(hubs: Path, image: ImageReference) -> None:
    override = f"jupyterhub:\n  singleuser:\n    image:\n      tag: {OLD}\n"
    commit(hubs, "staging", {"deployments/base/config/staging.yaml": override})
    done = run(hubs, image)
    assert [change.file for change in done.changes] == [FILE, "deployments/base/config/staging.yaml"]


def test_a_repository_with_a_work_tree_gets_the_branch_and_keeps_its_files(
    tmp_path: Path, image: ImageReference, hubs: Path
) -> None:
    work = tmp_path / "work"
    git(tmp_path, "clone", "--quiet", str(hubs), str(work))
    (work / FILE).write_text("being edited\n")
    done = run(work, image)
    assert done.request is not None
    assert done.request.url == (work / ".git/requests/1.md").as_uri()
    assert sha(work, done.branch) == done.commit
    assert (work / FILE).read_text() == "being edited\n"
    assert git(work, "status", "--porcelain") == f"M {FILE}"


def test_hubs_elsewhere_are_found_where_hubtool_yaml_says(hubs: Path, image: ImageReference, pin: str) -> None:
    commit(hubs, "staging", {"config/x/values.yaml": pin, "config/y/values.yaml": pin})
    deployment = Deployment(repository=str(hubs), paths={"x": ("config/x",)})
    done = bump_hubs([Group.of(["x"])], [image.with_tag(NEW)], deployment)[0]
    assert [change.file for change in done.changes] == ["config/x/values.yaml"]


def test_a_request_on_another_branch_has_a_branch_of_its_own(hubs: Path, image: ImageReference, pin: str) -> None:
    commit(hubs, "prod", {FILE: pin})
    done = bump_hubs([BASE], [image.with_tag(NEW)], Deployment(repository=str(hubs), branch="prod"))[0]
    assert done.branch == "hubtool/bump/base/team-base-user-image@prod"
    assert run(hubs, image).request is not None
    assert len(list((hubs / "requests").glob("*.md"))) == 2


# ---- on GitHub


def on_github(image: ImageReference, tag: str = NEW, hub: str = "base") -> Bump:
    return bump_hubs([Group.of([hub])], [image.with_tag(tag)], Deployment(repository=NAME, labels=("hub: base",)))[0]


def test_on_github_two_runs_are_one_pull_request(github: GitHubServer, hubs: Path, image: ImageReference) -> None:
    first = on_github(image)
    writes = github.writes()
    second = on_github(image)
    assert first.request is not None
    assert second.request is not None
    assert (first.request.state, second.request.state) == ("created", "unchanged")
    assert first.request.url == f"{github.url}/{NAME}/pull/1"
    assert github.writes() == writes
    assert second.commit == sha(hubs, second.branch)


def test_on_github_a_newer_tag_refreshes_title_body_and_branch(
    github: GitHubServer, hubs: Path, image: ImageReference
) -> None:
    on_github(image)
    done = on_github(image, NEWER)
    pull = github.pulls[NAME][0]
    assert pull["title"] == f"base: base-user-image {OLD} → {NEWER}"
    assert NEWER in pull["body"]
    assert done.commit == sha(hubs, done.branch)
    assert len(github.pulls[NAME]) == 1


def test_on_github_a_killed_run_is_finished_by_the_next(
    github: GitHubServer, hubs: Path, image: ImageReference
) -> None:
    """Pushed, and then no answer for the pull request."""
    github.faults.append(Fault("POST", "/pulls$", 403, "Resource not accessible"))
    with pytest.raises(HubtoolError, match="no permission to open a pull request"):
        on_github(image)
    pushed = sha(hubs, "hubtool/bump/base/team-base-user-image")
    done = on_github(image)
    assert done.request is not None
    assert (done.request.state, done.commit) == ("created", pushed)


def test_on_github_two_at_once_are_one_pull_request(github: GitHubServer, image: ImageReference) -> None:
    done: list[Bump] = []
    ready = threading.Barrier(3)

    def bump_one() -> None:
        ready.wait()
        done.append(on_github(image))

    threads = [threading.Thread(target=bump_one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.request.number for one in done if one.request] == [1, 1, 1]
    assert len(github.pulls[NAME]) == 1
