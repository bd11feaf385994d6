from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubtool.commands.dask_slots import PATIENCE, Over, Slots, heights
from hubtool.config import load
from hubtool.plan import make_plan
from tests.plan.test_plan import SOURCE

PLATFORM = "linux/amd64"


def test_the_height_is_the_longest_chain_that_begins_there(tmp_path: Path) -> None:
    images = "{a: , b: {from: a}, c: {from: b}, d: {from: a}, e: }"
    (tmp_path / "hubtool.yaml").write_text(f"registry: quay.io/team\nimages: {images}\n")
    variants = make_plan(load(tmp_path, {}), tmp_path, SOURCE)
    assert heights(variants) == {"a": 3, "b": 2, "c": 1, "d": 1, "e": 1}


@settings(max_examples=30, deadline=None)
@given(workers=st.integers(1, 4), jobs=st.integers(1, 3), asking=st.integers(1, 12))
def test_no_worker_has_more_than_its_places_and_everybody_gets_one(workers: int, jobs: int, asking: int) -> None:
    slots = Slots(jobs)
    slots.update({f"worker{number}": PLATFORM for number in range(workers)})
    now, most, lock = Counter[str](), Counter[str](), threading.Lock()

    def ask(height: int) -> None:
        with slots.place(height) as worker:
            with lock:
                now[worker] += 1
                most[worker] = max(most[worker], now[worker])
            with lock:
                now[worker] -= 1

    threads = [threading.Thread(target=ask, args=(number % 3,), daemon=True) for number in range(asking)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert max(most.values()) <= jobs


def test_a_place_near_is_taken_where_it_is_free() -> None:
    slots = Slots(1)
    slots.update({"a": PLATFORM, "b": PLATFORM})
    with slots.place(1, "b") as first, slots.place(1, "b") as second:
        assert (first, second) == ("b", "a")


def test_the_highest_goes_first() -> None:
    slots = Slots(1)
    slots.update({"a": PLATFORM})
    order: list[int] = []

    def ask(height: int) -> None:
        with slots.place(height):
            order.append(height)

    threads = [threading.Thread(target=ask, args=(height,), daemon=True) for height in (1, 3, 2)]
    with slots.place(0):
        for thread in threads:
            thread.start()
        while len(slots._waiting) < 3 and not order:
            threads[0].join(0.01)
    for thread in threads:
        thread.join(60)
    assert order == [3, 2, 1]


def test_waiting_ends_with_the_worker_and_with_the_run() -> None:
    slots = Slots(1)
    slots.update({"a": PLATFORM})
    assert slots.wait("a", lambda: True)
    slots.update({"b": PLATFORM})
    assert not slots.wait("a", lambda: False)
    slots.stop("enough")
    with pytest.raises(Over, match="enough"):
        slots.wait("b", lambda: True)
    with pytest.raises(Over, match="enough"), slots.place(1):
        pass


def test_a_run_is_over_once_nobody_is_fit() -> None:
    slots = Slots(1)
    slots.update({"a": PLATFORM})
    slots.drop("a", "no engine")
    with pytest.raises(Over, match="no worker is left; a: no engine"), slots.place(1):
        pass


def test_for_one_that_was_lost_there_is_patience() -> None:
    slots = Slots(1)
    slots.update({"a": PLATFORM})
    for _ in range(PATIENCE):
        slots.update({})
    slots.update({"b": PLATFORM})
    with slots.place(1) as worker:
        assert worker == "b"
    for _ in range(PATIENCE + 1):
        slots.update({})
    with pytest.raises(Over, match="no worker is left"), slots.place(1):
        pass


def test_a_platform_is_for_the_workers_that_have_it_else_for_those_that_are_most() -> None:
    slots = Slots(1)
    slots.update({"arm": "linux/arm64", "one": PLATFORM, "two": PLATFORM})
    with slots.place(1, platform="linux/arm64") as native, slots.place(1, near="arm") as usual:
        assert (native, usual) == ("arm", "one")
        with slots.place(1, platform="linux/riscv64") as emulated:
            assert emulated == "two"


def test_who_waits_for_another_platform_is_not_waited_for() -> None:
    slots = Slots(1)
    slots.update({"arm": "linux/arm64", "one": PLATFORM})
    got = threading.Event()

    def wait_for_arm() -> None:
        with slots.place(9, platform="linux/arm64"):
            got.set()

    with slots.place(1, platform="linux/arm64"):
        waiting = threading.Thread(target=wait_for_arm, daemon=True)
        waiting.start()
        with slots.place(1, platform=PLATFORM) as worker:
            assert worker == "one"
        assert not got.is_set()
    assert got.wait(60)
