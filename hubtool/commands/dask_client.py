"""A plan carried out on the workers of a Dask scheduler, each with an engine of its own, the registry between them."""

from __future__ import annotations

import logging
import pickle
import re
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hubtool import console
from hubtool.commands.build import Built, on_parent
from hubtool.commands.dask_parcels import Answer, Task, pack
from hubtool.commands.dask_slots import Over, Slots, heights
from hubtool.commands.dask_worker import TOPIC, work
from hubtool.errors import HubtoolError
from hubtool.machine import architecture_of
from hubtool.plan import Variant
from hubtool.plan.records import REGISTRY, folder, write_record
from hubtool.plan.run import Run, run_plan

if TYPE_CHECKING:
    from distributed import Client, Future

CONNECT_SECONDS = 10.0
LOOK_EVERY = 1.0  # seconds, for workers that come and go
FETCH_SECONDS = 60
MOST_LOSSES = 3  # workers that may be lost with one variant
AT_ONCE = 256


class _Lost(Exception):
    """A worker did not come to an end with a variant."""


def run_on_workers(scheduler: str, variants: Sequence[Variant], task: Task, *, jobs: int = 1) -> Run[Built]:
    """Do TASK with each of VARIANTS on the workers of SCHEDULER, JOBS at once on each, and record what is in the
    registry then.

    A variant goes to a worker when its parent is in the registry; those with most built on them go first. What a
    worker was making that is lost goes to another, once also what one could not make whose engine is gone. Raises
    HubtoolError where there is no such scheduler, a worker is not like us, or the scheduler or all workers are lost.
    """
    with _connected(scheduler) as client:
        workers = _Workers(client, jobs, heights(variants))  # raises for want of them
        try:
            return run_plan(
                variants,
                lambda one, built: workers.make(on_parent(one, built), task),
                jobs=min(max(len(variants), 2), AT_ONCE),
                stop=workers.stop,
            )
        except Over as error:
            raise HubtoolError(f"{scheduler}: {error}", hint="run the same command again to go on") from error
        finally:
            workers.stop()


@contextmanager
def _connected(scheduler: str) -> Iterator[Client]:
    try:
        from distributed import Client
    except ImportError as error:
        raise HubtoolError("--scheduler needs Dask, which is not here", hint="pip install 'hubtool[dask]'") from error
    for name in ("distributed", "distributed.client"):  # what matters of it is said by us
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        _check(scheduler)
        client = Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        why = str(error).partition("\n")[0] or "no answer"
        raise HubtoolError(
            f"no Dask scheduler at {scheduler}: {why}",
            hint="tcp://HOST:8786, or tls://HOST:8786 with the certificates that Dask's settings name",
        ) from error
    try:
        yield client
    finally:
        with suppress(Exception):  # it may be the connection that was lost
            client.close(timeout=5)


def _check(scheduler: str) -> None:
    """Raise ValueError or OSError for what no client should try: one that failed to begin takes long to end."""
    from distributed.security import Security

    found = re.fullmatch(r"(tcp|tls)://(?:\[[0-9a-fA-F:.]+\]|[\w.-]+):[0-9]{1,5}", scheduler)
    if not found:
        raise ValueError("not such an address")
    if found[1] == "tls" and Security().get_connection_args("client").get("ssl_context") is None:
        raise ValueError("Dask's settings name no certificates (distributed.comm.tls)")


