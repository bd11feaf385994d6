from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hubtool.forges.objects import blob_id, tree_id
from tests.forges.repositories import bare, git

NAMES = st.text(st.sampled_from("ab.-+_0 {ü"), min_size=1, max_size=4).filter(lambda name: name not in (".", ".."))
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)


def _apart(paths: set[str]) -> list[str]:
    """PATHS without those that would be a file and a folder at once."""
    return [path for path in paths if not any(other.startswith(f"{path}/") for other in paths)]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(paths=st.sets(PATHS, min_size=1, max_size=12).map(_apart), data=st.binary(max_size=300))
def test_trees_and_blobs_are_named_as_git_names_them(tmp_path: Path, paths: list[str], data: bytes) -> None:
    repository = tmp_path / "x.git"
    if not repository.exists():
        bare(repository, {"x": "x"})
    blob = git(repository, "hash-object", "-w", "--stdin", input=data)
    assert blob_id(data) == blob
    (repository / "index").unlink(missing_ok=True)
    modes = ("100644", "100755", "120000")
    leaves = {path: (modes[number % 3], blob) for number, path in enumerate(paths)}
    lines = "".join(f"{mode} {name}\t{path}\0" for path, (mode, name) in leaves.items())
    git(repository, "update-index", "-z", "--index-info", input=lines)
    assert tree_id(leaves) == git(repository, "write-tree")


def test_no_entries_are_the_empty_tree() -> None:
    assert tree_id({}) == "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def test_an_id_that_is_none_is_an_error() -> None:
    with pytest.raises(ValueError, match="hex"):
        tree_id({"a": ("100644", "no id")})
