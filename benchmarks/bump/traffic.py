"""What one bump costs the network: `python -m benchmarks.bump.traffic [--files N] [--commits N]`.

One hub's pin is moved in a deployment repository of 2,000 files with 200 commits, held by the tests' stand-in for
GitHub (its API over HTTP with gzip, git by git's own http-backend). Counted at that server: requests, and bytes with
their headers, both ways.

- hubtool without a clone (GitHub's Git data API), and by git (HUBTOOL_GITHUB_CLONE=1: shallow, without blobs). Both
  lines have the pull request in them: is it open already, open it, are there others that it supersedes.
- hubtool again, when the request is there: nothing to do.
- What hubs' workflows do: clone (of depth 1, as actions/checkout does, and whole), sed, commit, push; the pull request
  comes on top, and is not counted.

Every line starts from a fresh copy. One file in five is encrypted, as sops leaves it.
"""

from __future__ import annotations

import argparse
import base64
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.bump.pins import write_files
from hubtool.config import Deployment
from hubtool.console import table
from hubtool.forges.github import CLONE
from hubtool.pins.proposals.bump import bump_hubs
from hubtool.pins.proposals.request import Group
from hubtool.process import run
from hubtool.reference import ImageReference
from hubtool.sandbox.parts import cache_folder
from hubtool.sandbox.registry import local_registry
from tests.forges.conftest import NAME, forge_at
from tests.forges.description import Description, fetch
from tests.forges.github_server import GitHubServer, serve
from tests.forges.repositories import bare, commit_many
from tests.registries.parts import client_for, put_image

BRANCH, HUB = "staging", "base"
FILE = f"deployments/{HUB}/config/common.yaml"
OLD, NEW = "3b73cd8f0bbe", "aaaabbbbcccc"
SECRET_EVERY = 5

Way = Callable[[GitHubServer, ImageReference, Path], None]


# ---- the repository


def make_repository(path: Path, image: ImageReference, files: int, commits: int) -> None:
    """A bare repository with FILES files and COMMITS commits, packed as a server has it."""
    with tempfile.TemporaryDirectory(prefix="hubtool-benchmark-") as folder:
        secrets = files // SECRET_EVERY
        write_files(Path(folder), files - secrets - 1)
        there = {str(file.relative_to(folder)): file.read_text() for file in Path(folder).rglob("*.yaml")}
    rng = random.Random(2026)
    for number in range(secrets):
        there[f"deployments/hub{number:04}/secrets/prod.yaml"] = secret(rng)
    bare(path, {FILE: pin(image, OLD)}, BRANCH)
    commit_many(path, BRANCH, [there, *changes(there, rng, commits - 2)])
    run("git", "-C", path, "repack", "-a", "-d", "-q")


def pin(image: ImageReference, tag: str) -> str:
    return f"jupyterhub:\n  singleuser:\n    image:\n      name: {image.name}\n      tag: {tag}\n"


def secret(rng: random.Random) -> str:
    values = (base64.b64encode(rng.randbytes(60)).decode() for _ in range(20))
    lines = "".join(f"  key{number}: ENC[AES256_GCM,data:{value}]\n" for number, value in enumerate(values))
    return f"jupyterhub:\n{lines}sops:\n  version: 3.9.0\n"


def changes(there: Mapping[str, str], rng: random.Random, count: int) -> Iterator[dict[str, str]]:
    """COUNT changes of a line each, in any file."""
    names = sorted(there)
    for number in range(count):
        name = rng.choice(names)
        yield {name: f"{there[name]}# change {number}\n"}


# ---- the ways


def by_hubtool(server: GitHubServer, image: ImageReference, folder: Path) -> None:
    deployment = Deployment(repository=NAME, branch=BRANCH)
    done = bump_hubs([Group.of([HUB])], [image.with_tag(NEW)], deployment)
    assert done[0].request is not None


def by_hubtools_clone(server: GitHubServer, image: ImageReference, folder: Path) -> None:
    os.environ[CLONE] = "1"
    try:
        by_hubtool(server, image, folder)
    finally:
        del os.environ[CLONE]


def by_sed(*options: str) -> Way:
    """Clone with OPTIONS, sed, commit, push."""

    def way(server: GitHubServer, image: ImageReference, folder: Path) -> None:
        remote = forge_at(server.api).remote()
        env = {"GIT_CONFIG_COUNT": str(len(remote.config)), "GIT_CONFIG_GLOBAL": os.devnull}
        for number, (key, value) in enumerate(remote.config):
            env |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        who = ("-c", "user.name=Some Team", "-c", "user.email=team@example.org")
        run("git", "clone", "--quiet", *options, remote.url, folder, env=env)
        run("sed", "-i", f"s/{OLD}/{NEW}/", folder / FILE)
        run("git", "-C", folder, *who, "commit", "--quiet", "--all", "--message=bump", env=env)
        run("git", "-C", folder, "push", "--quiet", "origin", "HEAD:refs/heads/bump", env=env)

    return way


# Of several, the last is counted.
WAYS: dict[str, tuple[Way, ...]] = {
    "hubtool bump": (by_hubtool,),
    "hubtool bump, by git": (by_hubtools_clone,),
    "hubtool bump, again": (by_hubtool, by_hubtool),
    "git clone --depth=1, sed, push": (by_sed("--depth=1", "--no-tags", f"--branch={BRANCH}"),),
    "git clone, sed, push": (by_sed(),),
}


# ---- counting


def forget(server: GitHubServer) -> None:
    server.seen.clear()
    server.git_seen.clear()
    server.received = server.sent = 0


def measure(ways: tuple[Way, ...], hubs: Path, image: ImageReference, description: Description) -> tuple[str, ...]:
    """Requests, kB from and to the server, and seconds of the last of WAYS on a copy of HUBS."""
    with tempfile.TemporaryDirectory(prefix="hubtool-benchmark-") as folder:
        shutil.copytree(hubs, Path(folder, f"{NAME}.git"))
        with serve(GitHubServer(description, Path(folder))) as server:
            os.environ |= {"GITHUB_TOKEN": server.token(), "GITHUB_API_URL": server.api}
            for way in ways:
                forget(server)
                started = time.perf_counter()
                way(server, image, Path(folder, "clone"))
            seconds = time.perf_counter() - started
        assert server.problems == []
        requests = len(server.seen) + len(server.git_seen)
        return str(requests), f"{server.sent / 1000:,.1f}", f"{server.received / 1000:,.1f}", f"{seconds:.2f}"


@contextmanager
def released(folder: Path) -> Iterator[ImageReference]:
    """An image with both releases in a registry of our own, whose traffic does not count."""
    with local_registry(folder) as host:
        image = ImageReference(host, "team/base-user-image")
        with client_for(image.with_tag(OLD), None) as client:
            for tag in (OLD, NEW):
                put_image(client, tag, labels={"tag": tag})
        yield image


def main() -> None:
    parser = argparse.ArgumentParser(description="What one bump costs the network.")
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--commits", type=int, default=200)
    given = parser.parse_args()
    description = Description(fetch(cache_folder()))
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="hubtool-benchmark-"))
        image = stack.enter_context(released(Path(folder, "registry")))
        hubs = Path(folder, "hubs.git")
        make_repository(hubs, image, given.files, given.commits)
        assert description.schema.mutation_type  # read now, not while the first way is timed
        rows = [(name, *measure(ways, hubs, image, description)) for name, ways in WAYS.items()]
    print(f"{given.files:,} files, {given.commits} commits; the seconds have no network in them")
    print(table(rows, ("way", "requests", "kB from GitHub", "kB to GitHub", "seconds")))


if __name__ == "__main__":
    main()
