from __future__ import annotations

import os
from pathlib import Path

import pytest

from hubtool.errors import HubtoolError
from hubtool.pins.folder import BLOCK, MANY, list_folder, read_file, scan_folder
from hubtool.pins.formats.text import MAX_BYTES
from hubtool.pins.scan import scan


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "repo"


def write(root: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)


def test_links_and_git_itself_are_not_followed(tmp_path: Path, root: Path) -> None:
    write(root, {"deployments/base/a.yaml": b"image: r/i:T\n", ".git/config.yaml": b"image: r/i:T\n", "a.yaml": b""})
    (tmp_path / "outside.yaml").write_text("image: r/i:T\n")
    (root / "deployments/base/out.yaml").symlink_to(tmp_path / "outside.yaml")
    (root / "deployments/base/loop").symlink_to(root)
    os.mkfifo(root / "deployments/base/pipe.yaml")
    assert list_folder(root) == ["a.yaml", "deployments/base/a.yaml"]
    assert [pin.file for pin in scan_folder(root, list_folder(root)).pins] == ["deployments/base/a.yaml"]


def test_the_folder_itself_may_be_a_link(tmp_path: Path, root: Path) -> None:
    write(root, {"a/b.yaml": b""})
    (tmp_path / "link").symlink_to(root)
    assert list_folder(tmp_path / "link") == ["a/b.yaml"]


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    for place in (tmp_path / "x", tmp_path / "file"):
        (tmp_path / "file").touch()
        with pytest.raises(HubtoolError, match="no folder"):
            list_folder(place)


def test_what_can_not_be_read_or_is_too_large_is_skipped_with_the_reason(root: Path) -> None:
    write(root, {"a.yaml": b"image: r/i:T\n"})
    with (root / "large.yaml").open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    found = scan_folder(root, ["a.yaml", "gone.yaml", "large.yaml"])
    assert [pin.tag for pin in found.pins] == ["T"]
    assert [(one.file, one.why) for one in found.skipped] == [
        ("gone.yaml", "cannot be read: No such file or directory"),
        ("large.yaml", "is larger than 5 MB"),
    ]
    assert [one.file for one in found.unread("r/i")] == ["gone.yaml", "large.yaml"], "nobody knows what is in them"


def test_a_file_of_the_largest_size_is_read(root: Path) -> None:
    write(root, {"a.yaml": b"#" * MAX_BYTES})
    assert len(read_file(root, "a.yaml")) == MAX_BYTES


def many(root: Path) -> list[str]:
    data = {f"{number:05}.yaml": f"image: r/i:{number}\n".encode() for number in range(MANY + BLOCK)}
    write(root, data | {"00007.yaml": b"image: [\n", "00300.yaml": b"x: 1\n", "00301.yaml": b"\0"})
    return list_folder(root)


def children() -> str:
    """The processes that this one started and has not seen the end of."""
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text()


def test_many_files_give_what_they_give_one_by_one(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, before = many(root), children()
    # As on a machine with four cores, whatever this one has.
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    found, expected = scan_folder(root, files), scan((file, read_file(root, file)) for file in files)
    assert found == expected
    assert len(found.pins) == len(files) - 3
    assert [one.file for one in found.skipped] == ["00007.yaml", "00301.yaml"]
    assert children() == before


def test_the_share_of_a_process_that_came_to_nothing_is_read_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, fork = many(root), os.fork

    def forks_and_dies() -> int:
        return fork() or os._exit(9)

    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(os, "fork", forks_and_dies)
    assert len(scan_folder(root, files).pins) == len(files) - 3
