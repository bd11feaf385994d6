from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hubtool.errors import HubtoolError
from hubtool.image.spool import spool_folder

HOLD = """
import sys, time
from hubtool.image.spool import spool_folder
with spool_folder() as folder:
    (folder / "large").write_bytes(b"x" * 1000)
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import tempfile

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_the_folder_goes_away_after_use_and_after_a_failure(parent: Path) -> None:
    with spool_folder() as folder:
        assert folder.parent == parent
        (folder / "file").write_text("x")
    with pytest.raises(RuntimeError), spool_folder():
        raise RuntimeError
    assert list(parent.iterdir()) == []


def test_what_a_killed_run_left_is_removed_by_the_next_but_a_running_one_keeps_its_own(parent: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(parent)}
    ) as other:
        assert other.stdout is not None
        left = Path(other.stdout.readline().strip())
        with spool_folder():
            assert (left / "large").exists()
        other.send_signal(signal.SIGKILL)
    assert left.exists()
    with spool_folder() as folder:
        assert list(parent.iterdir()) == [folder]


def test_too_little_space_is_said_before_anything_is_done(parent: Path) -> None:
    with pytest.raises(HubtoolError, match="GB are needed for a while") as caught, spool_folder(needed=10**18):
        pass
    assert "$TMPDIR" in str(caught.value)
    assert list(parent.iterdir()) == []
