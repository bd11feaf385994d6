"""Built again: what is too old, or asked for; released only where that changed anything."""

from __future__ import annotations

import datetime
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubtool.commands.one_push import newest_rebuild, rebuild_tag
from hubtool.commands.promotion import is_old
from hubtool.engines import EngineBuild, EngineImage, get_engine
from hubtool.image.pack import MANIFEST_TYPE
from hubtool.process import run
from hubtool.reference import ImageReference, is_tag
from hubtool.sandbox import deployment
from tests.commands.scratch import NO_ENGINE, Scratch
from tests.registries.parts import client_for

pytestmark = pytest.mark.engine
TODAY = r"20\d{6}"


class Packages(ThreadingHTTPServer):
    """An index whose one package is what ``newest`` says, as apt and pip have newer ones from day to day."""

    newest = "1"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/package"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Packages)
        body = self.server.newest.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def packages() -> Iterator[Packages]:
    with Packages(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def unpinned(scratch: Scratch, packages: Packages) -> Scratch:
    """An image with a package that is not pinned, and a hub that runs it."""
    bare = scratch.root.parent / "deployment.git"
    deployment.make_deployment(bare, scratch.reference.name, ("base",))
    where = f"{{repository: {bare}, branch: {deployment.BRANCH}, hubs: [base]}}"
    (scratch.root / "hubtool.yaml").write_text(f"{scratch.settings}deployment: {where}\n")
    scratch.write("Dockerfile", f"FROM scratch\nCOPY content /\nADD {packages.url} /\n")
    return scratch


def test_a_rebuild_that_holds_the_same_is_no_release(unpinned: Scratch) -> None:
    first = unpinned.json("release")
    tags = unpinned.tags()
    page = unpinned.root.parent / "deployment.git" / "requests" / "1.md"
    page.unlink()
    assert unpinned.json("build", "--rebuild")["reused"] is False
    again = unpinned.run("release", "--json")
    (release,) = json.loads(again.stdout)["releases"]
    assert (release["state"], release["reference"]) == ("refreshed", first["reference"])
    assert release["uploaded_bytes"] < 10_000
    assert unpinned.tags() == tags
    assert "no hub moves" in again.stderr
    assert not page.exists()


def test_a_rebuild_that_holds_another_has_a_tag_of_its_own_and_moves_the_hub(
    unpinned: Scratch, packages: Packages
) -> None:
    first = unpinned.json("release")
    tag = first["reference"].partition("@")[0].rpartition(":")[2]
    packages.newest = "2"
    assert unpinned.json("release")["state"] == "unchanged"  # nobody asked for newer ones
    planned = unpinned.json("release", "--rebuild", "--dry-run")
    second = unpinned.json("release")
    assert re.fullmatch(f"{tag}-{TODAY}", rebuilt := second["reference"].partition("@")[0].rpartition(":")[2])
    assert (planned["state"], second["state"], planned["reference"]) == ("planned", "pushed", second["reference"])
    assert f"{rebuilt}`" in (unpinned.root.parent / "deployment.git" / "requests" / "1.md").read_text()
    assert unpinned.digest(tag) == first["digest"]
    assert unpinned.json("release", "--rebuild")["reference"] == second["reference"]  # the newest is compared with
    packages.newest = "3"
    third = unpinned.json("release", "--rebuild")
    assert third["reference"].startswith(f"{second['reference'].partition('@')[0]}-2@")
    (unpinned.root / ".hubtool" / "small.json").unlink()
    assert unpinned.json("release", env=NO_ENGINE)["reference"] == third["reference"]


def age(scratch: Scratch, tag: str, built: str | None) -> None:
    """Have the image at TAG say that it was BUILT then; a fresh checkout knows nothing else."""
    with client_for(scratch.reference, scratch.login) as client:
        manifest = client.get_manifest(tag)
        assert manifest is not None
        document = json.loads(manifest.content)
        document["annotations"] |= {"hubtool.built": built}
        if built is None:
            del document["annotations"]["hubtool.built"]
        client.put_manifest(json.dumps(document).encode(), MANIFEST_TYPE, tag)
    (scratch.root / ".hubtool" / "small.json").unlink()


def days_ago(days: float) -> str:
    return (datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=days)).isoformat()


