"""What a Dask worker does for us: one variant, in a process of its own that ends with the worker, or when nobody wants
the variant any more. Its engine, its login to the registry and the values of secrets are the worker's."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from hubtool.commands.build import build_variant
from hubtool.commands.dask_parcels import Answer, Parcel, as_seen_at, error_as_seen_at, read_logs
from hubtool.commands.publish import push_variant
from hubtool.commands.test import tell, test_variant
from hubtool.contracts.report import as_text
from hubtool.engines import Engine, choose_engine
from hubtool.errors import HubtoolError
from hubtool.plan import Variant
from hubtool.plan.records import REGISTRY, read_record
from hubtool.process import ProcessError, end_all, stream
from hubtool.reference import ImageReference

if TYPE_CHECKING:
    from distributed import Worker

TOPIC = "hubtool"  # one for all runs: the scheduler keeps the last events of each topic
LOOK_EVERY = 0.5  # seconds
GRACE = 30  # seconds for a build to end, with its containers
_PARCEL, _FILES, _ANSWER = "parcel", "files", "answer"


def work(parcel: bytes, image: str, run: str) -> bytes:
    """The Dask task: a pickled Answer to PARCEL, the variant IMAGE of RUN. Steps of the build are told on the way."""
    from distributed import get_worker, secede

    worker = get_worker()
    key = worker.get_current_task()
    secede()  # how many at once is the client's matter; Dask's threads stay free for others
    stop, done = threading.Event(), threading.Event()
    with tempfile.TemporaryDirectory(prefix="hubtool-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        (folder / _PARCEL).write_bytes(parcel)
        threading.Thread(target=_watch, args=(worker, key, stop, done), daemon=True).start()
        try:
            command = (sys.executable, "-m", __name__, folder, str(os.getpid()))
            for line in stream(*command, stop=stop, grace=GRACE):
                if line.startswith(f"[{image} "):
                    worker.log_event(TOPIC, (run, line))
        except ProcessError as error:
            if not (folder / _ANSWER).exists():
                return pickle.dumps(Answer(error=HubtoolError(error.message), unfit=True))
        finally:
            done.set()
        return (folder / _ANSWER).read_bytes()


def _watch(worker: Worker, key: str, stop: threading.Event, done: threading.Event) -> None:
    """Set STOP once nobody waits for the task KEY any more: the client is gone, or the scheduler, or WORKER closes."""
    while not done.wait(LOOK_EVERY):
        task = worker.state.tasks.get(key)
        if task is None or task.state == "cancelled" or worker.status.name not in ("running", "paused"):
            stop.set()
            return


def main(folder: Path, parent: int) -> None:
    """Answer the parcel in FOLDER. Ends, and takes FOLDER with it, when the process PARENT does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    try:
        parcel = pickle.loads((folder / _PARCEL).read_bytes())
        part = folder / f"{_ANSWER}.part"
        part.write_bytes(pickle.dumps(_answer(parcel, folder / _FILES)))
        part.rename(folder / _ANSWER)
    finally:
        end_all()  # a build whose output nobody reads any more was not ended by its error
        if os.getppid() != parent:
            shutil.rmtree(folder, ignore_errors=True)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_EVERY)
    os.kill(os.getpid(), signal.SIGTERM)


def _answer(parcel: Parcel, files: Path) -> Answer:
    start = cache(lambda: choose_engine(parcel.task.engine))
    told: list[str] = []
    try:
        variant = parcel.unpack(files)
        answer = _make(_nearest(variant, start), parcel, start, told)
    except HubtoolError as error:
        seen = error_as_seen_at(parcel.root, parcel.root_in(files), error)
        answer = Answer(error=seen, unfit=not _engine_works(parcel))
    except OSError as error:  # the machine's doing: no space, no right to write
        return Answer(error=HubtoolError(f"{error.filename or 'the disk'}: {error.strerror or error}"), unfit=True)
    except Exception:
        answer = Answer(bug=traceback.format_exc())
    return replace(answer, told="\n".join(told), logs=read_logs(parcel.root_in(files)))


def _make(variant: Variant, parcel: Parcel, start: Callable[[], Engine], told: list[str]) -> Answer:
    """Build, test where asked, and push by fingerprint, unless the registry has it."""
    task = parcel.task
    built = build_variant(variant, start, task.cache, rebuild=variant.image in task.again)
    digest = None
    if built.engine != REGISTRY:
        if task.test:
            report = test_variant(variant, start())
            told.append(as_text(report))
            tell([report], None, as_json=False)
        digest = push_variant(variant, start, task.rules).digest
    record = read_record(variant.root, variant.image)
    assert record is not None
    log = built.log and as_seen_at(parcel.root, variant.root, built.log)
    record = replace(record, engine=REGISTRY, digest=digest or record.digest)
    return Answer(record, built.seconds, built.size, built.reused, log)


def _nearest(variant: Variant, start: Callable[[], Engine]) -> Variant:
    """VARIANT on the parent that the engine holds, if it was built here: then nothing has to be pulled."""
    settings = variant.job.settings
    if not (variant.job.on_parent and isinstance(settings.base, str)):
        return variant
    local = str(replace(ImageReference.parse(settings.base), digest=None))
    held = start().inspect(local)
    if held is None or held.id != variant.parent_id:
        return variant
    return replace(variant, job=replace(variant.job, settings=settings.model_copy(update={"base": local})))


def _engine_works(parcel: Parcel) -> bool:
    try:
        choose_engine(parcel.task.engine)
    except HubtoolError:
        return False
    return True


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), int(sys.argv[2]))
    except KeyboardInterrupt:
        sys.exit(130)
