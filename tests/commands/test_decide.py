from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import git
import pytest

from hubtool.commands.decide import changed_since, decide
from hubtool.config import load
from hubtool.engines import choose_engine
from hubtool.errors import HubtoolError
from hubtool.plan import Variant, make_plan
from hubtool.plan.source import read_source
from hubtool.sandbox import deployment
from tests.builders.conftest import write_files


def variant_of(root: Path) -> tuple[Variant, str]:
    """A variant of a repository with two commits, and the first of them."""
    files = {"hubtool.yaml": "registry: quay.io/team\nimages: {one: {context: sub}}\n", "sub/a": "1", "sub/b": "1"}
    repo = git.Repo.init(write_files(root, files), initial_branch="main")
    deployment.commit_all(repo, "first")
    first = repo.head.commit.hexsha
    write_files(root, {"sub/a": "2", "beside": "1"})
    deployment.commit_all(repo, "second")
    return make_plan(load(root, {}), root, read_source(root))[0], first


def test_the_files_of_the_context_that_changed_are_named(tmp_path: Path) -> None:
    variant, first = variant_of(tmp_path)
    assert changed_since(variant, first) == ["a"]
    assert changed_since(variant, f"{first}-dirty") == ["a"]
    assert changed_since(variant, variant.source.commit) == []


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (404, "not in the registry"),
        (401, "not in the registry, or not for us to see"),
        (403, "not in the registry, or not for us to see"),
        (500, "no answer from its registry"),
    ],
)
def test_a_registry_that_does_not_tell_is_not_one_that_has_nothing(tmp_path: Path, answer: int, why: str) -> None:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(answer)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    images = "images: {one: {builder: dockerfile}}\n"
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        registry = f"registry: 127.0.0.1:{server.server_address[1]}/team\n"
        repo = git.Repo.init(write_files(tmp_path, {"hubtool.yaml": registry + images, "Dockerfile": "FROM scratch\n"}))
        deployment.commit_all(repo, "first")
        decided = decide(make_plan(load(tmp_path, {}), tmp_path, read_source(tmp_path)), choose_engine)
        server.shutdown()
    assert (decided["one"].action, decided["one"].why) == ("build", why)


def test_a_label_that_is_no_commit_names_nothing_and_does_nothing(tmp_path: Path) -> None:
    variant, _ = variant_of(tmp_path)
    for label in ("", "0" * 40, "main", f"--output={tmp_path / 'made'}"):
        assert changed_since(variant, label) == []
    assert not (tmp_path / "made").exists()


def test_a_wrong_dockerfile_is_told_before_anything_is_asked_also_a_child_s(tmp_path: Path) -> None:
    images = "  a: {builder: dockerfile, context: a}\n  b: {builder: dockerfile, context: b, from: a}\n"
    files = {"hubtool.yaml": f"registry: quay.invalid/team\nimages:\n{images}", "a/Dockerfile": "FROM x\n"}
    repo = git.Repo.init(write_files(tmp_path, {**files, "b/Dockerfile": "FROM y\n"}), initial_branch="main")
    deployment.commit_all(repo, "first")
    variants = make_plan(load(tmp_path, {}), tmp_path, read_source(tmp_path))
    with pytest.raises(HubtoolError, match="b/Dockerfile:1: no FROM has the build argument BASE_IMAGE"):
        decide(variants, choose_engine)
