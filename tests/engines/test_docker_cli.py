from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from hubtool.engines import EngineBuild
from hubtool.engines.docker_cli import DockerCli, build_arguments, find_cli
from hubtool.errors import HubtoolError

BUILDX = DockerCli(Path("docker"), "28.0.0", buildx=True)
PLAIN = DockerCli(Path("docker"), "20.10.24", buildx=False)
PROGRAM = """#!/bin/sh
case "$1" in
  --version) echo 'Docker version {version}, build 0' ;;
  buildx) {buildx} ;;
esac
"""


def programs(root: Path, versions: Mapping[str, tuple[str, bool]]) -> str:
    """A PATH with a docker program in each folder named by VERSIONS."""
    for folder, (version, buildx) in versions.items():
        (root / folder).mkdir()
        program = root / folder / "docker"
        program.write_text(PROGRAM.format(version=version, buildx="exit 0" if buildx else "exit 1"))
        program.chmod(0o755)
    return os.pathsep.join(str(root / folder) for folder in versions)


@pytest.mark.parametrize(
    ("versions", "chosen", "buildx"),
    [
        ({"a": ("28.2.2", False), "b": ("28.2.2", True)}, "b", True),
        ({"a": ("28.2.2", False), "b": ("20.10.24+dfsg1", False)}, "b", False),
        ({"a": ("20.10.24", False), "b": ("27.0", True)}, "b", True),
        ({"a": ("22.9", False), "b": ("19.3", False)}, "a", False),
    ],
)
def test_the_program_with_buildx_is_taken_else_one_that_needs_none(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    versions: Mapping[str, tuple[str, bool]],
    chosen: str,
    buildx: bool,
) -> None:
    monkeypatch.setenv("PATH", programs(tmp_path, versions))
    found = find_cli()
    assert (found.path.parent.name, found.buildx) == (chosen, buildx)


def test_a_program_that_cannot_build_is_an_error_that_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if Path("/usr/bin/docker").exists():
        # What stands at the fixed path is found as well; it must then be the one.
        monkeypatch.setenv("PATH", programs(tmp_path, {"a": ("28.2.2", False)}))
        assert find_cli().path == Path("/usr/bin/docker")
        return
    monkeypatch.setenv("PATH", programs(tmp_path, {"a": ("28.2.2", False)}))
    with pytest.raises(HubtoolError, match="without the buildx plug-in") as caught:
        find_cli()
    assert "apt-get install" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("cli", "build", "words"),
    [
        (PLAIN, EngineBuild("t", Path("/c"), "sub/Dockerfile"), ["build", "--file", "/c/sub/Dockerfile", "/c"]),
        (BUILDX, EngineBuild("t", Path("/c")), ["buildx", "build", "--load"]),
        (PLAIN, EngineBuild("t", Path("/c"), args={"A": "x y"}), ["--build-arg", "A=x y"]),
        (PLAIN, EngineBuild("t", Path("/c"), labels={"a.b": "$x"}), ["--label", "a.b=$x"]),
        (PLAIN, EngineBuild("t", Path("/c"), platform="linux/arm64"), ["--platform", "linux/arm64"]),
        (PLAIN, EngineBuild("t", Path("/c"), network="host"), ["--network", "host"]),
        (PLAIN, EngineBuild("t", Path("/c"), cache="r/c:x"), ["--cache-from", "r/c:x"]),
        (PLAIN, EngineBuild("t", Path("/c"), cache="r/c", cache_write=True), ["BUILDKIT_INLINE_CACHE=1"]),
        (BUILDX, EngineBuild("t", Path("/c"), cache="r/c:x"), ["--cache-from", "type=registry,ref=r/c:x"]),
        (BUILDX, EngineBuild("t", Path("/c"), local_base=True), ["buildx", "build", "--builder", "default"]),
        (BUILDX, EngineBuild("t", Path("/c"), extra=["--no-cache"]), ["--no-cache", "/c"]),
    ],
)
def test_a_build_becomes_arguments(cli: DockerCli, build: EngineBuild, words: list[str]) -> None:
    made = build_arguments(cli, build)
    places = [made.index(word) for word in words]
    assert places == sorted(places)
    assert made[-1] == "/c"


def test_buildx_writes_a_cache_that_registries_take_and_whose_failure_fails_no_build() -> None:
    made = build_arguments(BUILDX, EngineBuild("t", Path("/c"), cache="r/c:x", cache_write=True))
    written = made[made.index("--cache-to") + 1].split(",")
    assert written[:2] == ["type=registry", "ref=r/c:x"]
    assert "compression=gzip" in written
    assert {"mode=max", "image-manifest=true", "oci-mediatypes=true", "ignore-error=true"} <= set(written)
    only_written = build_arguments(BUILDX, EngineBuild("t", Path("/c"), cache="r", cache_read=False, cache_write=True))
    assert "--cache-from" not in only_written
    only_read = build_arguments(BUILDX, EngineBuild("t", Path("/c"), cache="r/c:x", cache_write=True), cache_to=False)
    assert "--cache-to" not in only_read


def test_the_password_of_a_proxy_stays_out_of_the_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://user:s3cret@proxy.example:3128")
    made = build_arguments(PLAIN, EngineBuild("t", Path("/c")))
    assert "HTTPS_PROXY" in made
    assert "s3cret" not in " ".join(made)
    given = build_arguments(PLAIN, EngineBuild("t", Path("/c"), args={"HTTPS_PROXY": "http://other"}))
    assert given.count("HTTPS_PROXY=http://other") == 1
    assert "HTTPS_PROXY" not in given
