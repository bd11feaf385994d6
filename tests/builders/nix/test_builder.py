from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hubtool.builders import BuildJob, BuildOptions, Ingredients
from hubtool.builders.nix import NixBuilder
from hubtool.config import parse
from hubtool.engines import ContainerSpec, Engine
from hubtool.errors import HubtoolError
from tests.builders.conftest import make_job, write_files
from tests.builders.nix.images import EXPRESSION, FILES, FLAKE_FILES

Files = Mapping[str, str | bytes]


def job_of(folder: Path, nix: Mapping[str, Any], files: Files = FILES, **settings: Any) -> BuildJob:
    return make_job(write_files(folder, files), builder="nix", nix=nix, **settings)


def made(folder: Path, files: Files = FILES, nix: Mapping[str, Any] | None = None, **settings: Any) -> Ingredients:
    with NixBuilder().prepare(job_of(folder, nix or {"attribute": "archive"}, files, **settings)) as prepared:
        return prepared.ingredients()


CHANGES: Mapping[str, Mapping[str, Any]] = {
    "the expression": {"files": {**FILES, "default.nix": EXPRESSION.replace("hello", "goodbye")}},
    "a file that it uses": {"files": {**FILES, "writer.py": FILES["writer.py"] + "# more\n"}},
    "the attribute": {"nix": {"attribute": "stream"}},
    "an argument": {"args": {"word": "other"}},
    "the platform": {"platform": "linux/arm64"},
}
NO_CHANGES: Mapping[str, Mapping[str, Any]] = {
    "nothing": {},
    "a file that it does not use": {"files": {**FILES, "other": "x"}},
    "an argument that it does not take": {"args": {"other": "x"}},
    "the same argument": {"args": {"word": "hello"}},
    "the file's name": {"nix": {"file": "default.nix", "attribute": "archive"}},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_another_fingerprint_for_another(nix: None, tmp_path: Path, change: Mapping[str, Any]) -> None:
    assert made(tmp_path / "a") != made(tmp_path / "b", **change)


@pytest.mark.parametrize("change", NO_CHANGES.values(), ids=NO_CHANGES)
def test_the_same_fingerprint_whatever(nix: None, tmp_path: Path, change: Mapping[str, Any]) -> None:
    assert made(tmp_path / "a") == made(tmp_path / "b", **change)


def test_the_whole_folder_is_a_source_without_what_never_travels(nix: None, tmp_path: Path) -> None:
    whole = EXPRESSION.replace("${./writer.py}", "${./.}/writer.py").replace("writer = ./writer.py;", "all = ./.;")
    files = {**FILES, "default.nix": whole.replace("${writer}", "${all}/writer.py")}
    noise = {".hubtool/logs/x.log": "x", ".netrc": "x", ".git/HEAD": "x", "README.md": "x"}
    first = made(tmp_path / "a", files)
    assert first == made(tmp_path / "b", {**files, **noise})
    assert first != made(tmp_path / "c", {**files, "more": "x"})


@pytest.mark.parametrize("files", [FILES, FLAKE_FILES], ids=["a file", "a flake"])
@pytest.mark.parametrize("form", ["archive", "stream"])
def test_an_image_is_built_loaded_and_runs(nix: None, docker: Engine, tmp_path: Path, files: Files, form: str) -> None:
    named = {"flake": form} if "flake.nix" in files else {"attribute": form}
    job = job_of(tmp_path, named, files, reference="localhost/test-nix:1")
    with NixBuilder().prepare(job) as prepared:
        list(prepared.build(docker, BuildOptions(labels={"mine": "yes"})))
    try:
        image = docker.inspect("localhost/test-nix:1")
        assert image is not None
        assert image.config["Labels"] == {"own": "yes", "word": "hello", "mine": "yes"}
        assert image.config["User"] == "1000"
        container = docker.run(ContainerSpec(image.id, workdir="/"))
        try:
            while container.running():
                time.sleep(0.05)
            assert container.exit_code() == 0
            assert "ldconfig" in container.logs()
        finally:
            container.remove()
    finally:
        docker.remove_image("localhost/test-nix:1")


def test_the_same_derivation_gives_the_same_image(nix: None, docker: Engine, tmp_path: Path) -> None:
    ids = []
    for name in ("a", "b"):
        job = job_of(tmp_path / name, {"attribute": "archive"}, reference=f"localhost/test-nix:{name}")
        with NixBuilder().prepare(job) as prepared:
            list(prepared.build(docker, BuildOptions()))
        found = docker.inspect(str(job.reference))
        assert found is not None
        ids.append(found.id)
        docker.remove_image(str(job.reference))
    assert ids[0] == ids[1]


EVALUATED: Mapping[str, tuple[Files, Mapping[str, Any], str]] = {
    "no file": ({"a": ""}, {}, "default.nix: there is no such file"),
    "a syntax error": ({"default.nix": "{ image = ("}, {}, "the expression cannot be evaluated:\nerror: syntax error"),
    "no such attribute": (FILES, {"attribute": "nope"}, "attribute 'nope' in selection path 'nope' not found"),
    "no derivation": (FILES, {"attribute": "number"}, "does not evaluate to a derivation"),
    "two": (FILES, {"attribute": "twice"}, "yields 2 derivations, of which one is to be the image"),
    "outside": (FILES, {"file": "../default.nix"}, "leads outside the image's context"),
    "no such output": (FLAKE_FILES, {"flake": "nope"}, "does not provide attribute"),
    "an input that is not locked": (
        {**FLAKE_FILES, "flake.nix": '{ inputs.a.url = "path:/a"; outputs = { self, a }: { }; }'},
        {"flake": "archive"},
        "the expression cannot be evaluated",
    ),
    "sources that are nowhere": (
        {"default.nix": 'import (fetchTarball "http://127.0.0.1:9/nixpkgs.tar.gz") { }'},
        {},
        "the expression fetches its sources: have a network",
    ),
    "an endless recursion": ({"default.nix": "let a = a; in a"}, {}, "infinite recursion"),
    "a binary": ({"default.nix": b"\xff\xfe\x00"}, {}, "the expression cannot be evaluated"),
}


@pytest.mark.parametrize(("files", "named", "says"), EVALUATED.values(), ids=EVALUATED)
def test_what_is_no_expression_is_said(
    nix: None, tmp_path: Path, files: Files, named: Mapping[str, Any], says: str
) -> None:
    write_files(tmp_path, {"default.nix": EXPRESSION})
    with pytest.raises(HubtoolError) as caught:
        made(tmp_path / "context", files, named)
    assert says in str(caught.value)


def test_a_flake_takes_no_args(nix: None, tmp_path: Path) -> None:
    with pytest.raises(HubtoolError, match="a flake's outputs take no args"):
        made(tmp_path, FLAKE_FILES, {"flake": "archive"}, args={"word": "x"})


YIELDED = {
    "text": "not an image archive that can be used",
    "cut": "not an image archive that can be used: damaged or cut short",
    "folder": "is a folder, not an image archive",
    "fails": "nix could not build the image",
    "failing": "the image's stream script failed",
}


@pytest.mark.parametrize(("attribute", "says"), YIELDED.items(), ids=YIELDED)
def test_what_is_no_image_is_said_and_not_loaded(
    nix: None, docker: Engine, tmp_path: Path, attribute: str, says: str
) -> None:
    job = job_of(tmp_path, {"attribute": attribute}, reference="localhost/test-nix:no")
    with NixBuilder().prepare(job) as prepared, pytest.raises(HubtoolError) as caught:
        list(prepared.build(docker, BuildOptions()))
    assert says in str(caught.value)
    assert docker.inspect("localhost/test-nix:no") is None


def test_a_failed_build_shows_its_last_lines(nix: None, docker: Engine, tmp_path: Path) -> None:
    with (
        NixBuilder().prepare(job_of(tmp_path, {"attribute": "fails"})) as prepared,
        pytest.raises(HubtoolError, match="it went wrong"),
    ):
        list(prepared.build(docker, BuildOptions()))


def test_an_image_for_another_machine_is_refused(nix: None, docker: Engine, tmp_path: Path) -> None:
    job = job_of(tmp_path, {"attribute": "archive"}, args={"architecture": "riscv64"})
    with (
        NixBuilder().prepare(job) as prepared,
        pytest.raises(HubtoolError, match="its expression yields an image for linux/riscv64"),
    ):
        list(prepared.build(docker, BuildOptions()))


HOSTILE = ["$(touch /tmp/hubtool-was-here)", "'; exit 1; '", '"${builtins.currentTime}"', "--help", "a\nb", "ä", " a "]


@pytest.mark.parametrize("word", HOSTILE, ids=map(ascii, HOSTILE))
def test_an_argument_is_a_word_to_nix_whatever_it_is(nix: None, tmp_path: Path, word: str) -> None:
    expression = '{ word }: derivation { name = "a"; system = builtins.currentSystem; builder = word; }'
    folder = tmp_path / "it's a #folder?"
    with NixBuilder().prepare(job_of(folder, {}, {"default.nix": expression}, args={"word": word})) as prepared:
        assert json.dumps(word, ensure_ascii=False) in Path(prepared.derivation).read_text()


def test_a_temporary_folder_may_have_any_name(nix: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "it's a #folder?a=b%20"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    assert made(tmp_path / "a", FLAKE_FILES, {"flake": "archive"}).content
    assert made(tmp_path / "b").content


def test_without_nix_it_is_said_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HubtoolError, match="apt-get install nix-bin"):
        made(tmp_path / "context")


def test_there_is_no_dockerfile_to_print(nix: None, tmp_path: Path) -> None:
    with (
        NixBuilder().prepare(job_of(tmp_path, {"attribute": "archive"})) as prepared,
        pytest.raises(HubtoolError, match=r"built by nix, which has no Dockerfile\n  its derivation: .*\.drv"),
    ):
        prepared.dockerfile()


WRONG = {
    "nix: {attribute: '-A'}": "images.a.nix.attribute",
    "nix: {flake: a, file: b.nix}": "flake goes with neither file nor attribute",
    "from: b": "from: the builder nix does not heed it",
    "base: 'debian:12'": "base: the builder nix does not heed it",
    "nix: {atribute: a}": "did you mean 'attribute'?",
}


@pytest.mark.parametrize(("line", "says"), WRONG.items(), ids=WRONG)
def test_settings_that_say_nothing_to_nix_are_refused(line: str, says: str) -> None:
    text = f"registry: quay.io/a\nimages:\n  a:\n    builder: nix\n    {line}\n  b: {{}}\n"
    with pytest.raises(HubtoolError) as caught:
        parse(text.encode(), Path("hubtool.yaml"))
    assert says in str(caught.value)
