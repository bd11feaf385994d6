"""Blobs that are sent while they are made."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubtool.errors import HubtoolError
from hubtool.reference import ImageReference
from hubtool.registries import Credentials, RegistryError
from hubtool.registries.model import Writer
from hubtool.registries.produce import AHEAD, PIECE, Produced
from hubtool.registries.stream import HELD
from hubtool.registries.upload import CHUNK
from hubtool.registries.wire import Patience
from tests.registries.front import Front
from tests.registries.parts import Pauses, blob_of, client_for, digest_of, fresh_reference, noise

UPLOADS = r"/blobs/uploads/."
MB = 1024 * 1024
LARGE = HELD + 4 * MB


class Maker:
    """Writes CONTENT in pieces; counts how often it was asked to."""

    def __init__(self, content: bytes, piece: int = 70_001) -> None:
        self.content = content
        self.piece = piece
        self.calls = 0

    def __call__(self, out: Writer) -> None:
        self.calls += 1
        for start in range(0, len(self.content), self.piece):
            out.write(self.content[start : start + self.piece])


def stored(front: Front, login: Credentials, repository: str, digest: str) -> bytes:
    """The blob as the registry has it."""
    reference = ImageReference(front.host, repository, "v1")
    with client_for(reference, login) as client, client.open_blob(digest, 1 << 40) as stream:
        return stream.read()


@pytest.mark.parametrize("size", [0, 1, 1000, HELD, HELD + 1, LARGE])
def test_what_is_made_arrives_whole_and_is_told(front: Front, login: Credentials, size: int) -> None:
    reference, maker, told = fresh_reference(front.host), Maker(noise(size)), [0]
    with client_for(reference, login) as client:
        sent = client.upload_stream(maker, told.append)
    assert (sent.digest, sent.size, sent.travelled) == (digest_of(maker.content), size, True)
    assert stored(front, login, reference.repository, sent.digest) == maker.content
    assert (told[-1], maker.calls) == (size, 1)


def test_a_large_one_goes_in_one_request_whose_length_nobody_knows(front: Front, login: Credentials) -> None:
    with client_for(fresh_reference(front.host), login) as client:
        client.upload_stream(Maker(noise(LARGE)))
    (sent,) = front.requests("PATCH")
    assert sent.headers["Transfer-Encoding"] == "chunked"
    assert not {"Content-Length", "Content-Range"} & set(sent.headers)


def test_sending_begins_before_the_last_is_made(front: Front, login: Credentials) -> None:
    content, seen = noise(LARGE), []

    def write(out: Writer) -> None:
        out.write(content[: HELD + 2 * MB])
        for _ in range(500):
            if front.requests("PATCH"):
                break
            time.sleep(0.01)
        seen.extend(front.requests("PATCH"))
        out.write(content[HELD + 2 * MB :])

    with client_for(fresh_reference(front.host), login) as client:
        assert client.upload_stream(write).digest == digest_of(content)
    assert len(seen) == 1


def test_no_more_is_made_than_is_held_and_a_few_pieces_until_somebody_reads() -> None:
    made: list[int] = []

    def write(out: Writer) -> None:
        for _ in range(100):
            out.write(bytes(PIECE))
            made.append(PIECE)

    with Produced(write) as produced:
        produced.take(0, 3 * PIECE)
        time.sleep(0.2)
        assert sum(made) <= (3 + AHEAD + 1) * PIECE


def test_a_small_one_that_the_registry_has_is_not_sent_again(front: Front, login: Credentials) -> None:
    with client_for(fresh_reference(front.host), login) as client:
        first, again = (client.upload_stream(Maker(noise(MB))) for _ in range(2))
    assert (first.travelled, again.travelled, first.digest) == (True, False, again.digest)
    assert len(front.requests("PATCH")) == 1


def test_a_large_one_is_sent_again_unless_it_is_looked_for_first(front: Front, login: Credentials) -> None:
    with client_for(fresh_reference(front.host), login) as client:
        makers = [Maker(noise(LARGE)) for _ in range(3)]
        sent = [
            client.upload_stream(maker, look_first=first)
            for maker, first in zip(makers, (True, False, True), strict=True)
        ]
    assert [one.travelled for one in sent] == [True, True, False]
    assert [maker.calls for maker in makers] == [2, 1, 1]
    assert len({(one.digest, one.size) for one in sent}) == 1
    assert len(front.requests("PATCH")) == 2


@pytest.mark.parametrize("at", [2, 100_000, HELD - 1, HELD, LARGE - MB, LARGE])
def test_after_a_break_only_what_the_registry_lacks_is_sent(front: Front, login: Credentials, at: int) -> None:
    reference, maker = fresh_reference(front.host), Maker(noise(LARGE))
    with client_for(reference, login) as client:
        client.list_tags()
        front.fault("PATCH", UPLOADS, drop_at=at, keeps=True)
        sent = client.upload_stream(maker)
    assert stored(front, login, reference.repository, sent.digest) == maker.content
    rest = [(request.sent, request.headers["Content-Range"]) for request in front.requests("PATCH")[1:]]
    assert rest == ([(LARGE - at, f"{at}-{LARGE - 1}")] if at < LARGE else [])


def test_a_broken_upload_that_the_registry_gives_up_begins_anew(front: Front, login: Credentials) -> None:
    maker = Maker(noise(LARGE))
    with client_for(fresh_reference(front.host), login) as client:
        client.list_tags()
        front.fault("PATCH", UPLOADS, drop_at=2 * MB, times=2)
        sent = client.upload_stream(maker)
        assert client.has_blob(sent.digest)
    assert len(front.requests("PATCH")) == maker.calls == 3


def test_breaks_at_every_turn_end_with_the_whole_blob(front: Front, login: Credentials) -> None:
    reference, maker = fresh_reference(front.host), Maker(noise(LARGE))
    with client_for(reference, login) as client:
        client.list_tags()
        front.fault("PATCH", UPLOADS, drop_at=3 * MB, keeps=True, times=6)
        sent = client.upload_stream(maker)
    assert stored(front, login, reference.repository, sent.digest) == maker.content
    assert [request.sent for request in front.requests("PATCH")] == [3 * MB] * 6 + [2 * MB]


def test_a_proxy_that_takes_no_large_body_gets_chunks(front: Front, login: Credentials) -> None:
    size = CHUNK + MB
    with client_for(fresh_reference(front.host), login) as client:
        client.list_tags()
        front.fault("PATCH", UPLOADS, status=413)
        sent = client.upload_stream(Maker(noise(size)))
        assert client.has_blob(sent.digest)
    _, *chunks = [(request.sent, request.headers.get("Content-Range")) for request in front.requests("PATCH")]
    assert chunks == [(CHUNK, f"0-{CHUNK - 1}"), (MB, f"{CHUNK}-{size - 1}")]


@pytest.mark.parametrize("status", [400, 411, 501])
def test_a_registry_that_wants_the_length_gets_it_and_is_remembered(
    front: Front, login: Credentials, tmp_path: Path, status: int
) -> None:
    with client_for(fresh_reference(front.host), login) as client:
        client.list_tags()
        front.fault("PATCH", UPLOADS, status=status)
        for seed in (0, 1):
            maker = Maker(noise(LARGE, seed))
            sent = client.upload_stream(maker, folder=tmp_path)
            assert sent.digest == digest_of(maker.content)
            assert client.has_blob(sent.digest)
    assert [request.headers.get("Content-Length") for request in front.requests("PATCH")] == [None, *[str(LARGE)] * 2]
    assert not list(tmp_path.iterdir())


def test_where_the_length_is_wanted_a_full_disk_is_said(front: Front, login: Credentials) -> None:
    import resource
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with client_for(fresh_reference(front.host), login) as client:
        client.session.wants_length = True
        resource.setrlimit(resource.RLIMIT_FSIZE, (MB, before[1]))
        try:
            with pytest.raises(HubtoolError, match="for a layer on its way"):
                client.upload_stream(Maker(noise(LARGE)))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not front.requests("PATCH")


@pytest.mark.parametrize("after", [0, HELD + 2 * MB])
def test_what_the_maker_raises_is_raised_and_its_thread_ends(front: Front, login: Credentials, after: int) -> None:
    threads = threading.active_count()

    def write(out: Writer) -> None:
        out.write(noise(after))
        raise OSError(errno.EIO, "the disk is broken")

    with client_for(fresh_reference(front.host), login) as client, pytest.raises(OSError, match="the disk is broken"):
        client.upload_stream(write)
    assert not front.requests("PUT")
    assert eventually(lambda: threading.active_count() <= threads + 1)  # the front's own


def test_who_stops_in_mid_upload_stops_the_maker(front: Front, login: Credentials) -> None:
    ended, made, piece = threading.Event(), [0], noise(MB)

    def write(out: Writer) -> None:
        try:
            for _ in range(1000):
                made[0] += out.write(piece) is not None
        finally:
            ended.set()

    def progress(sent: int) -> None:
        if sent > 2 * MB:
            raise KeyboardInterrupt

    with client_for(fresh_reference(front.host), login) as client, pytest.raises(KeyboardInterrupt):
        client.upload_stream(write, progress)
    assert ended.is_set()
    assert made[0] < 100
    assert not front.requests("PUT")


def test_a_maker_that_does_not_make_the_same_again_leaves_no_broken_blob(front: Front, login: Credentials) -> None:
    contents = [noise(LARGE, 1), noise(LARGE, 2)]

    def write(out: Writer) -> None:
        out.write(contents.pop(0) if len(contents) > 1 else contents[0])

    reference = fresh_reference(front.host)
    with client_for(reference, login) as client:
        client.list_tags()
        front.fault("PATCH", UPLOADS, drop_at=2 * MB, keeps=True)
        sent = client.upload_stream(write)
    assert stored(front, login, reference.repository, sent.digest) == noise(LARGE, 2)


@pytest.mark.parametrize("large", [False, True])
def test_a_registry_that_took_another_blob_is_not_believed(front: Front, login: Credentials, large: bool) -> None:
    wrong = {"Docker-Content-Digest": digest_of(b"other")}
    front.fault("PUT", UPLOADS, change=lambda headers, body: ({**headers, **wrong}, body))
    with client_for(fresh_reference(front.host), login) as client, pytest.raises(RegistryError, match="it took the bl"):
        client.upload_stream(Maker(noise(LARGE if large else 1000)))


@pytest.mark.parametrize("made", [False, True])
@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
def test_a_registry_that_says_nothing_any_more_is_given_up(
    front: Front, login: Credentials, method: str, made: bool
) -> None:
    patience = Patience(other=0.3, storing=0.3)
    with client_for(fresh_reference(front.host), login, patience=patience) as client:
        client.list_tags()
        front.fault(method, "/blobs/uploads/", stall=1.5, times=100)
        begun = time.monotonic()
        with pytest.raises(RegistryError, match="did not answer in time"):
            _send(client.upload_stream, client.upload_blob, noise(LARGE), made=made)
    assert time.monotonic() - begun < 3


@pytest.mark.parametrize("made", [False, True])
def test_a_registry_that_was_silent_once_gets_the_blob_nevertheless(
    front: Front, login: Credentials, made: bool
) -> None:
    with client_for(fresh_reference(front.host), login, patience=Patience(other=0.5, storing=0.5)) as client:
        client.list_tags()
        front.fault("PATCH", UPLOADS, stall=0.8)
        _send(client.upload_stream, client.upload_blob, noise(LARGE), made=made)
        assert client.has_blob(digest_of(noise(LARGE)))


def test_a_registry_with_too_many_requests_is_waited_for(front: Front, login: Credentials) -> None:
    pauses = Pauses()
    with client_for(fresh_reference(front.host), login, pauses) as client:
        client.list_tags()
        front.fault("PATCH", UPLOADS, status=429, headers={"Retry-After": "9"})
        sent = client.upload_stream(Maker(noise(LARGE)))
        assert client.has_blob(sent.digest)
    assert pauses == [9]


def _send(stream: Callable[..., object], blob: Callable[..., object], content: bytes, *, made: bool) -> None:
    if made:
        stream(Maker(content))
    else:
        blob(blob_of(content))


def eventually(holds: Callable[[], bool]) -> bool:
    for _ in range(100):
        if holds():
            return True
        time.sleep(0.02)
    return False


@settings(deadline=None, max_examples=60)
@given(
    size=st.integers(0, 5 * PIECE),
    piece=st.integers(1, 3 * PIECE),
    reads=st.lists(st.tuples(st.integers(0, 6 * PIECE), st.integers(0, 2 * PIECE)), max_size=6),
)
def test_any_part_may_be_taken_in_any_order(size: int, piece: int, reads: list[tuple[int, int]]) -> None:
    content = noise(size)
    with Produced(Maker(content, max(piece, 1 + size // 200))) as produced:
        for start, length in reads:
            assert produced.take(start, length) == content[start : start + length]
        assert b"".join(produced.everything()) == content
        assert (produced.size, produced.digest) == (size, digest_of(content))