class _Workers:
    """The workers of a scheduler, told what to make."""

    def __init__(self, client: Client, jobs: int, heights: Mapping[str, int]) -> None:
        self._client, self._heights = client, heights
        self._slots = Slots(jobs)
        self._run = uuid.uuid4().hex
        self._ended = threading.Event()
        self._platforms: dict[str, str] = {}  # of the workers that were judged
        self._futures: set[Future[bytes]] = set()
        self._makers: dict[str, str] = {}
        self._look(strict=True)
        client.subscribe_topic(TOPIC, self._tell)
        threading.Thread(target=self._keep_looking, daemon=True).start()

    def make(self, variant: Variant, task: Task) -> Built:
        """Have TASK done with VARIANT, wherever there is a place."""
        lost: list[str] = []
        unfit: list[str] = []
        while True:
            near, platform = self._makers.get(variant.parent or ""), variant.job.settings.platform
            with self._slots.place(self._heights[variant.image], near, platform) as worker:
                try:
                    answer = self._ask(worker, variant, task)
                except _Lost as error:
                    lost.append(worker)
                    if len(lost) == MOST_LOSSES:
                        raise HubtoolError(f"given up: {', '.join(lost)} were lost with it: {error}") from error
                    console.say(f"{worker}: {error}; {variant.image} goes to another")
                    continue
            if not answer.unfit:
                return self._taken(variant, answer, worker)
            unfit.append(worker)
            if len(unfit) > 1:
                return self._taken(variant, answer, " and ".join(unfit))
            why = answer.error.message if answer.error else ""
            console.warn(f"{worker} gets nothing more: {why}")
            self._slots.drop(worker, why)

    def _ask(self, worker: str, variant: Variant, task: Task) -> Answer:
        parcel = pack(variant, task)
        console.say(f"{variant.image}: to {worker}, {console.bytes_text(len(parcel))}")
        future = self._client.submit(
            work, parcel, variant.image, self._run, workers=[worker], pure=False, retries=0, key=_key(variant)
        )
        self._futures.add(future)
        future.add_done_callback(lambda _: self._slots.wake())
        try:
            if not self._slots.wait(worker, future.done):
                raise _Lost("gone")
            return _answer_of(future)
        finally:
            self._futures.discard(future)
            with suppress(Exception):
                future.cancel()

    def _taken(self, variant: Variant, answer: Answer, worker: str) -> Built:
        """What WORKER made, recorded; raises what it raised."""
        _keep(answer.logs, variant.root)
        if answer.told:
            console.say(answer.told)
        if answer.bug:
            raise RuntimeError(f"on {worker}:\n{answer.bug}")
        if answer.error:
            hint = "\n  ".join(filter(None, [answer.error.hint, f"on {worker}"]))
            raise HubtoolError(answer.error.message, where=answer.error.where, hint=hint)
        record = answer.record
        assert record is not None
        write_record(variant.root, variant.image, record)
        self._makers[variant.image] = worker
        reference = str(variant.reference.with_tag(variant.reference.tag, record.digest))
        how = "was there already" if answer.reused else f"built in {answer.seconds:.1f} s"
        console.say(f"{variant.image}: {how}, {worker}: {reference}")
        size, reused = answer.size, answer.reused
        return Built(variant.image, reference, record.image_id, REGISTRY, answer.seconds, size, reused, answer.log)

    def stop(self) -> None:
        """Have no worker go on, and nobody wait."""
        self._ended.set()
        self._slots.stop("stopped")
        with suppress(Exception):
            self._client.cancel(list(self._futures), force=True)

    def _look(self, *, strict: bool = False) -> None:
        """Find out which workers are there, and give nothing to new ones that are not like us; STRICT raises for those,
        and where there are none."""
        there = set(self._client.nthreads())
        new = there - self._platforms.keys()
        versions = self._client.get_versions(packages=["hubtool"]) if new else {}
        unlike = _unlike(versions) if new else {}
        if strict and (unlike or not there):
            why = "; ".join(f"{worker} {why}" for worker, why in unlike.items()) or "no workers are there"
            raise HubtoolError(
                why, hint="on each machine, with this very hubtool[dask] and Python: dask worker SCHEDULER"
            )
        for worker in unlike.keys() & new:
            console.warn(f"{worker} gets nothing: it {unlike[worker]}")
            self._slots.drop(worker, unlike[worker])
        self._platforms |= {worker: _platform(versions["workers"].get(worker, {})) for worker in new}
        self._slots.update({worker: self._platforms[worker] for worker in there})

    def _keep_looking(self) -> None:
        while not self._ended.wait(LOOK_EVERY):
            try:
                self._look()
            except Exception as error:
                self._slots.stop(f"the connection to the scheduler was lost: {error}")
                return

    def _tell(self, event: Any) -> None:
        _, (run, line) = event
        if run == self._run:
            console.say(line)


def _key(variant: Variant) -> str:
    return f"hubtool {variant.image} {uuid.uuid4().hex[:12]}"


def _answer_of(future: Future[bytes]) -> Answer:
    if future.status == "error":
        raise _Lost(str(future.exception()))
    if future.status in ("cancelled", "lost"):
        raise Over("the connection to the scheduler was lost")
    try:
        answer = pickle.loads(future.result(timeout=FETCH_SECONDS))
    except (OSError, TimeoutError) as error:
        raise _Lost(f"its answer did not come: {error}") from error
    assert isinstance(answer, Answer)
    return answer


def _unlike(versions: Mapping[str, Any]) -> dict[str, str]:
    """Workers that have not our hubtool and Python, and what they have."""
    ours = _kind(versions["client"])
    others = {worker: _kind(found) for worker, found in versions["workers"].items()}
    return {
        worker: f"has {_words(kind)}, and this machine {_words(ours)}"
        for worker, kind in others.items()
        if kind != ours
    }


def _kind(found: Mapping[str, Any]) -> tuple[str, str]:
    packages = found["packages"]
    return packages.get("hubtool") or "", ".".join(packages["python"].split(".")[:2])


def _platform(found: Mapping[str, Any]) -> str:
    """The platform whose images a worker runs, by what Python calls its machine."""
    return f"linux/{architecture_of(str(found.get('host', {}).get('machine', '?')))}"


def _words(kind: tuple[str, str]) -> str:
    return f"{f'hubtool {kind[0]}' if kind[0] else 'no hubtool'} with Python {kind[1]}"


def _keep(logs: Mapping[str, bytes], root: Path) -> None:
    target = folder(root) / "logs"
    target.mkdir(exist_ok=True)
    for name, data in logs.items():
        (target / Path(name).name).write_bytes(data)
