"""hubtool demo: the whole line, on this machine alone."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import git

from hubtool import config, console
from hubtool.errors import HubtoolError
from hubtool.plan.records import read_record
from hubtool.sandbox import deployment
from hubtool.sandbox.parts import Parts, take_parts

FOLDER = Path("hubtool-demo")
IMAGE = "base-user-image"
HUBS = ("base", "other")
DEBIAN_PYTHON = "3.11"  # the base image's own, so that none has to be fetched


def demo(*, directory: Path | None) -> None:
    """Create, build, test, push and bump in DIRECTORY (default: hubtool-demo), with parts of this machine.

    What was started is ended; the image repository, the deployment repository and the registry's blobs stay.
    Run again, it takes up what the first run made. Raises HubtoolError where a part can't be had.
    """
    started = time.monotonic()
    folder = (directory or FOLDER).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    repository, bare = folder / IMAGE, folder / "deployment.git"
    with ExitStack() as stack:
        _lock(stack.enter_context((folder / ".lock").open("w")), folder)
        console.say("== Parts")
        parts = take_parts(stack, folder / "registry", _port(repository))
        console.say("\n== hubtool new")
        _make_repositories(repository, bare, parts)
        digest = _carry(repository, parts)
    _show(bare)
    console.result(f"\nimage: {digest}")
    console.say(f"repositories: {repository} and {bare}")
    console.say(f"done in {time.monotonic() - started:.0f} s; run it again, or remove {folder}")


def _lock(file: IO[str], folder: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise HubtoolError(f"another demo is at work in {folder}", hint="wait for it, or give --directory") from error


def _port(repository: Path) -> int | None:
    """The port that the last run's registry had: image references name it."""
    if not (repository / config.FILE_NAME).exists():
        return None
    host = config.load(repository, {}).reference(IMAGE).registry
    return int(host.rpartition(":")[2])


def _make_repositories(repository: Path, bare: Path, parts: Parts) -> None:
    if _is_whole(repository):
        console.say(f"{repository} is there from the last run")
    else:
        shutil.rmtree(repository, ignore_errors=True)
        _make_image_repository(repository, bare, parts)
    reference = config.load(repository, {}).reference(IMAGE)
    deployment.make_deployment(bare, str(reference), HUBS)


def _is_whole(repository: Path) -> bool:
    """Whether the last run got as far as the commit."""
    return (repository / ".git").exists() and git.Repo(repository).head.is_valid()


def _make_image_repository(repository: Path, bare: Path, parts: Parts) -> None:
    from hubtool.commands.new import new

    answers = {
        "registry": f"{parts.registry}/user-images",
        "hub_name": HUBS[0],
        "deployment_repository": str(bare),
        "deployment_branch": deployment.BRANCH,
        "environment": parts.environment,
        **({"base_image": parts.base, "python_version": DEBIAN_PYTHON} if parts.base else {}),
    }
    new(repository, template="hub-image", settings=[f"{k}={v}" for k, v in answers.items()], no_input=True)
    repo = git.Repo.init(repository, initial_branch="main")
    repo.create_remote("origin", f"https://forge.example/hubs/{IMAGE}")  # nobody asks there: the image's label says it
    deployment.commit_all(repo, "A hub's image")


def _carry(repository: Path, parts: Parts) -> str:
    """Build, test, push, bump; gives what was released, repository:tag@digest."""
    from hubtool.commands.release import release

    if parts.ca_bundle:
        os.environ["HUBTOOL_CA_BUNDLE"] = str(parts.ca_bundle)
    release([], root=repository, engine=parts.engine.name)
    record = read_record(repository, IMAGE)
    if record is None or record.digest is None:
        raise HubtoolError("nothing was released")
    return f"{record.reference}@{record.digest}"


def _show(bare: Path) -> None:
    """The pull request as the local forge keeps it: branch, commit, text and diff."""
    repo = git.Repo(bare)
    for page in sorted((bare / "requests").glob("*.md")):
        head = f"refs/requests/{page.stem}/head"
        console.result(f"\n== Pull request {page.stem}\n{page.read_text()}")
        console.result(repo.git.log(head, "-1", "--stat", "--format=commit %H%n%an <%ae>%n%n%B"))
        console.result("\n" + repo.git.diff(deployment.BRANCH, head))
