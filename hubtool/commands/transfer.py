"""Layers on their way to a registry: packed and sent side by side, and shown while that lasts."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hubtool.console import say
from hubtool.image.archive import ArchiveLayer
from hubtool.image.compress import Packing
from hubtool.image.pack import LAYER_TYPES, Packed, Writer, pack_layer, pack_stream
from hubtool.image.relayer import NewLayer
from hubtool.registries import Blob
from hubtool.registries.client import RegistryClient

AT_ONCE = 4  # layers; more does not go faster to one registry, and it would ask for patience (429)
HEARTBEAT = 10.0  # seconds between two lines about a layer where there is no terminal


@dataclass(frozen=True)
class Moved:
    """A blob that the registry has now (or would have): whether it had to travel, and its size in bytes."""

    digest: str
    size: int
    travelled: bool


@dataclass(frozen=True)
class MovedLayer:
    layer: Packed
    moved: Moved


Layer = ArchiveLayer | NewLayer
Known = Mapping[str, tuple[Packed, str]]  # by diff id: as packed before, and the repository that has it
NOTHING: Known = {}
Report = Callable[[str, int, int], None]


class Display(Protocol):
    def layer(self, name: str) -> AbstractContextManager[Report]:
        """Show one layer; the report takes a verb, bytes done and bytes in all."""
        ...


class _Stopped(Exception):
    """Another layer failed, or the person at the terminal had enough."""


def move_layers(
    client: RegistryClient,
    layers: Sequence[Layer],
    folder: Path,
    *,
    compression: Packing = "gzip",
    known: Known = NOTHING,
    dry_run: bool = False,
    again: bool = False,
) -> list[MovedLayer]:
    """Pack LAYERS and send those that the registry lacks; with DRY_RUN only find out which those are.

    What is KNOWN, and there, is not even packed. One entry for each of LAYERS, in their order; a layer that stands
    there twice travels once. AGAIN is for a push that was cut off: more may be there than is known. The first failure
    ends all, and is raised.
    """
    unique = {layer.diff_id: layer for layer in layers}
    mover = _Mover(client, folder, compression, known, dry_run, again)
    with _display(len(unique)) as display, ThreadPoolExecutor(AT_ONCE) as pool:
        largest_first = sorted(unique.values(), key=lambda layer: -layer.size)
        futures = {layer.diff_id: pool.submit(mover.move, layer, display) for layer in largest_first}
        try:
            done = {diff_id: future.result() for diff_id, future in _as_they_end(futures)}
        except BaseException:
            mover.stop.set()  # those that wait end at once, those on their way at their next piece
            raise
    return [done[layer.diff_id] for layer in layers]


def _as_they_end(futures: dict[str, Future[MovedLayer]]) -> Iterator[tuple[str, Future[MovedLayer]]]:
    from concurrent.futures import as_completed

    names = {future: name for name, future in futures.items()}
    for future in as_completed(futures.values()):
        yield names[future], future


class _Mover:
    def __init__(
        self, client: RegistryClient, folder: Path, compression: Packing, known: Known, dry_run: bool, again: bool
    ) -> None:
        self.client = client
        self.folder = folder
        self.compression = compression
        self.known = known
        self.dry_run = dry_run
        self.again = again
        self.stop = threading.Event()
        self.cores = threading.Semaphore(os.cpu_count() or 1)

    def move(self, layer: Layer, display: Display) -> MovedLayer:
        with display.layer(short(layer.diff_id)) as report:
            self._go_on()
            moved = self._known(layer)
            if moved is None:
                moved = self._packed(layer, report) if isinstance(layer, ArchiveLayer) else self._made(layer, report)
            report(_verb(moved.moved.travelled, self.dry_run), moved.layer.size, moved.layer.size)
        return moved

    def _known(self, layer: Layer) -> MovedLayer | None:
        """LAYER as it was packed before, where the registry has that still, and in the compression asked for."""
        packed, repository = self.known.get(layer.diff_id, (None, ""))
        if packed is None or packed.media_type != LAYER_TYPES[self.compression]:
            return None
        there = self.client.has_blob(packed.digest)
        if not there and repository != self.client.session.reference.repository:
            there = self.dry_run or self.client.mount_blob(packed.digest, repository)
        return MovedLayer(packed, Moved(packed.digest, packed.size, travelled=False)) if there else None

    def _packed(self, layer: ArchiveLayer, report: Report) -> MovedLayer:
        """A layer as it was built: packed into a file, then sent."""
        with self.cores:
            self._go_on()
            advance = self._watch(report, "packing", layer.size)
            packed = pack_layer(layer, self.folder, advance, self.compression)
        try:
            travels = not self.client.has_blob(packed.digest)
            if travels and not self.dry_run:
                blob = Blob(packed.digest, packed.size, packed.open)
                self.client.upload_blob(blob, self._watch(report, "sending", packed.size))
        finally:
            packed.close()
        return MovedLayer(packed, Moved(packed.digest, packed.size, travels))

    def _made(self, layer: NewLayer, report: Report) -> MovedLayer:
        """A layer laid out anew: packed while it is sent."""
        packed: Packed | None = None

        def write(out: Writer) -> None:
            nonlocal packed
            advance = self._watch(report, "sending", layer.size)
            packed = pack_stream(
                lambda target: layer.write_tar(_Watched(target, advance)), out, self.compression, layer.diff_id
            )

        if self.dry_run:
            write(_Nowhere())
            assert packed is not None
            travels = not self.client.has_blob(packed.digest)
        else:
            travels = self.client.upload_stream(write, folder=self.folder, look_first=self.again).travelled
            assert packed is not None
        return MovedLayer(packed, Moved(packed.digest, packed.size, travels))

    def _watch(self, report: Report, verb: str, total: int) -> Callable[[int], None]:
        """Tells how far it came, and stops where another layer failed."""

        def tell(done: int) -> None:
            self._go_on()
            report(verb, done, total)

        return tell

    def _go_on(self) -> None:
        if self.stop.is_set():
            raise _Stopped


class _Watched:
    """Writes to TARGET and tells ADVANCE how much that was by now."""

    def __init__(self, target: Writer, advance: Callable[[int], None]) -> None:
        self._target = target
        self._advance = advance
        self._done = 0

    def write(self, data: bytes, /) -> object:
        self._done += len(data)
        self._advance(self._done)
        return self._target.write(data)


class _Nowhere:
    def write(self, data: bytes, /) -> int:
        return len(data)


def _verb(travels: bool, dry_run: bool) -> str:
    if not travels:
        return "is there already"
    return "would be sent" if dry_run else "sent"


FINAL = frozenset({"is there already", "would be sent", "sent"})


def short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]


def megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size} bytes"


@contextmanager
def _display(count: int) -> Iterator[Display]:
    if not sys.stderr.isatty():
        yield _Lines(count)
        return
    with _Bars(count) as bars:
        yield bars


class _Lines:
    """Plain lines: one when a layer is done, and one from time to time for a large one."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.done = 0
        self.lock = threading.Lock()

    @contextmanager
    def layer(self, name: str) -> Iterator[Report]:
        last = time.monotonic()

        def report(verb: str, done: int, total: int) -> None:
            nonlocal last
            if verb in FINAL:
                self.finish(name, verb, total)
            elif time.monotonic() - last >= HEARTBEAT:
                last = time.monotonic()
                say(f"  layer {name}: {verb}, {megabytes(done)} of {megabytes(total)}")

        yield report

    def finish(self, name: str, verb: str, size: int) -> None:
        with self.lock:
            self.done += 1
            say(f"  layer {name} ({self.done} of {self.count}) {verb}, {megabytes(size)}")


class _Bars:
    """A bar for each layer that is on its way."""

    def __init__(self, count: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

        columns = (TextColumn("  {task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        self.progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self.lines = _Lines(count)

    def __enter__(self) -> _Bars:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    @contextmanager
    def layer(self, name: str) -> Iterator[Report]:
        task = self.progress.add_task(f"layer {name} waits", total=None)

        def report(verb: str, done: int, total: int) -> None:
            if verb in FINAL:
                self.lines.finish(name, verb, total)
            else:
                self.progress.update(task, description=f"layer {name} {verb}", completed=done, total=total)

        try:
            yield report
        finally:
            self.progress.remove_task(task)
