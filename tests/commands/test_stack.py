"""A stack with real parts: five images on two axes, built, tested and released, changed, released again."""

from __future__ import annotations

import re
import subprocess

import git
import pytest

from hubtool.engines import get_engine
from hubtool.sandbox.network import private_bundle
from tests.builders.conftest import shell, write_files
from tests.commands.stacks import HEAD, VARIANTS, Stack

pytestmark = [pytest.mark.engine, pytest.mark.slow]


def built_in(done: subprocess.CompletedProcess[str]) -> set[str]:
    """The references that a run built."""
    return {line.split()[1] for line in done.stderr.splitlines() if line.startswith("building ")}


def test_a_stack_is_built_once_and_then_only_what_a_change_reaches(stack: Stack) -> None:
    stack.write()
    first = git.Repo(stack.root).head.commit.hexsha[:12]
    assert stack.plan() == {
        name: ("build", "not in the registry") if name.startswith("base") else ("build", f"built on {parent_of(name)}")
        for name in VARIANTS
    }
    done = stack.run("release", "--jobs", "3")
    assert done.returncode == 0, done.stderr
    assert len(built_in(done)) == 11
    assert len(done.stdout.splitlines()) == 11
    sent = re.findall(r"layer (\w+) \(\d+ of \d+\) sent", done.stderr)  # a child's from its parent, of this very run
    assert sent
    assert len(sent) == len(set(sent))
    assert stack.tags("lang") == {
        *("red", "blue", "red-gpu", "blue-gpu"),
        *(f"{tool}-{first}" for tool in ("red", "blue", "red-gpu", "blue-gpu")),
    }

    assert set(stack.plan().values()) == {("reuse", "unchanged")}

    write_files(stack.root, {"bundle/word.txt": "two\n"})
    second = stack.commit("another word")
    expected = dict.fromkeys(VARIANTS, ("reuse", "unchanged"))
    expected |= {f"bundle[{tool}]": ("build", "changed: word.txt") for tool in ("red", "blue")}
    expected |= {f"app[{tool}]": ("build", f"built on bundle[{tool}]") for tool in ("red", "blue")}
    assert stack.plan() == expected

    done = stack.run("release")
    assert done.returncode == 0, done.stderr
    assert built_in(done) == {
        f"{stack.host}/stack/team-{image}:{tool}-{second}" for image in ("bundle", "app") for tool in ("red", "blue")
    }
    # What did not change has the new commit's tags, and the very digest of the first release.
    assert stack.labels("other", second)[0] == stack.labels("other", first)[0]
    assert stack.labels("lang", "red")[0] == stack.labels("lang", f"red-{first}")[0]
    assert stack.labels("app", f"red-{second}")[0] != stack.labels("app", f"red-{first}")[0]
    # A child was built on the very parent: on the engine's, or on the registry's by its digest.
    assert (
        stack.labels("bundle", f"blue-{second}")[1]["org.opencontainers.image.base.digest"]
        == (stack.labels("lang", "blue")[0])
    )
    assert set(stack.plan().values()) == {("reuse", "unchanged")}


def parent_of(name: str) -> str:
    image, _, values = name.partition("[")
    values = values.removesuffix("]")
    return {
        "lang": f"base[{values.rpartition(',')[2]}]",
        "bundle": f"lang[{values},cpu]",
        "app": f"bundle[{values}]",
        "other": "base[cpu]",
    }[image]


def test_a_variant_that_fails_takes_only_what_is_built_on_it(stack: Stack) -> None:
    stack.write(**{"bundle/Dockerfile": HEAD + "ARG TOOL\nCOPY only-$TOOL.txt /\n", "bundle/only-red.txt": ""})
    done = stack.run("release", "--jobs", "2")
    assert done.returncode == 1
    assert "bundle[blue] failed: " in done.stderr
    assert "app[blue] is left out: bundle[blue] failed" in done.stderr
    assert "1 of 11 failed" in done.stderr
    commit = git.Repo(stack.root).head.commit.hexsha[:12]
    assert stack.tags("bundle") == {f"red-{commit}"}
    assert stack.tags("app") == {f"red-{commit}"}
    assert len(stack.tags("lang")) == 8
    assert len(done.stdout.split()) == 9  # what was released, and nothing else


HUB = """\
registry: {registry}/stack
images:
  base: {{builder: dockerfile, context: base, base: "{base}", contract: none}}
  hub: {{from: base, context: hub, environment: uv, contract: none}}
"""


def test_repo2docker_builds_on_an_image_of_the_file(stack: Stack, base_image: str) -> None:
    docker = get_engine("docker")
    bundle = private_bundle()
    site = {"HUBTOOL_CA_BUNDLE": str(bundle)} if bundle else {}
    files = {
        "hubtool.yaml": HUB.format(registry=stack.host, base=base_image),
        "base/Dockerfile": HEAD + "RUN echo one > /etc/marker\n",
        "hub/requirements.txt": "six==1.17.0\n",
        "hub/.python-version": "3.11\n",
    }
    write_files(stack.root, files)
    stack.commit("a hub on a base")
    done = stack.run("build", **site)
    assert done.returncode == 0, done.stderr
    base, hub = done.stdout.split()
    shown = shell(docker, hub, "cat /etc/marker; python -c 'import six; print(six.__version__)'")
    assert shown.split() == ["one", "1.17.0"]
    parent, child = docker.inspect(base), docker.inspect(hub)
    assert parent
    assert child
    assert child.config["Labels"]["org.opencontainers.image.base.digest"] == parent.id
    assert child.config["User"] in ("jovyan", "1000")

    write_files(stack.root, {"base/Dockerfile": HEAD + "RUN echo two > /etc/marker\n"})
    stack.commit("another base")
    assert stack.plan()["hub"] == ("build", "built on base")
    again = stack.run("build", **site)
    assert len(built_in(again)) == 2
    assert shell(docker, again.stdout.split()[1], "cat /etc/marker").strip() == "two"


def test_one_variant_is_built_with_what_it_stands_on(stack: Stack) -> None:
    stack.write()
    done = stack.run("build", "app[red]")
    assert done.returncode == 0, done.stderr
    commit = git.Repo(stack.root).head.commit.hexsha[:12]
    names = ["base:" + commit, f"lang:red-{commit}", f"bundle:red-{commit}", f"app:red-{commit}"]
    assert done.stdout.split() == [f"{stack.host}/stack/team-{name}" for name in names]
    again = stack.run("build", "app[red]")
    assert not built_in(again)
    said = stack.run("build", "app[green]")
    assert said.returncode == 1
    assert "no variant 'app[green]'" in said.stderr
    assert "variants of app: app[red], app[blue]" in said.stderr
