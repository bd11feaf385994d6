from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from hubtool.builders import get_builder
from hubtool.commands import dask_parcels
from hubtool.commands.build_cache import CacheRules
from hubtool.commands.dask_parcels import Parcel, Task, error_as_seen_at, pack
from hubtool.commands.one_push import PushRules
from hubtool.commands.promotion import hash_of_tests
from hubtool.config import load
from hubtool.errors import HubtoolError, Where
from hubtool.plan import Variant, make_plan
from tests.builders.conftest import write_files
from tests.plan.test_plan import SOURCE

TASK = Task(None, CacheRules(), PushRules(staged=True))
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nhush\n"
FILES: dict[str, str | bytes] = {
    "Dockerfile": "FROM scratch\nCOPY . /\n",
    ".dockerignore": "big\n",
    "script.sh": "#!/bin/sh\n",
    "big/data": "much",
    "README.md": "words",
    "image-tests/test_it.py": "def test(): pass\n",
    "image-tests/README.md": "about the tests",
    "tests/test_own.py": "def test(container): pass\n",
    ".netrc": "password hush",
    "deploy": KEY,
    "image-tests/id_rsa": KEY,
    ".git/config": "token = hush",
}


def variant_of(root: Path, keys: str = "") -> Variant:
    (root / "hubtool.yaml").write_text(f"registry: quay.io/team\n{keys}")
    return make_plan(load(root, {}), root, SOURCE)[0]


def unpacked(variant: Variant, where: Path) -> Variant:
    parcel = pickle.loads(pack(variant, TASK))
    assert isinstance(parcel, Parcel)
    where.mkdir()
    return parcel.unpack(where)


def fingerprint(variant: Variant) -> str:
    with get_builder(variant.job.settings.builder).prepare(variant.job) as prepared:
        return prepared.ingredients().fingerprint(lambda _: "")


@pytest.mark.parametrize("builder", ["dockerfile", "repo2docker"])
@pytest.mark.parametrize("context", [".", "images/one"])
def test_a_worker_makes_the_same_of_it(tmp_path: Path, builder: str, context: str) -> None:
    root = tmp_path / "here"
    write_files(root / context, FILES)
    write_files(root, {"image-tests/test_it.py": "def test(): pass\n"})
    (root / context / "script.sh").chmod(0o775)
    (root / context / "link").symlink_to("/etc/hostname")
    variant = variant_of(root, f"images: {{one: {{builder: {builder}, context: {context}}}}}\n")
    there = unpacked(variant, tmp_path / "there")
    assert there.job.context.is_relative_to(tmp_path / "there")
    assert fingerprint(there) == fingerprint(variant)
    assert (there.job.context / "script.sh").stat().st_mode == (variant.job.context / "script.sh").stat().st_mode
    assert (there.job.context / "script.sh").stat().st_mtime == (variant.job.context / "script.sh").stat().st_mtime
    assert (there.reference, there.source, there.contract) == (variant.reference, variant.source, variant.contract)


def test_what_it_is_tested_with_comes_along(tmp_path: Path) -> None:
    root = tmp_path / "here"
    write_files(root, {**FILES, "image-tests/id_rsa": b"", "images/one/Dockerfile": "FROM scratch\n"})
    (root / "image-tests/id_rsa").unlink()
    variant = variant_of(root, "images: {one: {builder: dockerfile, context: images/one}}\n")
    there = unpacked(variant, tmp_path / "there")
    assert hash_of_tests(there) == hash_of_tests(variant)


def test_nothing_secret_travels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_TOKEN", "hush")
    root = tmp_path / "here"
    write_files(root, FILES)
    variant = variant_of(root, "images: {one: {builder: dockerfile, secrets: {token: SITE_TOKEN}}}\n")
    there = unpacked(variant, tmp_path / "there")
    texts = {str(path): path.read_text() for path in (tmp_path / "there").rglob("*") if path.is_file()}
    assert any("script.sh" in name for name in texts)
    assert not [name for name, text in texts.items() if "hush" in text]
    assert b"hush" not in pickle.dumps(there)


def test_the_bundle_of_a_site_comes_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "here"
    write_files(root, {"Dockerfile": "FROM scratch\n"})
    write_files(tmp_path, {"ca.pem": "a certificate\n"})
    monkeypatch.setenv("SITE_CA", str(tmp_path / "ca.pem"))
    variant = variant_of(root, "images: {one: {builder: dockerfile}}\nsite: {ca_bundle: $SITE_CA}\n")
    there = unpacked(variant, tmp_path / "there")
    assert there.job.ca_bundle
    assert there.job.ca_bundle.read_text() == "a certificate\n"
    assert fingerprint(there) == fingerprint(variant)


def test_tests_outside_of_the_repository_stay(tmp_path: Path) -> None:
    write_files(tmp_path, {"tests/test_it.py": "", "here/Dockerfile": "FROM scratch\n"})
    (tmp_path / "here" / "image-tests").symlink_to(tmp_path / "tests")
    there = unpacked(variant_of(tmp_path / "here", "images: {one: {builder: dockerfile}}\n"), tmp_path / "there")
    assert not list((tmp_path / "there").rglob("test_it.py"))
    assert there.job.context.is_dir()


def test_too_much_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "here"
    write_files(root, {"Dockerfile": "FROM scratch\n"})
    with (root / "data").open("wb") as file:
        file.truncate(dask_parcels.MOST)
    with pytest.raises(HubtoolError) as caught:
        pack(variant_of(root, "images: {one: {builder: dockerfile}}\n"), TASK)
    assert "at most 512 MB" in caught.value.message
    assert ".dockerignore" in str(caught.value.hint)


def test_errors_name_files_where_they_are() -> None:
    error = HubtoolError("no /tmp/x/a", where=Where("/tmp/x/Dockerfile", 3), hint="/tmp/x/log")
    seen = pickle.loads(pickle.dumps(error_as_seen_at("/home/me", Path("/tmp/x"), error)))
    assert str(seen) == "/home/me/Dockerfile:3: no /home/me/a\n  /home/me/log"
    assert str(error_as_seen_at(".", Path("/tmp/x"), error)) == "Dockerfile:3: no a\n  log"
