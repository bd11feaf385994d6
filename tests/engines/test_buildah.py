"""What buildah alone does: its working containers lie in a storage that others use too."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from hubtool.engines import Engine
from hubtool.errors import HubtoolError
from hubtool.process import run
from tests.engines.conftest import SMALL, build_of, no_working_container

pytestmark = pytest.mark.engine


@pytest.mark.parametrize(("theirs", "left"), [("the same", True), ("its own", False)])
def test_what_a_build_left_is_removed_unless_others_build_in_the_same_storage(
    theirs: str, left: bool, buildah_engine: Engine, tmp_path: Path
) -> None:
    settings = {"the same": os.environ["CONTAINERS_STORAGE_CONF"], "its own": str(tmp_path / "storage.conf")}[theirs]
    other = tmp_path / "buildah"  # a program that is called so, with a build's arguments, and does nothing
    other.symlink_to("/bin/sh")
    building = subprocess.Popen(
        [other, "-c", "read end", "bud"], stdin=subprocess.PIPE, env={**os.environ, "CONTAINERS_STORAGE_CONF": settings}
    )
    try:
        with pytest.raises(HubtoolError):
            list(buildah_engine.build(build_of(f"FROM {SMALL}\nRUN exit 1\n")))
        assert bool(run("buildah", "containers", "--quiet").stdout) == left
    finally:
        building.communicate(b"end\n")
        run("buildah", "rm", "--all")


def test_a_build_that_fails_leaves_nothing_when_the_last_of_those_at_once_has_ended(buildah_engine: Engine) -> None:
    slow = buildah_engine.build(build_of(f"FROM {SMALL}\nRUN echo {time.time()} && sleep 4\n"))
    next(slow)
    with pytest.raises(HubtoolError):
        list(buildah_engine.build(build_of(f"FROM {SMALL}\nRUN exit 1\n", "localhost/hubtool-test:failing")))
    list(slow)
    no_working_container(buildah_engine)
