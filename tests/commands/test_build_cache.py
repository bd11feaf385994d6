"""The registry build cache: used by default where it is there, and never in the way of a build."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hubtool.builders import Cache
from hubtool.commands.build_cache import CacheRules, find_cache
from hubtool.config import parse
from hubtool.engines import get_engine
from hubtool.errors import HubtoolError
from hubtool.plan import Variant, make_plan
from hubtool.plan.source import read_source
from hubtool.process import run
from tests.commands.scratch import NOBODY, Scratch
from tests.registries.front import Front

pytestmark = pytest.mark.engine


def asked(front: Front, tag: str = "buildcache") -> list[str]:
    return [seen.method for seen in front.seen if seen.path.endswith(f"/manifests/{tag}")]


def forget(scratch: Scratch) -> None:
    """As on another machine, whose registry has no image of these files, but the cache."""
    (scratch.root / ".hubtool" / "small.json").unlink()
    run("docker", "builder", "prune", "--all", "--force")


def test_what_is_written_on_one_machine_is_read_on_the_next_by_default(scratch: Scratch) -> None:
    tag = scratch.write("Dockerfile", "FROM scratch\nCOPY content /\nCOPY content /again\n")
    first = scratch.run("build", "--cache-write")
    assert first.returncode == 0
    assert "importing cache manifest" not in first.stderr
    assert scratch.tags() == ["buildcache"]
    run("docker", "rmi", "--force", f"{scratch.reference.name}:{tag}")
    forget(scratch)
    done = scratch.run("build")
    assert done.stderr.count("CACHED") == 2


def test_a_release_writes_it_and_a_dry_run_does_not(scratch: Scratch) -> None:
    assert scratch.run("release", "--dry-run").returncode == 0
    assert scratch.tags() == []
    scratch.write("content", "another")
    assert scratch.run("release").returncode == 0
    assert "buildcache" in scratch.tags()


@pytest.mark.parametrize("off", ["--no-cache", "cache: false"])
def test_where_it_is_off_nobody_asks_for_it(scratch: Scratch, front: Front, off: str) -> None:
    words = [off] if off.startswith("--") else []
    scratch.write("hubtool.yaml", scratch.settings + ("" if words else f"{off}\n"))
    assert scratch.run("build", *words, *([] if words else ["--cache-write"])).returncode == 0
    assert asked(front) == []


@pytest.mark.parametrize(
    ("setting", "words", "tag"),
    [
        ("cache: {host}/elsewhere", [], "buildcache-small"),
        ("cache: {host}/elsewhere:mine", [], "mine"),
        ("cache: false", ["--cache", "{host}/elsewhere:given"], "given"),
    ],
)
def test_another_place_is_asked_where_one_is_named(
    scratch: Scratch, front: Front, setting: str, words: list[str], tag: str
) -> None:
    scratch.write("hubtool.yaml", f"{scratch.settings}{setting.format(host=front.host)}\n")
    assert scratch.run("build", *(word.format(host=front.host) for word in words)).returncode == 0
    assert asked(front, tag)[0] == "GET"
    assert asked(front) == []


def test_one_that_is_nowhere_is_said_and_the_build_goes_on(scratch: Scratch) -> None:
    done = scratch.run("build", "--cache", "127.0.0.1:1/no/where", "--cache-write")
    assert done.returncode == 0
    assert "building without the build cache 127.0.0.1:1/no/where:buildcache-small" in done.stderr


def test_one_that_may_not_be_written_is_read_all_the_same(scratch: Scratch, front: Front) -> None:
    assert scratch.run("build", "--cache-write").returncode == 0
    scratch.write("content", "another")
    front.seen.clear()
    front.fault("POST", "/blobs/uploads/", status=403, times=100)
    done = scratch.run("build", "--cache-write")
    assert done.returncode == 0
    assert "is not written: may not push to" in done.stderr
    assert "PUT" not in asked(front)
    assert "importing cache manifest" in done.stderr


def test_a_fork_s_build_reads_what_anyone_may_and_has_no_credentials(scratch: Scratch, front: Front) -> None:
    assert scratch.run("build", "--cache-write").returncode == 0
    scratch.write("content", "another")
    front.seen.clear()
    done = scratch.run("build", env={**NOBODY, "DOCKER_CONFIG": str(scratch.root.parent / "nothing")})
    assert done.returncode == 0
    assert "asks for a login" in done.stderr
    assert not [seen for seen in front.seen if "Authorization" in seen.headers]


@pytest.fixture
def silent() -> Iterator[str]:
    """A host that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        open_ones: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    open_ones.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def variant_of(root: Path, text: str) -> Variant:
    return make_plan(parse(text.encode(), root / "hubtool.yaml", {}), root, read_source(root))[0]


def test_one_that_never_answers_is_given_up(scratch: Scratch, silent: str, capsys: pytest.CaptureFixture[str]) -> None:
    variant = variant_of(scratch.root, f"registry: {silent}/team\nimages: {{small: }}\ncache: {silent}/team/cache\n")
    assert find_cache(variant, get_engine("buildah"), CacheRules(write=True)) == Cache()
    assert "did not answer in time" in capsys.readouterr().err


def test_buildah_whose_cache_grows_has_one_only_where_somebody_named_it(
    scratch: Scratch, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NOBODY:
        monkeypatch.setenv(name, scratch.environment[name])
    variant, buildah = variant_of(scratch.root, scratch.settings), get_engine("buildah")
    assert find_cache(variant, buildah, CacheRules()) == Cache()
    assert asked(front) == []
    found = find_cache(variant, buildah, CacheRules(f"{front.host}/named", write=True))
    assert found == Cache(f"{front.host}/named:buildcache-small", read=True, write=True)


@pytest.mark.parametrize(("place", "write"), [("r.io/a/b", False), (None, True)])
def test_none_goes_with_no_other_wish(place: str | None, write: bool) -> None:
    with pytest.raises(HubtoolError, match="--no-cache"):
        CacheRules(place, write, off=True)
