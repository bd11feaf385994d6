from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from hubtool.errors import HubtoolError
from hubtool.pins.scan import Change
from hubtool.pins.write import write_changes

FILES = ("a.yaml", "b/b.yaml", "c.yaml")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    (folder / "b").mkdir(parents=True)
    for name in FILES:
        (folder / name).write_bytes(b"old " + name.encode())
    return folder


def changes(*names: str) -> list[Change]:
    return [Change(name, b"old " + name.encode(), b"new\r\n", ()) for name in names or FILES]


def state(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_all_are_written_and_nothing_is_left_beside(root: Path) -> None:
    write_changes(root, changes())
    assert state(root) == dict.fromkeys(FILES, b"new\r\n")


def test_mode_and_owner_stay(root: Path) -> None:
    (root / "a.yaml").chmod(0o640)
    if os.geteuid() == 0:
        os.chown(root / "a.yaml", 12345, 23456)
    before = (root / "a.yaml").stat()
    write_changes(root, changes("a.yaml"))
    after = (root / "a.yaml").stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert stat.S_IMODE(after.st_mode) == 0o640


def fails(root: Path, message: str) -> None:
    before = state(root)
    with pytest.raises(HubtoolError, match=message):
        write_changes(root, changes())
    assert state(root) == before


def test_a_file_that_may_not_be_written_stops_all() -> None:
    with tempfile.TemporaryDirectory() as name:  # tmp_path is closed to other users
        root = Path(name)
        for file in ("a.yaml", "c.yaml"):
            (root / file).write_bytes(b"old " + file.encode())
        (root / "c.yaml").chmod(0o444)
        root.chmod(0o777)
        (root / "a.yaml").chmod(0o666)
        before = state(root)
        assert "c.yaml: may not be written, so nothing was" in as_nobody(lambda: write_changes(root, FLAT))
        assert state(root) == before


FLAT = changes("a.yaml", "c.yaml")


def as_nobody(work: Callable[[], None]) -> str:
    """What WORK raises where root's rights don't hold; a user has none of them anyway."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
        try:
            work()
        except HubtoolError as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        told = stream.read().decode()
    os.waitpid(child, 0)
    return told


def test_read_only_files_are_no_hindrance_to_who_may_write_them(root: Path) -> None:
    (root / "c.yaml").chmod(0o444)
    if os.geteuid() == 0:
        write_changes(root, changes())
        assert state(root) == dict.fromkeys(FILES, b"new\r\n")
        assert stat.S_IMODE((root / "c.yaml").stat().st_mode) == 0o444
    else:
        fails(root, r"c\.yaml: may not be written")


def test_a_file_that_changed_since_it_was_read_stops_all(root: Path) -> None:
    (root / "c.yaml").write_bytes(b"somebody else's")
    fails(root, r"c\.yaml: changed while hubtool worked on it")


def test_a_file_that_is_gone_stops_all(root: Path) -> None:
    (root / "c.yaml").unlink()
    fails(root, r"c\.yaml: cannot be read any more: No such file")


def test_a_link_is_neither_followed_nor_replaced(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.yaml"
    outside.write_bytes(b"old c.yaml")
    (root / "c.yaml").unlink()
    (root / "c.yaml").symlink_to(outside)
    fails(root, r"c\.yaml: is a link now")
    assert (root / "c.yaml").is_symlink()


def test_nor_is_a_folder_that_became_a_link(root: Path, tmp_path: Path) -> None:
    (root / "b").rename(tmp_path / "outside")
    (root / "b").symlink_to(tmp_path / "outside")
    fails(root, r"b\.yaml: is a link now")
    assert (tmp_path / "outside/b.yaml").read_bytes() == b"old b/b.yaml"


def test_the_folder_that_is_named_may_be_a_link_itself(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    write_changes(tmp_path / "link", changes())
    assert state(root) == dict.fromkeys(FILES, b"new\r\n")


def test_a_disk_that_is_full_leaves_nothing_half_done(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace, before = os.replace, state(root)

    def full_at_the_third(source: str, target: Path) -> None:
        if Path(target).name == "c.yaml":
            raise OSError(28, "No space left on device", str(target))
        replace(source, target)

    monkeypatch.setattr(os, "replace", full_at_the_third)
    with pytest.raises(OSError, match="No space left"):
        write_changes(root, changes())
    assert state(root) == before


def test_what_somebody_writes_between_two_files_is_kept(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace, before = os.replace, state(root)

    def and_somebody_writes(source: str, target: Path) -> None:
        replace(source, target)
        (root / "c.yaml").write_bytes(b"somebody else's")

    monkeypatch.setattr(os, "replace", and_somebody_writes)
    with pytest.raises(HubtoolError, match=r"c\.yaml: changed while"):
        write_changes(root, changes())
    assert state(root) == before | {"c.yaml": b"somebody else's"}
