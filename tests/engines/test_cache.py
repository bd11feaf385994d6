"""The registry build cache, by each engine as far as it can."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from hubtool.engines import Engine
from hubtool.process import run
from hubtool.sandbox.registry import local_registry
from tests.engines.conftest import build_of, no_working_container

pytestmark = pytest.mark.engine
MADE = "localhost/hubtool-test:made"


@pytest.fixture(scope="module")
def anyones(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry that asks for no login."""
    folder = tmp_path_factory.mktemp("registry")
    with local_registry(folder) as host, pytest.MonkeyPatch.context() as patch:
        (folder / "registries.conf").write_text(f'[[registry]]\nlocation = "{host}"\ninsecure = true\n')
        patch.setenv("CONTAINERS_REGISTRIES_CONF", str(folder / "registries.conf"))
        yield host


def forget(engine: Engine) -> None:
    """As on a machine that never built it."""
    engine.remove_image(MADE)
    if engine.name == "docker":
        run("docker", "builder", "prune", "--all", "--force")


def steps() -> str:
    """A Dockerfile that nobody built before."""
    return f"FROM scratch\nCOPY Dockerfile /{time.time()}\nCOPY Dockerfile /last\n"


def test_what_was_written_is_found_and_the_engine_keeps_no_image_of_its_name(engine: Engine, anyones: str) -> None:
    cache, text = f"{anyones}/cached/{engine.name}:buildcache", steps()
    list(engine.build(build_of(text, cache=cache, cache_read=False, cache_write=True)))
    assert engine.inspect(cache) is None
    forget(engine)
    again = list(engine.build(build_of(text, cache=cache)))
    # buildah 1.28, Debian 12's, finds a step there and runs it all the same.
    assert any("CACHED" in line or "Cache pulled" in line for line in again)
    assert engine.inspect(MADE) is not None
    tags = httpx.get(f"http://{anyones}/v2/cached/{engine.name}/tags/list", trust_env=False).json()["tags"]
    assert (tags == ["buildcache"]) == engine.bounded_cache


def test_a_cache_that_is_nowhere_fails_no_build(engine: Engine) -> None:
    lines = list(engine.build(build_of(steps(), cache="127.0.0.1:1/no/where:buildcache", cache_write=True)))
    assert engine.inspect(MADE) is not None
    assert any(line.startswith("build cache not written: ") for line in lines)
    no_working_container(engine)
