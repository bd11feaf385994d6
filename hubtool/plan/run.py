"""The plan carried out: each variant after its parent, those that do not need each other side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from hubtool import console, process
from hubtool.errors import HubtoolError
from hubtool.plan import Variant

T = TypeVar("T")


@dataclass
class Run(Generic[T]):
    """What came of VARIANTS: what was ``made``, the error of each that ``failed``, and of those that were ``left`` out
    what it was that had failed. Keys are the variants' names."""

    variants: Sequence[Variant]
    made: dict[str, T] = field(default_factory=dict)
    failed: dict[str, HubtoolError] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)

    @property
    def ready(self) -> list[Variant]:
        """The variants that were made, in the order of the plan."""
        return [variant for variant in self.variants if variant.image in self.made]

    def raise_failures(self) -> None:
        """Raise what failed: the only variant's error as it is, else one that names them all."""
        if not self.failed:
            return
        if len(self.variants) == 1:
            raise next(iter(self.failed.values()))
        lines = [f"{name}: {error}" for name, error in self.failed.items()]
        lines += [f"{name}: left out, since {parent} failed" for name, parent in self.left.items()]
        what = f"{len(self.failed)} of {len(self.variants)} failed"
        raise HubtoolError("\n  ".join([what, *lines]), hint="what needs none of these was done")


def run_plan(
    variants: Sequence[Variant],
    make: Callable[[Variant, Mapping[str, T]], T],
    *,
    jobs: int = 1,
    stop: Callable[[], None] = process.end_all,
) -> Run[T]:
    """MAKE each of VARIANTS, which has its parent before it, given what was made so far; at most JOBS at once.

    A variant for which MAKE raises HubtoolError takes with it what is built on it, and nothing else. Any other
    exception, Ctrl-C among them, ends the run; STOP then ends what other threads are making.
    """
    run: Run[T] = Run(variants)
    if jobs == 1:  # in this thread, which is the one that is interrupted
        for variant in variants:
            if not _is_left(run, variant):
                _note(run, variant, lambda one=variant: make(one, run.made))  # type: ignore[misc]
        return run
    with ThreadPoolExecutor(jobs) as pool:
        try:
            _run_side_by_side(run, lambda one: pool.submit(make, one, run.made))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            stop()
            raise
    return run


def _run_side_by_side(run: Run[T], start: Callable[[Variant], Future[T]]) -> None:
    waiting = list(run.variants)
    running: dict[Future[T], Variant] = {}
    ours = {variant.image for variant in waiting}
    while waiting or running:
        waiting = [variant for variant in waiting if not _is_left(run, variant)]
        ready = [one for one in waiting if one.parent not in ours or one.parent in run.made]
        running |= {start(variant): variant for variant in ready}
        waiting = [variant for variant in waiting if variant not in ready]
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            _note(run, running.pop(future), future.result)


def _is_left(run: Run[T], variant: Variant) -> bool:
    """Whether what VARIANT is built on failed; notes so."""
    parent = variant.parent
    if parent not in run.failed and parent not in run.left:
        return False
    run.left[variant.image] = run.left.get(parent, parent)
    console.say(f"{variant.image} is left out: {run.left[variant.image]} failed")
    return True


def _note(run: Run[T], variant: Variant, result: Callable[[], T]) -> None:
    try:
        run.made[variant.image] = result()
    except HubtoolError as error:
        run.failed[variant.image] = error
        if len(run.variants) > 1:
            console.say(f"{variant.image} failed: {error.message}")
