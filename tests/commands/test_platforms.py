"""A stack for two platforms: one build of each, and one image for both under the tags that they share."""

from __future__ import annotations

import json

import git
import pytest

from hubtool.reference import ImageReference
from hubtool.registries import open_client
from hubtool.registries.release import read_release
from tests.builders.conftest import write_files
from tests.commands.stacks import HEAD, Stack

pytestmark = [pytest.mark.engine, pytest.mark.slow]

# Nothing is run in them, so that they are built without an emulator.
STACK = """\
registry: {registry}/stack
repository: team-{{image}}
layers: as-built
axes:
  tool: [red, blue]
  platform: [amd64, arm64]
defaults: {{builder: dockerfile, contract: none, axes: [platform]}}
images:
  base: {{context: base, base: scratch, tags: ["latest", "{{commit}}"]}}
  tool: {{context: tool, from: base, axes: [tool, platform], args: {{TOOL: "{{tool}}"}}}}
"""
FILES = {
    "base/Dockerfile": HEAD + "ARG TARGETARCH\nCOPY $TARGETARCH.txt /base.txt\n",
    "base/amd64.txt": "amd64\n",
    "base/arm64.txt": "arm64\n",
    "tool/Dockerfile": HEAD + "ARG TOOL\nCOPY $TOOL.txt /tool.txt\n",
    "tool/red.txt": "red\n",
    "tool/blue.txt": "blue\n",
}


@pytest.fixture
def both(stack: Stack) -> Stack:
    stack.write(STACK, FILES)
    return stack


def platforms(stack: Stack, image: str, tag: str) -> dict[str, str]:
    """Digests of the images behind a tag, by platform."""
    reference = ImageReference.parse(f"{stack.host}/stack/team-{image}:{tag}")
    with open_client(reference) as client:
        release, manifest = read_release(client, reference), client.get_manifest(tag)
        assert release is not None
        assert manifest is not None
        entries = json.loads(manifest.content)["manifests"]
        for entry in entries:
            image_manifest = client.get_manifest(entry["digest"])
            assert image_manifest is not None
            config = json.loads(client.get_blob(json.loads(image_manifest.content)["config"]["digest"]))
            assert config["architecture"] == entry["platform"]["architecture"]
    return {"/".join(entry["platform"].values()): entry["digest"] for entry in entries}


def test_a_release_joins_the_platforms_of_each_image_under_one_tag(both: Stack) -> None:
    first = git.Repo(both.root).head.commit.hexsha[:12]
    assert list(both.plan()) == [
        *("base[amd64]", "base[arm64]"),
        *("tool[red,amd64]", "tool[red,arm64]", "tool[blue,amd64]", "tool[blue,arm64]"),
    ]
    done = both.run("release", "--jobs", "2", "--json")
    assert done.returncode == 0, done.stderr
    releases = {one["image"]: one for one in json.loads(done.stdout)["releases"]}
    assert list(releases) == ["base", "tool[red]", "tool[blue]"]
    assert releases["tool[red]"]["reference"].partition("@")[0].endswith(f"team-tool:{first}-red")
    assert both.tags("base") == {f"{tag}{end}" for tag in ("latest", first) for end in ("", "-amd64", "-arm64")}
    joined = platforms(both, "tool", f"{first}-blue")
    assert set(joined) == {"linux/amd64", "linux/arm64"}
    assert joined["linux/arm64"] == both.labels("tool", f"{first}-blue-arm64")[0]

    assert set(both.plan().values()) == {("reuse", "unchanged")}
    again = both.run("release", "--json")
    assert [one["state"] for one in json.loads(again.stdout)["releases"]] == ["unchanged"] * 3

    write_files(both.root, {"base/arm64.txt": "other\n"})
    second = both.commit("one platform's file")
    assert both.run("release").returncode == 0
    assert platforms(both, "base", "latest") == platforms(both, "base", second)
    assert platforms(both, "base", second) != platforms(both, "base", first)


def test_half_of_an_image_gets_no_tag_that_hubs_pin(both: Stack) -> None:
    commit = git.Repo(both.root).head.commit.hexsha[:12]
    done = both.run("release", "base[arm64]")
    assert done.returncode == 0, done.stderr
    assert "its tags are set together with base[amd64], not here" in done.stderr
    assert done.stdout == ""
    assert both.tags("base") == {f"{commit}-arm64", "latest-arm64"}
    assert both.run("build").returncode == 0
    assert both.run("push").returncode == 0
    assert commit in both.tags("base")

    (both.root / "base/amd64.txt").unlink()
    second = both.commit("broken on one")
    done = both.run("release")
    assert done.returncode == 1
    assert "base[amd64] failed" in done.stderr
    assert "tool[red,amd64] is left out" in done.stderr
    assert {tag for tag in both.tags("tool") if tag.startswith(second)} == {
        f"{second}-red-arm64",
        f"{second}-blue-arm64",
    }


def test_a_shared_tag_that_names_another_image_stays(both: Stack) -> None:
    commit = git.Repo(both.root).head.commit.hexsha[:12]
    assert both.run("release", "base").returncode == 0
    with open_client(ImageReference.parse(f"{both.host}/stack/team-base")) as client:
        other = client.get_manifest(f"{commit}-arm64")
        assert other is not None
        client.put_manifest(other.content, other.media_type, commit)
    done = both.run("release", "base")
    assert done.returncode == 1
    assert f"team-base:{commit} names {other.digest} already, which is another image" in done.stderr


def test_the_runner_of_a_leg_has_its_platform(both: Stack) -> None:
    stages = json.loads(both.run("plan", "--github-matrix", "base").stdout)
    assert [leg["runner"] for leg in stages["stage1"]["include"]] == ["ubuntu-latest", "ubuntu-24.04-arm"]


def test_a_build_that_needs_an_emulator_says_so(both: Stack) -> None:
    # Neither kind of machine runs this: the message is the same as for the other platform's programs.
    write_files(both.root, {"base/Dockerfile": HEAD + "COPY --chmod=755 amd64.txt /bin/sh\nRUN true\n"})
    both.commit("with a RUN")
    done = both.run("build", "base[arm64]")
    assert done.returncode == 1
    assert "this machine does not run what is made for linux/arm64" in done.stderr
    assert "tonistiigi/binfmt --install arm64" in done.stderr
