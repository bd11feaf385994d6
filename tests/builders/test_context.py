from __future__ import annotations

import hashlib
import os
import tarfile
from pathlib import Path

import pytest

from hubtool.builders.context import Context, read_ignore_files
from tests.builders.conftest import write_files


def names(context: Context) -> set[str]:
    with context.tar(1000) as stream, tarfile.open(fileobj=stream) as tar:
        return set(tar.getnames()) - {"."}


def digest(root: Path) -> str:
    context = Context()
    context.add_repository(root, "src/", [])
    found = hashlib.sha256()
    context.hash_into(found)
    return found.hexdigest()


def test_an_ignore_file_can_not_bring_credentials_back(tmp_path: Path) -> None:
    write_files(tmp_path, {"keep": "", "gha-creds-1.json": "{}", "$HOME/.docker/config.json": "{}", ".git/config": ""})
    context = Context()
    context.add_repository(tmp_path, "src/", ["*", "!keep", "!gha-creds-1.json", "!$HOME", "!.git"])
    assert names(context) == {"src/keep"}


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    write_files(tmp_path, {".git/config": "", "$HOME/.docker/config.json": "{}", "sub/.netrc": ""})
    context = Context()
    context.add_repository(tmp_path, "src/", [])
    notes = "\n".join(context.notes())
    assert "$HOME (" in notes
    assert "sub/.netrc (passwords)" in notes
    assert ".git" not in notes


def test_files_belong_to_the_run_user_and_keep_their_execute_bit(tmp_path: Path) -> None:
    write_files(tmp_path, {"start": "#!/bin/sh\n"})
    (tmp_path / "start").chmod(0o755)
    context = Context()
    context.add_repository(tmp_path, "", [])
    with context.tar(1234) as stream, tarfile.open(fileobj=stream) as tar:
        member = tar.getmember("start")
    assert (member.uid, member.gid, member.uname, member.mode) == (1234, 1234, "", 0o755)


def test_the_fingerprint_sees_content_names_and_execute_bits_only(tmp_path: Path) -> None:
    first = write_files(tmp_path / "a", {"x": "1", "y": "2"})
    again = write_files(tmp_path / "b", {"x": "1", "y": "2"})
    os.utime(again / "x", (1, 1))
    assert digest(first) == digest(again)
    (again / "x").chmod(0o755)
    assert digest(first) != digest(again)
    other = write_files(tmp_path / "c", {"x": "2", "y": "1"})
    assert digest(first) != digest(other)
    (first / "link").symlink_to("x")
    with_link = digest(first)
    (first / "link").unlink()
    (first / "link").symlink_to("y")
    assert digest(first) != with_link


@pytest.mark.parametrize("name", ["with space", "ümlaut", "-dash", "semi;colon", "new\nline"])
def test_odd_names_travel(tmp_path: Path, name: str) -> None:
    write_files(tmp_path, {name: "x"})
    context = Context()
    context.add_repository(tmp_path, "src/", [])
    assert names(context) == {f"src/{name}"}


def test_a_link_travels_as_a_link(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to("/etc/passwd")
    context = Context()
    context.add_repository(tmp_path, "", [])
    with context.tar(0) as stream, tarfile.open(fileobj=stream) as tar:
        assert tar.getmember("out").issym()


def test_ignore_files_read_as_repo2docker_reads_them(tmp_path: Path) -> None:
    write_files(tmp_path, {".dockerignore": "# note\n\n  a b  \n!c\n"})
    assert read_ignore_files([tmp_path / ".dockerignore", tmp_path / "missing"]) == ["a b", "!c"]


def test_what_says_nothing_to_an_image_stays_out_of_it(tmp_path: Path) -> None:
    needless = {"README.md": "", "LICENSE": "", ".github/x.yaml": "", "image-tests/test_a.py": "", "hubtool.yaml": ""}
    write_files(tmp_path, {**needless, "notebooks/README.md": "", "start": ""})
    context = Context()
    context.add_repository(tmp_path, "", [])
    assert {name for name in names(context) if "." in name or name == "start"} == {"notebooks/README.md", "start"}


def test_what_the_build_names_goes_into_the_image(tmp_path: Path) -> None:
    write_files(tmp_path, {"README.md": "", "LICENSE": "", "pyproject.toml": 'readme = "README.md"\n'})
    context = Context()
    context.add_repository(tmp_path, "", [])
    assert names(context) == {"README.md", "pyproject.toml"}


def test_a_context_that_is_written_tells_of_no_time_and_no_umask(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name, mode in (("a/b", 0o664), ("c", 0o777)):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)
        (source / name).chmod(mode)
    (source / "link").symlink_to("/nowhere")
    context = Context()
    context.add_repository(source, "", [])
    context.add("made", b"data", 0o755)
    target = tmp_path / "target"
    context.write(target)
    found = {path.relative_to(target).as_posix(): path.lstat() for path in target.rglob("*")}
    assert {status.st_mtime for status in found.values()} == {1.0}
    assert {name: status.st_mode & 0o777 for name, status in found.items() if name not in ("a", "link")} == {
        "a/b": 0o644,
        "c": 0o755,
        "made": 0o755,
    }
    assert os.readlink(target / "link") == "/nowhere"
    assert (target / "made").read_bytes() == b"data"
