from __future__ import annotations

from pathlib import Path

import pytest

from hubtool.errors import HubtoolError
from hubtool.files import write_whole


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "file"
    for text in ("first", "second, é"):
        write_whole(file, text)
        assert file.read_text(encoding="utf-8") == text
    assert list(tmp_path.iterdir()) == [file]
    assert file.stat().st_mode & 0o777 == 0o644


def test_what_can_t_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_whole(file, "old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(file, "new \ud800")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(HubtoolError, match=f"^{tmp_path}/a/file: there is no folder {tmp_path}/a$"):
        write_whole(tmp_path / "a" / "file", "text")
