"""A deployment repository to try a bump on: two hubs that run one image, in the two forms that teams use."""

from __future__ import annotations

from pathlib import Path

import git

BRANCH = "staging"
PLACEHOLDER = "PLACEHOLDER"

HUBPLOY = """\
# Which cluster and image this hub is deployed with (hubploy).
images:
  images:
    - name: {image}:{tag}  # moved by hubtool

cluster:
  provider: gcloud
"""

COMMON = """\
jupyterhub:
  hub:
    config:
      JupyterHub:
        authenticator_class: dummy
  singleuser:
    image:
      name: {image}
      # hubs pull by tag, so a tag never moves
      pullPolicy: IfNotPresent
      tag: {tag}
    defaultUrl: /lab
"""


def make_deployment(bare: Path, image: str, hubs: tuple[str, ...]) -> None:
    """Make the bare repository BARE, whose HUBS all run IMAGE at the tag PLACEHOLDER; left alone where it exists."""
    if bare.exists():
        return
    beside = bare.with_suffix(".new")
    work = git.Repo.init(beside / "work", initial_branch=BRANCH, mkdir=True)
    for hub in hubs:
        folder = Path(work.working_dir) / "deployments" / hub
        (folder / "config").mkdir(parents=True)
        (folder / "hubploy.yaml").write_text(HUBPLOY.format(image=image, tag=PLACEHOLDER))
        (folder / "config" / "common.yaml").write_text(COMMON.format(image=image, tag=PLACEHOLDER))
    commit_all(work, "Hubs that wait for their image")
    clone = work.clone(str(beside / "bare.git"), bare=True)
    clone.close()
    (beside / "bare.git").rename(bare)
    git.rmtree(str(beside))


def commit_all(repo: git.Repo, message: str) -> None:
    """Commit everything in the work tree; with hubtool as the author where git knows no one."""
    author = git.Actor("hubtool demo", "hubtool-demo@localhost")
    repo.git.add(all=True)
    repo.index.commit(message, author=author, committer=author)
