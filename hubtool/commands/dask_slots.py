"""Which worker makes what: so many variants at once on each, first those with most built on them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from hubtool.plan import Variant

PATIENCE = 30  # updates in a row at which no worker was there


class Over(Exception):
    """There is nothing more to be had; says why."""


def heights(variants: Sequence[Variant]) -> dict[str, int]:
    """How many variants the longest chain has that begins with each of VARIANTS, by name."""
    found: dict[str, int] = {}
    for variant in reversed(variants):
        own = found.setdefault(variant.image, 1)
        if variant.parent:
            found[variant.parent] = max(found.get(variant.parent, 1), own + 1)
    return found


@dataclass(eq=False)
class _Turn:
    height: int
    platform: str | None


class Slots:
    """JOBS places on each worker. For many threads."""

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._changed = threading.Condition()
        self._there: dict[str, str] = {}
        self._dropped: dict[str, str] = {}
        self._busy: Counter[str] = Counter()
        self._waiting: list[_Turn] = []
        self._lost, self._unmanned = False, 0
        self._over = ""

    def update(self, there: Mapping[str, str]) -> None:
        """These workers are THERE now, each with its platform, and no others. Where none is left, one that was lost may
        be started again."""
        with self._changed:
            before, self._there = set(self._fit()), dict(there)
            self._lost = self._lost or not before <= self._there.keys()
            self._unmanned = 0 if self._fit() else self._unmanned + 1
            self._check_left()

    def drop(self, worker: str, why: str) -> None:
        """Give WORKER nothing more."""
        with self._changed:
            self._dropped[worker] = why
            self._check_left()

    def _check_left(self) -> None:
        if not self._fit() and (self._unmanned > PATIENCE or not self._lost):
            self.stop("no worker is left" + "".join(f"; {name}: {why}" for name, why in self._dropped.items()))
        self._changed.notify_all()

    def stop(self, why: str) -> None:
        """Have everybody who waits, or comes later, get Over with the first WHY."""
        with self._changed:
            self._over = self._over or why
            self._changed.notify_all()

    def wake(self) -> None:
        """Have those look again who wait for something."""
        with self._changed:
            self._changed.notify_all()

    @contextmanager
    def place(self, height: int, near: str | None = None, platform: str | None = None) -> Iterator[str]:
        """A worker with a free place, NEAR if that has one; the highest get theirs first. It is one of PLATFORM if any
        is, else of the platform that most workers have. Raises Over."""
        turn = _Turn(height, platform)
        with self._changed:
            self._waiting.append(turn)
            try:
                self._changed.wait_for(lambda: self._over or self._is_next(turn))
            finally:
                self._waiting.remove(turn)
            self._check()
            free = self._free(platform)
            worker = near if near in free else free[0]
            self._busy[worker] += 1
            self._changed.notify_all()
        try:
            yield worker
        finally:
            with self._changed:
                self._busy[worker] -= 1
                self._changed.notify_all()

    def wait(self, worker: str, done: Callable[[], bool]) -> bool:
        """Wait until DONE, or until WORKER is gone, which gives False. Raises Over."""
        with self._changed:
            self._changed.wait_for(lambda: done() or self._over or worker not in self._there)
            self._check()
            return done()

    def _check(self) -> None:
        if self._over:
            raise Over(self._over)

    def _is_next(self, turn: _Turn) -> bool:
        free = self._free(turn.platform)
        rivals = [one for one in self._waiting if self._free(one.platform) == free]
        return bool(free) and max(rivals, key=lambda one: one.height) is turn  # of several the one that waits longest

    def _fit(self) -> list[str]:
        return sorted(self._there.keys() - self._dropped.keys())

    def _free(self, platform: str | None) -> list[str]:
        """Workers for PLATFORM with a free place, the idlest first."""
        fit = self._fit()
        known = Counter(self._there[one] for one in fit)
        wanted = platform if platform in known else max(sorted(known), key=lambda one: known[one], default="")
        free = (one for one in fit if self._there[one] == wanted and self._busy[one] < self._jobs)
        return sorted(free, key=lambda one: self._busy[one])
