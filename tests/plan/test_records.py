from __future__ import annotations

from pathlib import Path

from hubtool.plan.records import Record, read_record, write_record


def test_a_record_is_read_as_it_was_written_and_never_committed(tmp_path: Path) -> None:
    record = Record("quay.io/a/b:t", "sha256:1", "docker", tested="jupyterhub", test_summary="6 passed")
    write_record(tmp_path, "b", record)
    assert read_record(tmp_path, "b") == record
    assert (tmp_path / ".hubtool" / ".gitignore").read_text() == "*\n"
    assert sorted(path.name for path in (tmp_path / ".hubtool").iterdir()) == [".gitignore", "b.json"]


def test_a_record_that_is_absent_or_broken_is_none(tmp_path: Path) -> None:
    assert read_record(tmp_path, "b") is None
    write_record(tmp_path, "b", Record("r", "i", "docker"))
    for broken in (b"", b"{", b"[]", b'{"x": 1}', b"\xff"):
        (tmp_path / ".hubtool" / "b.json").write_bytes(broken)
        assert read_record(tmp_path, "b") is None