def test_an_image_that_is_too_old_is_built_again_and_then_is_not(unpinned: Scratch, packages: Packages) -> None:
    unpinned.write("hubtool.yaml", unpinned.settings + "freshness: 7d\n")
    first = unpinned.json("release")
    (fingerprint,) = (tag for tag in unpinned.tags() if tag.startswith("fingerprint-"))
    age(unpinned, fingerprint, days_ago(6.9))
    assert unpinned.json("release", env=NO_ENGINE)["state"] == "unchanged"
    age(unpinned, fingerprint, days_ago(7.1))
    built = unpinned.run("build", "--json")
    assert "older than its freshness" in built.stderr
    assert json.loads(built.stdout)[0]["reused"] is False
    assert unpinned.json("release")["state"] == "refreshed"
    (unpinned.root / ".hubtool" / "small.json").unlink()
    again = unpinned.json("release", env=NO_ENGINE)
    assert (again["state"], again["reference"]) == ("unchanged", first["reference"])
    age(unpinned, fingerprint, None)
    packages.newest = "2"
    assert unpinned.json("release")["state"] == "pushed"


def test_a_rebuild_stands_on_the_newest_base(scratch: Scratch, docker_host: str) -> None:
    base = ImageReference.parse(f"{scratch.reference.name}-base")
    engine = get_engine("docker")
    for version in ("1", "2"):
        folder = scratch.root.parent / version
        folder.mkdir()
        (folder / "Dockerfile").write_text(f"FROM scratch\nCOPY Dockerfile /base\nENV BASE={version}\n")
        list(engine.build(EngineBuild(f"{base}:{version}", folder)))
        run("docker", "push", f"{base}:{version}", env={"DOCKER_CONFIG": scratch.environment["DOCKER_CONFIG"]})
    with client_for(base, scratch.login) as client:  # 1 becomes 2 there, and the engine does not know
        newer = client.get_manifest("2")
        assert newer is not None
        client.put_manifest(newer.content, newer.media_type, "1")
    scratch.write("Dockerfile", f"FROM {base}:1\nCOPY content /\n")

    def built(*words: str) -> EngineImage:
        found = engine.inspect(scratch.json("build", *words)["reference"])
        assert found is not None
        return found

    assert "BASE=1" in built().config["Env"]
    image = built("--rebuild")
    assert "BASE=2" in image.config["Env"]
    assert image.config["Labels"]["org.opencontainers.image.base.digest"] == newer.digest


@pytest.mark.parametrize(
    ("built", "old"),
    [
        (days_ago(0), False),
        (days_ago(2), True),
        (days_ago(-1), False),
        (None, True),
        ("", True),
        ("yesterday", True),
        ("2026-01-01T00:00:00", True),
        ("9999-12-31T23:59:59+00:00", False),
    ],
    ids=["now", "two days ago", "tomorrow", "unknown", "empty", "no time", "no zone", "long from now"],
)
def test_what_is_older_than_its_freshness_is_old(built: str | None, old: bool) -> None:
    assert is_old(built, datetime.timedelta(days=1)) is old
    assert is_old(built, None) is False


DAYS = st.dates().map(lambda day: f"{day:%Y%m%d}".rjust(8, "0"))


@given(st.sampled_from(["abc", "2026.01.02-abc1234", "a.b-20260101"]), st.lists(st.tuples(DAYS, st.integers(1, 20))))
def test_the_newest_rebuild_is_the_last_of_the_last_day(tag: str, made: list[tuple[str, int]]) -> None:
    tags = [rebuild_tag(tag, day, number) for day, number in made]
    assert all(map(is_tag, tags))
    others = [f"{tag}-1", f"x{tag}-20260101", f"{tag}-20260101-", "latest", f"{tag}x-20260101"]
    expected = rebuild_tag(tag, *max(made)) if made else tag
    assert newest_rebuild(tag, [tag, *others, *reversed(tags)]) == expected
